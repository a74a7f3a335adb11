"""Scripts of the tutorials run with only their import roots changed, and print what the chip computes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tests.cli.shell import ok
from tests.examples.running import ran
from tests.small_net import answers, classifier, images, saved

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # its files are scripts that import each other

import flow_plan  # noqa: E402
import tinsmith  # noqa: E402
from flow_plan import EXAMPLES, Array, Flow, substituted  # noqa: E402
from flows import on_chip  # noqa: E402

PAGE = ROOT / "docs/migrating-from-esp-ppq.md"
FEW = {flow.name: flow for flow in flow_plan.flows(None, None, few=True)}
ALL = {flow.name: flow for flow in flow_plan.flows(None, None, few=False)}
SINES = [name for name in FEW if name.startswith("sine")]
NETWORKS = ["gesture net, digits", "MobileNetV2, digits"]
V1 = [name for name in FEW if name.startswith("v1")]


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples with other import roots."""
    folder = tmp_path_factory.mktemp("examples")
    for path in EXAMPLES.glob("*/*"):
        if path.is_file():
            (folder / path.parent.name).mkdir(exist_ok=True)
            shutil.copy(path, folder / path.parent.name)
    for path in folder.glob("*/*.py"):
        path.write_text(substituted(path.read_text("utf-8")), "utf-8")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """The network of an example, trained by its script as it is, once for each number of epochs."""

    @cache
    def train(folder: str, epochs: int) -> Path:
        needs_torch()
        needs_digits()
        output = tmp_path_factory.mktemp(folder)
        ran(EXAMPLES / folder / "train.py", "--epochs", str(epochs), "--output", output)
        (model,) = output.glob("*.onnx")
        return model

    return train


def run(flow: Flow, scripts: Path, output: Path, *arguments: str) -> str:
    """What the script of a flow prints; every file is there afterwards."""
    printed = ran(scripts / flow.folder / flow.script, *flow.arguments, *arguments, "--output", output)
    for row in flow.rows:
        for suffix in (".espdl", ".json", ".info"):
            assert (output / row.file).with_suffix(suffix).is_file()
    return printed


def agree(flow: Flow, printed: str, output: Path) -> dict[str, Array]:
    """Every printed figure is that of its file, simulated exactly; what the chip computes, by row."""
    samples, expected = flow.held()
    found = {}
    for row in flow.rows:
        claim = re.search(row.claim, printed, flags=re.MULTILINE)
        assert claim is not None, printed
        found[row.name] = on_chip(output / row.file, samples)
        assert " ".join(claim.groups()) == flow.figure(found[row.name], expected)
    return found


def needs_torch() -> None:
    pytest.importorskip("torch", reason="needs PyTorch: pip install 'tinsmith[torch]'")


def needs_digits() -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn's digits: pip install 'tinsmith[examples]'")


@pytest.mark.parametrize("name", SINES)
def test_sine(name: str, scripts: Path, tmp_path: Path) -> None:
    needs_torch()
    flow = FEW[name]
    steps = ("--steps", "600") if flow.script == "from_torch.py" else ()
    printed = run(flow, scripts, tmp_path, *steps)
    (values,) = agree(flow, printed, tmp_path).values()
    _, expected = flow.held()
    assert np.abs(values.reshape(expected.shape) - expected).mean() < 0.05
    assert printed.count("NOISE:SIGNAL POWER RATIO") == 2  # graphwise, layerwise

    program = tinsmith.read(tmp_path / flow.rows[0].file)
    (source,) = program.test_inputs.values()
    (wanted,) = program.test_outputs.values()
    (given,) = tinsmith.simulate(program, {program.inputs[0].name: source}).values()
    np.testing.assert_array_equal(given, wanted)
    np.testing.assert_array_equal(source, np.round(1.0 * 2.0 ** -program.inputs[0].exponent))


def network(flow: Flow, scripts: Path, original: Path, output: Path) -> None:
    """The files of a flow answer as the float network does, and so says its script."""
    model = output / original.name
    shutil.copy(original, model)
    chip = agree(flow, run(flow, scripts, output), output)
    assert model.read_bytes() == original.read_bytes()
    samples, labels = flow.held()
    session = ort.InferenceSession(model)
    rows = [session.run(None, {session.get_inputs()[0].name: sample[None]})[0][0] for sample in samples]
    right = int((np.argmax(rows, axis=1) == labels).sum())
    assert right > 0.7 * len(labels)
    for scores in chip.values():
        answers = scores.reshape(len(labels), -1).argmax(1)
        assert int((answers == labels).sum()) >= right - max(3, len(labels) // 50)


Trained = Callable[[str, int], Path]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, scripts: Path, trained: Trained, tmp_path: Path) -> None:
    network(FEW[name], scripts, trained(FEW[name].folder, 2), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_on_all_samples(name: str, scripts: Path, trained: Trained, tmp_path: Path) -> None:
    network(ALL[name], scripts, trained(ALL[name].folder, 6), tmp_path)


def test_two_layers_are_dispatched_to_int16(scripts: Path, trained: Trained, tmp_path: Path) -> None:
    flow = FEW["gesture net, digits"]
    shutil.copy(trained(flow.folder, 2), tmp_path)
    ran(scripts / flow.folder / flow.script, *flow.arguments, "--strategies", "mixed", "--output", tmp_path)
    program = tinsmith.read(tmp_path / flow.rows[1].file)
    widths = {node.name: node.attributes["quant_type"] for node in program.nodes}
    assert {"/features/features.0/Conv": "S16", "/classifier/Gemm": "S8"}.items() <= widths.items()


@pytest.mark.parametrize("name", V1)
def test_v1(name: str, scripts: Path, tmp_path: Path) -> None:
    needs_digits()
    flow = FEW[name]
    printed = run(flow, scripts, tmp_path)
    agree(flow, printed, tmp_path)
    right, floats = (float(found) for found in re.findall(r"^accuracy .*: ([\d.]+) %$", printed, flags=re.MULTILINE))
    assert right >= floats - 3


def test_the_manual_changes_the_imports_as_the_tests_do(tmp_path: Path) -> None:
    commands = re.findall(r"^sed .*$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert len(commands) == 2
    for path in [*EXAMPLES.glob("esp_*/*.py"), *EXAMPLES.glob("sin/*.py")]:
        copy = tmp_path / f"{path.parent.name}_{path.name}"
        shutil.copy(path, copy)
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    for path in [*EXAMPLES.glob("esp_*/*.py"), *EXAMPLES.glob("sin/*.py")]:
        copy = tmp_path / f"{path.parent.name}_{path.name}"
        assert copy.read_text("utf-8") == substituted(path.read_text("utf-8"))


def test_only_import_lines_change() -> None:
    for path in EXAMPLES.glob("esp_*/*.py"):
        old = path.read_text("utf-8").splitlines()
        changed = [line for line, new in zip(old, substituted("\n".join(old)).split("\n"), strict=True) if line != new]
        assert all(line.startswith(("from ", "import ")) for line in changed)
        assert bool(changed) == (path.name in ("from_onnx.py", "from_torch.py", "quantize.py", "example.py"))


def test_the_manual_has_the_table_of_options() -> None:
    from tinsmith.compat.esp_ppq.mapping import OPTIONS

    rows = re.findall(r"^\| (.*) \| (.*) \|$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    start = rows.index(("esp-ppq", "tinsmith")) + 2
    assert rows[start : start + len(OPTIONS)] == list(OPTIONS)


def test_the_next_step_of_the_manual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, test = classifier(), images(8, seed=2)
    saved(model, tmp_path / "model.onnx")
    for name, array in {"calibration": images(8), "test": test, "labels": answers(model, test)}.items():
        np.save(tmp_path / f"{name}.npy", array)
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    (code,) = (
        block for block in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if "numpy" in block
    )
    found: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), found)
    assert {name: array.shape for name, array in found["scores"].items()} == {"scores": (8, 6)}
    assert len(found["program"].test_inputs) == 1
    commands = re.findall(r"^tinsmith .*$", text, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        ok(*shlex.split(command)[1:])
