"""Scripts of the tutorials run with only their import roots changed, and print what the chip computes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from tests.examples.running import ran

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
NETWORKS = {"gesture net, digits": "gesture_model.onnx", "MobileNetV2, digits": "mobilenet_v2.onnx"}
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


@cache
def trained(folder: str, epochs: int, output: Path) -> Path:
    """The folder with the network of an example, trained by its script as it is."""
    ran(EXAMPLES / folder / "train.py", "--epochs", str(epochs), "--output", output)
    return output


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


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, scripts: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    needs_torch()
    needs_digits()
    flow, output = FEW[name], tmp_path
    network(name, flow, scripts, output, trained(flow.folder, 2, tmp_path_factory.mktemp(flow.folder)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_on_all_samples(name: str, scripts: Path, tmp_path: Path) -> None:
    needs_torch()
    needs_digits()
    flow = ALL[name]
    network(name, flow, scripts, tmp_path, trained(flow.folder, 6, tmp_path / "trained"))


def network(name: str, flow: Flow, scripts: Path, output: Path, folder: Path) -> None:
    """The files of a flow answer as the float network does, and so says its script."""
    model = output / NETWORKS[name]
    shutil.copy(folder / model.name, model)
    before = model.read_bytes()
    chip = agree(flow, run(flow, scripts, output), output)
    assert model.read_bytes() == before
    samples, labels = flow.held()
    session = ort.InferenceSession(model)
    rows = [session.run(None, {session.get_inputs()[0].name: sample[None]})[0][0] for sample in samples]
    right = int((np.argmax(rows, axis=1) == labels).sum())
    for scores in chip.values():
        assert int((scores.reshape(len(labels), -1).argmax(1) == labels).sum()) >= right - max(2, len(labels) // 50)


def test_two_layers_are_dispatched_to_int16(scripts: Path, tmp_path: Path) -> None:
    needs_torch()
    needs_digits()
    flow = FEW["gesture net, digits"]
    shutil.copy(trained(flow.folder, 2, tmp_path) / "gesture_model.onnx", tmp_path)
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
