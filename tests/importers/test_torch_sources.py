"""In what a PyTorch model may come, what is left alone, and every way in which it can be wrong."""

from __future__ import annotations

import builtins
import json
import logging
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

import tinsmith.extras  # noqa: E402
from tests.importers import torch_nets as nets  # noqa: E402
from tests.importers.contract import assert_agrees  # noqa: E402
from tinsmith.errors import MissingExtraError, ModelError, UnsupportedError  # noqa: E402
from tinsmith.graph.canonical import canonicalize  # noqa: E402
from tinsmith.graph.execute import Runner  # noqa: E402
from tinsmith.importers import load  # noqa: E402
from tinsmith.importers.hints import Hints  # noqa: E402
from tinsmith.importers.notes import notes  # noqa: E402
from tinsmith.importers.torch.program_text import refuse_foreign_code  # noqa: E402

X = nets.numbers(1, 3, 12, 12)


@pytest.fixture(scope="module")
def cnn() -> Any:
    return nets.seeded(nets.Cnn).eval()


@pytest.fixture(scope="module")
def expected(cnn: Any) -> Any:
    with torch.no_grad():
        return cnn(X)


@pytest.fixture(scope="module")
def program(cnn: Any) -> Any:
    return torch.export.export(cnn, (X,))


@pytest.fixture(scope="module")
def files(cnn: Any, program: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    found = {
        kind: folder / f"net {kind}" for kind in ("a.pt2", "b.pt", "traced.torchscript", "weights.pt", "whole.pth")
    }
    torch.export.save(program, str(found["a.pt2"]))
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(cnn).save(str(found["b.pt"]))
        torch.jit.trace(cnn, X).save(str(found["traced.torchscript"]))
    torch.save(cnn.state_dict(), found["weights.pt"])
    torch.save(cnn, found["whole.pth"])
    return found


@pytest.mark.parametrize("kind", ["a.pt2", "b.pt", "traced.torchscript"])
def test_files(kind: str, files: dict[str, Path], expected: Any) -> None:
    assert_agrees(files[kind], {"image": X}, [expected], example_input=X)


def test_an_exported_program(program: Any, expected: Any) -> None:
    canonical = assert_agrees(program, {"image": X}, [expected])
    assert [value.name for value in canonical.graph.inputs] == ["image"]


def test_an_open_batch_is_one(cnn: Any, expected: Any) -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(cnn, (torch.cat([X, X]),), dynamic_shapes=({0: batch},))
    assert_agrees(program, {"image": X}, [expected])


def test_what_torch_onnx_gives(cnn: Any, expected: Any) -> None:
    with warnings.catch_warnings(action="ignore"):
        assert_agrees(torch.onnx.export(cnn, (X,), dynamo=True, verbose=False), {"image": X}, [expected])


def test_wrappers_are_taken_off(cnn: Any, expected: Any) -> None:
    assert_agrees(torch.nn.DataParallel(torch.compile(cnn)), {"image": X}, [expected], example_input=X)


def test_half_precision_is_read(cnn: Any) -> None:
    import copy

    half = copy.deepcopy(cnn).half()
    found = Runner(canonicalize(load(half, Hints(X.half()))))({"image": X.numpy()})
    with torch.no_grad():
        result = half.float()(X).numpy()
    assert np.abs(next(iter(found.values())) - result).max() <= 1e-5 * np.abs(result).max()


def test_the_module_is_left_as_it_was() -> None:
    module = nets.seeded(nets.Cnn)
    module.features[1].eval()
    modes = [part.training for part in module.modules()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    grads = [parameter.requires_grad for parameter in module.parameters()]
    source = load(module, Hints(X))
    assert [part.training for part in module.modules()] == modes
    assert [parameter.requires_grad for parameter in module.parameters()] == grads
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    copied = source.graph.initializers["features.0.0.weight"].const_value
    assert copied is not None
    with torch.no_grad():
        module.features[0][0].weight.zero_()
    assert np.array_equal(copied.numpy(), before["features.0.0.weight"].numpy())


class Uncopied(torch.nn.Module):
    """Holds a tensor that was computed, which no copy can be made of; counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)
        self.twice = self.layer.weight * 2
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return torch.nn.functional.dropout(x, 0.5, self.training) @ self.twice


def test_a_module_without_a_copy_is_put_back() -> None:
    module, x = nets.seeded(Uncopied), nets.numbers(1, 4)
    with torch.no_grad():
        result = x @ module.twice
    assert_agrees(module, {"x": x}, [result], example_input=x)
    assert module.training
    assert module.layer.training
    assert module.calls.tolist() == [0]


def test_nothing_is_said(cnn: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = logging.root.manager.disable
    with warnings.catch_warnings(action="error"):
        load(cnn, Hints(X))
        load(nets.seeded(nets.Choosing), Hints(nets.numbers(1, 4)))
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]
    assert logging.root.manager.disable == before


def test_the_older_exporter_steps_in() -> None:
    module, x = nets.seeded(nets.Choosing).eval(), nets.numbers(1, 4)
    with torch.no_grad():
        result = module(x)
    assert_agrees(module, {"x": x}, [result], example_input=x)
    (note,) = notes(load(module, Hints(x)))
    assert note.startswith("PyTorch's older exporter was used, which records one run")
    assert "data-dependent" in note


class Inverse(torch.nn.Module):
    """Nothing that ONNX has."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.inv(x)


def test_one_error_where_both_exporters_fail() -> None:
    with pytest.raises(ModelError) as failure:
        load(Inverse(), Hints(torch.eye(3)[None]))
    text = str(failure.value)
    assert text.startswith("Inverse: cannot be converted: No ONNX function found for <OpOverload(op='aten.linalg_inv")
    assert "The older exporter: Exporting the operator 'aten::linalg_inv" in text
    assert text.endswith("give the .onnx file.")
    assert "\n" not in text


def test_no_weights_yet() -> None:
    with torch.device("meta"):
        module = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="weights are on the meta device"):
        load(module, Hints(torch.zeros(1, 2)))


def test_lazy_layers_have_no_weights_yet() -> None:
    module = torch.nn.Sequential(torch.nn.LazyConv2d(2, 3))
    with pytest.raises(ModelError, match="no weights before it has been called once"):
        load(module, Hints(X))
    with torch.no_grad():
        assert_agrees(module, {"x": X}, [module(X)], example_input=X)


def test_a_tensor_is_no_model() -> None:
    with pytest.raises(ModelError, match="a Tensor of PyTorch is not a model"):
        load(torch.zeros(1), Hints())


def test_weights_alone(files: dict[str, Path], tmp_path: Path, cnn: Any) -> None:
    old = tmp_path / "old.pth"
    torch.save(cnn.state_dict(), old, _use_new_zipfile_serialization=False)
    for path in (files["weights.pt"], old):
        with pytest.raises(ModelError, match=re.escape(f"{path}: this file holds weights (a state dict) and no model")):
            load(path)


def test_a_pickled_module_is_not_loaded(files: dict[str, Path], tmp_path: Path, cnn: Any) -> None:
    old = tmp_path / "old.pt"
    torch.save(cnn, old, _use_new_zipfile_serialization=False)
    for path in (files["whole.pth"], old):
        with pytest.raises(ModelError, match=r"pickle of Python objects \(tests.importers.torch_nets.Cnn\)"):
            load(path)


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return builtins.open, (str(self.path), "w")


def test_a_program_is_opened_without_running_its_pickles(program: Any, files: dict[str, Path], tmp_path: Path) -> None:
    mark, bad = tmp_path / "mark", tmp_path / "bad.pt2"
    inner = tmp_path / "inputs.pt"
    torch.save(((Bomb(mark),), {}), inner)
    _copied(files["a.pt2"], bad, {"data/sample_inputs/model.pt": inner.read_bytes()})
    with pytest.raises(ModelError, match="cannot read it"):
        load(bad)
    assert not mark.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_the_users_own_setting_survives(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    load(files["a.pt2"])
    assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "0"


def _copied(source: Path, path: Path, changed: dict[str, bytes]) -> None:
    """A copy of an archive with some entries, by the ends of their names, changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            found = [data for end, data in changed.items() if name.endswith(end)]
            new.writestr(name, found[0] if found else old.read(name))


def _model_text(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("models/model.json"))
        return json.loads(archive.read(name))


@pytest.mark.parametrize("target", ["torch.hub.load", "torch.ops.load_library", "_operator.methodcaller", "os.system"])
def test_programs_call_operators_only(target: str, files: dict[str, Path], tmp_path: Path) -> None:
    document = _model_text(files["a.pt2"])
    document["graph_module"]["graph"]["nodes"][0]["target"] = target
    path = tmp_path / "calls.pt2"
    _copied(files["a.pt2"], path, {"models/model.json": json.dumps(document).encode()})
    with pytest.raises(ModelError, match=re.escape(f"a node calls {target!r}, which is not an operator")):
        load(path)


@pytest.mark.parametrize("text", ["exec(chr(95))", "s0.__class__", "(1).real", "open('x')", "getattr(s0, s1)"])
def test_sizes_are_expressions_of_sizes(text: str) -> None:
    with pytest.raises(ModelError, match="is not an expression of sizes"):
        refuse_foreign_code(json.dumps({"as_expr": {"expr_str": text}}).encode(), "f")


@pytest.mark.parametrize("text", ["s0", "2*s0 + 1", "Max(1, s0//2)", "Mod(s27, 8)", "floor(s0/2)", "1.5*s0", "s0 >= 2"])
def test_sizes_that_are_written(text: str) -> None:
    refuse_foreign_code(
        json.dumps({"as_expr": {"expr_str": text}, "target": "torch.ops.aten.add.Tensor"}).encode(), "f"
    )


def test_damaged_files(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    with pytest.raises(ModelError, match="the file does not exist"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="the file is empty"):
        load(path)
    path.write_bytes(files["a.pt2"].read_bytes()[:5000])
    with pytest.raises(ModelError, match="not a file of PyTorch, or it is cut off"):
        load(path)
    path.write_bytes(b"<!doctype html><html>")
    with pytest.raises(ModelError, match="this is a web page, not a file of PyTorch"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "b")
    with pytest.raises(ModelError, match="a zip archive without a model of PyTorch"):
        load(path)
    _copied(files["a.pt2"], path, {"models/model.json": b"{"})
    with pytest.raises(ModelError, match="the exported program in it is damaged"):
        load(path)
    _copied(files["a.pt2"], path, {"models/model.json": b"{}"})
    with pytest.raises(ModelError, match=rf"PyTorch {re.escape(torch.__version__)} cannot read it"):
        load(path)
    _copied(files["a.pt2"], path, {})
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr(archive.namelist()[0], b"again")
    with pytest.raises(ModelError, match="twice"):
        load(path)
    _copied(files["b.pt"], path, {"data.pkl": b"\x80\x02."})
    with pytest.raises(ModelError, match="cannot read it"):
        load(path)


def test_compiled_code_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    _copied(files["a.pt2"], path, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/data/aotinductor/model/x.so", b"")
    with pytest.raises(ModelError, match="holds compiled code"):
        load(path)


def test_without_torch(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(tinsmith.extras.importlib, "import_module", absent)
    from tinsmith.importers.torch import load as load_torch

    with pytest.raises(MissingExtraError) as failure:
        load_torch(files["a.pt2"], Hints())
    assert str(failure.value) == (
        "reading PyTorch models: needs torch, which is not installed. Install it: pip install 'tinsmith[torch]'."
    )


def test_importing_tinsmith_imports_no_torch() -> None:
    names = (
        "tinsmith.cli, tinsmith.pipeline, tinsmith.importers.torch, tinsmith.report.evaluate, tinsmith.verdict.deciding"
    )
    script = (
        f"import sys, tinsmith, {names}; [getattr(tinsmith, name) for name in tinsmith.__all__]; "
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


class Lstm(torch.nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.inner = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(6, 8, batch_first=True, **options)})

    def forward(self, x: Any) -> Any:
        return self.inner["lstm"](x)[0]


@pytest.mark.parametrize("options", [{}, {"bias": False, "num_layers": 2, "bidirectional": True}])
def test_projections_of_an_lstm_are_not_lost(options: dict[str, Any]) -> None:
    x = nets.numbers(1, 5, 6)
    plain = Lstm(**options)
    with torch.no_grad():
        assert_agrees(plain, {"x": x}, [plain(x)], example_input=x)
    for source in (Lstm(proj_size=3, **options), torch.export.export(Lstm(proj_size=3, **options), (x,))):
        with pytest.raises(UnsupportedError, match=r"inner\.lstm: it projects its hidden state"):
            load(source, Hints(x))


def test_the_older_exporter_says_nothing_when_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveMaxPool2d(3))
    enabled = torch._C._jit_is_onnx_log_enabled()
    with pytest.raises(ModelError, match="cannot be converted"):
        load(module, Hints(X))
    assert torch._C._jit_is_onnx_log_enabled() == enabled
    assert capfd.readouterr() == ("", "")
