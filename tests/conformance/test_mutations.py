"""Files of other exporters with other numbers: both forms agree on any exponents, any integers, any chip."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests.conformance.kernel_files import both
from tests.shared import shared_files
from tinsmith.program import DType, Program, Value

FILES = shared_files("golden/ops/*/*/*.espdl")
TARGETS = ("esp32s3", "esp32p4", "c")
FAST = 30
"""Every so many files in the fast form; every third in the slow one."""
TIED = ("GRU", "LSTM")
"""Their state has the gates' exponent, which the runtime asserts."""


def numbers(value: Value, program: Program, rng: np.random.Generator) -> Any:
    """Any numbers of the value's type; integers are small, large, anything or at the ends of the range."""
    if value.dtype is DType.FLOAT:
        return (rng.standard_normal(value.shape) * rng.choice([1e-3, 1, 50])).astype(np.float32)
    if not value.dtype.quantized:
        return program.test_inputs[value.name]
    low, high = np.iinfo(value.dtype.numpy).min, np.iinfo(value.dtype.numpy).max
    anything = rng.integers(low, high + 1, value.shape)
    ends = np.where(rng.random(value.shape) < rng.choice([0.05, 0.5, 0.95]), low, high)
    small = rng.integers(-3, 4, value.shape)
    chosen = [anything, ends, small, np.where(rng.random(value.shape) < 0.5, ends, anything)][rng.integers(4)]
    return np.asarray(chosen).astype(value.dtype.numpy)


def moved(program: Program, rng: np.random.Generator) -> Program:
    """Other exponents, up to 2 away, for about half of the values."""

    def other(value: Value) -> Value:
        if not value.dtype.quantized or rng.random() < 0.5:
            return value
        return replace(value, exponents=tuple(e + int(rng.integers(-2, 3)) for e in value.exponents))

    values = {name: other(value) for name, value in program.values.items()}
    inputs, outputs = (tuple(values[v.name] for v in ends) for ends in (program.inputs, program.outputs))
    return replace(program, values=values, inputs=inputs, outputs=outputs)


def check(files: list[Path], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for path in files:
        program = tinsmith.read(path)
        for target in TARGETS:
            tied = any(node.op_type in TIED for node in program.nodes)
            mutant = program if tied or rng.random() < 0.3 else moved(program, rng)
            inputs = {value.name: numbers(value, program, rng) for value in mutant.inputs}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                both(mutant, inputs, target, save_all=True)


@pytest.mark.skipif(not FILES, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("offset", range(3))
def test_both_forms_agree(offset: int) -> None:
    check(FILES[offset :: 3 * FAST], offset)


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="needs the reference files (set TINSMITH_SHARED)")
def test_both_forms_agree_on_a_third_of_all_files() -> None:
    check(FILES[::3], 100)
