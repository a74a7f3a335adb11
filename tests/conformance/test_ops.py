"""Every single-operator case: the interpreter and the compiled form compute what the runtime computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conformance.compare import differing
from tests.shared import shared_files
from tinsmith.espdl import read
from tinsmith.simulator.compiled import compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import find

CASES = shared_files("golden/ops/*/*/*.espdl")


@pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parts[-3]}/{p.stem}")
def test_case(path: Path) -> None:
    program = read(path)
    target = find(path.parts[-3].rpartition("_")[0])
    expected = np.load(path.with_suffix(".npz"))
    interpreted = interpret(program, program.test_inputs, target)
    compiled = compile_program(program, target).run(program.test_inputs)
    assert expected.files
    for key in expected.files:
        name = key.replace("|", "/")
        assert differing(interpreted[name], expected[key]) == 0, f"{name}: interpreter"
        assert np.array_equal(interpreted[name], compiled[name], equal_nan=interpreted[name].dtype.kind == "f"), name
