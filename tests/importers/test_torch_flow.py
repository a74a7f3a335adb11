"""PyTorch models through every function and command that takes a model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

import tinsmith  # noqa: E402
from tests.importers import torch_nets as nets  # noqa: E402
from tinsmith import importers  # noqa: E402
from tinsmith.cli import main  # noqa: E402
from tinsmith.errors import DataError  # noqa: E402
from tinsmith.pipeline import examine  # noqa: E402

X = nets.numbers(12, 3, 12, 12)
LABELS = torch.arange(12) % 5


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was read, one by one."""
    found: list[Any] = []
    load = importers.load

    def counted(source: Any, *hints: Any) -> Any:
        found.append(source)
        return load(source, *hints)

    monkeypatch.setattr(importers, "load", counted)
    return found


def test_in_memory(loads: list[Any], tmp_path: Path) -> None:
    module = nets.seeded(nets.Cnn)
    quantized = tinsmith.quantize(module, DataLoader(TensorDataset(X, LABELS), batch_size=5), effort="fast")
    assert len(loads) == 1
    assert [value.name for value in quantized.program.inputs] == ["image"]
    assert quantized.sample["image"].shape == (1, 3, 12, 12)
    saved = quantized.save(tmp_path)
    assert '"features.0.0"' in saved.json.read_text()
    program = tinsmith.read(saved.espdl)
    assert "features.0.0" in {node.name for node in program.nodes}
    (found,) = tinsmith.dequantize(program, quantized.simulate(X)).values()
    with torch.no_grad():
        expected = module.eval()(X).numpy()
    assert np.square(found - expected).sum() < 0.01 * np.square(expected).sum()
    evaluation = tinsmith.evaluate(program, X, LABELS.numpy(), module)
    assert len(loads) == 2
    assert evaluation.samples == 12
    assert next(iter(evaluation.outputs.values())).snr_db > 20


def test_before_there_are_data(loads: list[Any]) -> None:
    module = nets.seeded(nets.Choosing)
    verdict = tinsmith.check(module, example_input=nets.numbers(4, 4))
    assert verdict.deployable
    assert verdict.notes[0].startswith("PyTorch's older exporter was used")
    assert tinsmith.check(module, input_shapes={"x": (1, 4)}).deployable
    assert len(loads) == 2


def test_what_the_exporters_say_reaches_the_user() -> None:
    quantized = tinsmith.quantize(nets.seeded(nets.Choosing), nets.numbers(8, 4), effort="fast")
    assert quantized.notes[0].startswith("PyTorch's older exporter was used")


def test_generators_need_an_example(loads: list[Any]) -> None:
    module = nets.seeded(nets.Cnn)
    with pytest.raises(DataError, match=r"a generator can be walked over only once.*Give example_input"):
        tinsmith.quantize(module, iter(X), effort="fast")
    found = examine(module, iter(X), example_input=X)
    assert found.samples == 12
    assert len(loads) == 2


def test_commands(tmp_path: Path) -> None:
    module = nets.seeded(nets.Cnn).eval()
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(module, X[:1]).save(str(tmp_path / "net.pt"))
    torch.export.save(torch.export.export(module, (X[:1],)), str(tmp_path / "net.pt2"))
    np.save(tmp_path / "x.npy", X.numpy())
    torch.save(module.state_dict(), tmp_path / "weights.pt")

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, [word.replace("@", f"{tmp_path}/") for word in words])

    for name in ("@net.pt", "@net.pt2"):
        words = ("quantize", name, "--data", "@x.npy", "--effort", "fast", "-o", "@out")
        assert run(*words).exit_code == 0
    ran = run("eval", "@out/model.espdl", "--data", "@x.npy", "--float", "@net.pt")
    assert ran.exit_code == 0, ran.output
    assert run("check", "@net.pt2").exit_code == 0
    assert run("check", "@net.pt", "--input-shape", "image=1,3,12,12").exit_code == 0
    ran = run("check", "@net.pt")
    assert ran.exit_code == 2
    assert "--input-shape" in ran.output
    ran = run("check", "@weights.pt")
    assert ran.exit_code == 2
    assert "this file holds weights (a state dict) and no model" in ran.output
