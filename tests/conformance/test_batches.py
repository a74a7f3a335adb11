"""Batches, sequences and float inputs on published models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests.shared import shared_files
from tinsmith.program import Program

CASES = shared_files("golden/models/*.espdl")
STREAMING = [path for path in CASES if "streaming" in path.stem]
needs_files = pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")


def target_of(path: Path) -> str:
    return path.stem.partition("__")[0]


def noise(program: Program, count: int, seed: int = 1) -> dict[str, Any]:
    """``count`` samples of every input, integers over the whole range, batch first."""
    rng = np.random.default_rng(seed)
    found = {}
    for value in program.inputs:
        limits = np.iinfo(value.dtype.numpy)
        shape = (count, *value.shape[1:]) if value.shape[0] == 1 else (count, *value.shape)
        found[value.name] = rng.integers(limits.min, limits.max + 1, shape).astype(value.dtype.numpy)
    return found


def sample(inputs: dict[str, Any], index: int) -> dict[str, Any]:
    return {name: array[index : index + 1] for name, array in inputs.items()}


def joined(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f"), name


@needs_files
@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_batch_is_independent_runs(path: Path) -> None:
    program, target = tinsmith.read(path), target_of(path)
    inputs = noise(program, 3)
    alone = [tinsmith.simulate(program, sample(inputs, index), target) for index in range(3)]
    same(tinsmith.simulate(program, inputs, target), joined(alone))


@needs_files
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreter"])
@pytest.mark.parametrize("path", STREAMING, ids=lambda p: p.stem)
def test_a_simulator_remembers_until_it_is_reset(path: Path, compiled: bool) -> None:
    program, target = tinsmith.read(path), target_of(path)
    inputs = noise(program, 4)
    simulator = tinsmith.Simulator(program, target, compiled=compiled)
    first = [simulator.run(sample(inputs, index), save_all=True) for index in range(4)]
    fresh = [tinsmith.simulate(program, sample(inputs, index), target, save_all=True) for index in range(4)]
    same(first[0], fresh[0])
    changed = [name for name in first[1] if not np.array_equal(first[1][name], fresh[1][name])]
    assert changed
    same(simulator.run_independent(inputs), tinsmith.simulate(program, inputs, target))
    simulator.reset()
    same(simulator.run(inputs, save_all=True), joined(first))


@needs_files
def test_both_forms_remember_the_same() -> None:
    program, target = tinsmith.read(STREAMING[0]), target_of(STREAMING[0])
    inputs = noise(program, 5, seed=3)
    runs = [tinsmith.Simulator(program, target, compiled=compiled).run(inputs) for compiled in (True, False)]
    same(runs[0], runs[1])


@needs_files
@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_float_inputs_are_rounded_as_the_chip_does_in_the_file_s_layout(path: Path) -> None:
    program, target = tinsmith.read(path), target_of(path)
    rng = np.random.default_rng(4)
    real, whole = {}, {}
    for value in program.inputs:
        limits, unit = np.iinfo(value.dtype.numpy), 2.0**value.exponent
        real[value.name] = (rng.uniform(limits.min - 5, limits.max + 5, value.shape) * unit).astype(np.float32)
        real[value.name].reshape(-1)[:4] = np.float32([0.5, 1.5, -0.5, -1.5]) * np.float32(unit)
        scaled = real[value.name].astype(np.float64) / unit
        rounded = np.rint(scaled) if target == "esp32p4" else np.floor(scaled + 0.5)
        whole[value.name] = np.clip(rounded, limits.min, limits.max).astype(value.dtype.numpy)
    same(tinsmith.simulate(program, real, target), tinsmith.simulate(program, whole, target))


@needs_files
def test_inputs_that_do_not_fit() -> None:
    path = next(p for p in CASES if "gesture" in p.stem)
    program, target = tinsmith.read(path), target_of(path)
    inputs = noise(program, 1)
    (name,) = inputs

    def error(message: str, **changed: Any) -> None:
        with pytest.raises(tinsmith.TinsmithError, match=message):
            tinsmith.simulate(program, {**inputs, **changed}, target)

    error("no such input", other=inputs[name])
    error("expected", **{name: inputs[name][:, 1:]})
    error("do not fit", **{name: inputs[name].astype(np.int32) + 1000})
    error("NaN", **{name: np.full(inputs[name].shape, np.nan, np.float32)})
    error("not numbers", **{name: inputs[name].astype(str)})
    with pytest.raises(tinsmith.TinsmithError, match="no array was given"):
        tinsmith.simulate(program, {}, target)
    with pytest.raises(tinsmith.TinsmithError, match="does not record its target"):
        tinsmith.simulate(program, inputs)
    with pytest.raises(tinsmith.TinsmithError, match="Did you mean 'esp32p4'"):
        tinsmith.simulate(program, inputs, "esp32p")
    as_wide = {name: inputs[name].astype(np.int64)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(tinsmith.simulate(program, as_wide, target), tinsmith.simulate(program, inputs, target))
