"""Single kernels of the chips, through files: written, read back and simulated, legal or not."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.conformance.kernel_files import OPERATORS, TARGETS, both, program_of
from tests.shared import shared_files

CASES = [path for path in shared_files("golden/kernels/*/*.npz") if str(np.load(path)["op"]) in OPERATORS]
ILLEGAL = ("exponents_differ", "bias_beyond", "prelu16_c16_sh1", "prelu16_c21_sh1", "resize8_2x2_c20_sh1")


@pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_kernel(path: Path, tmp_path: Path) -> None:
    case = dict(np.load(path).items())
    file = tmp_path / "kernel.espdl"
    tinsmith.write(program_of(case), file)
    program = tinsmith.read(file)
    assert program == program_of(case)
    inputs = {name: case[name] for name in ("x", "z") if name in case}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = both(program, inputs, TARGETS[str(case["target"])])
    assert found["y"].shape == case["y"].shape
    assert int(np.sum(found["y"] != case["y"])) == 0
    if not any(part in path.stem for part in ILLEGAL):
        assert [str(warning.message) for warning in caught] == []


@pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("name", ["add8_exponents_differ_ignored", "add16_exponents_differ_ignored"])
def test_what_an_exporter_must_refuse_runs_with_a_warning(name: str) -> None:
    (path,) = (p for p in CASES if p.parts[-2:] == ("s3", f"{name}.npz"))
    case = dict(np.load(path).items())
    with pytest.warns(UserWarning, match="exponents"):
        found = tinsmith.simulate(program_of(case), {"x": case["x"], "z": case["z"]}, "esp32s3")
    assert found["y"].tolist() == case["y"].tolist()


@pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")
def test_a_bias_beyond_the_lane_wraps_with_a_warning() -> None:
    (path,) = (p for p in CASES if p.parts[-2:] == ("s3", "conv8_bias_beyond_20bit.npz"))
    case = dict(np.load(path).items())
    with pytest.warns(UserWarning, match="20 bits"):
        found = tinsmith.simulate(program_of(case), {"x": case["x"]}, "esp32s3")
    assert found["y"].tolist() == case["y"].tolist()
