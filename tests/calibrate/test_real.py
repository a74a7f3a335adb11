"""Trained networks and real data: the quick form against the definition, and memory."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from tests.shared import shared_path
from tinsmith.calibrate import choose_exponent, observe, open_data
from tinsmith.calibrate.inputs import InputSpec
from tinsmith.quant.rounding import Rounding


def load(name: str, shape: tuple[int, ...]) -> tuple[ir.Model, list[str]]:
    """A model with its batch fixed, and all its float values."""
    model = ir.load(shared_path(f"data/models/{name}.onnx"))
    values = []
    for value in (value for node in model.graph for value in node.outputs):
        if value.dtype is None or value.dtype.is_floating_point():
            values.append(value.name or "")
        value.shape = None
    model.graph.inputs[0].shape = ir.Shape(shape)
    return model, ["input", *values]


def cifar(count: int) -> np.ndarray:
    return np.load(shared_path("data/cifar10_2000.npz"))["X"][-count:]


def gestures(count: int) -> np.ndarray:
    return np.load(shared_path("data/signdigits96.npz"))["X"][:count].reshape(-1, 1, 96, 96) / np.float32(255)


@pytest.mark.parametrize(
    ("name", "shape", "layout", "rows"),
    [
        ("resnet8_cifar10", (1, 3, 32, 32), "NHWC", cifar),
        ("lightgesturenet_signdigits", (1, 1, 96, 96), None, gestures),
    ],
)
def test_the_quick_form_chooses_as_the_definition_does(
    name: str, shape: tuple[int, ...], layout: str, rows: Callable[[int], np.ndarray]
) -> None:
    model, values = load(name, shape)
    data = open_data(rows(6), [InputSpec("input", shape)], layout=layout)
    exact = observe(model, values, data, rounding=Rounding.HALF_UP, exact=True)
    quick = observe(model, values, data, rounding=Rounding.HALF_UP)
    assert len(values) > 20
    for bits in (8, 16):
        expected = {value: choose_exponent(exact[value], bits) for value in values}
        assert {value: choose_exponent(quick[value], bits) for value in values} == expected
    gains = Counter(exact[value].fit(8) - choose_exponent(exact[value], 8) for value in values)
    assert gains[0] > 0
    assert gains[1] > 0


MEASURE = """
import sys
from pathlib import Path
from tests.calibrate.test_real import load
from tinsmith.calibrate import observe, open_data
from tinsmith.calibrate.inputs import InputSpec
from tinsmith.quant.rounding import Rounding
model, values = load("resnet8_cifar10", (1, 3, 32, 32))
data = open_data(sys.argv[1], [InputSpec("input", (1, 3, 32, 32))], layout="NHWC", limit=int(sys.argv[2]))
observe(model, values, data, rounding=Rounding.HALF_UP, histograms=True)
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc, which Linux has")
def test_resident_memory_with_500_samples_is_that_with_32(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, cifar(500))
    root = Path(__file__).resolve().parents[2]

    def peak(samples: int) -> int:
        command = [sys.executable, "-c", MEASURE, str(path), str(samples)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)

    assert peak(500) <= 1.1 * peak(32)
