"""Resize in int16, and over few channels on vector chips: data movers, convolutions and products instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, INTEGER, P4, S3, Array, C, float_node, lowered, whole
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.resampling import phases
from tinsmith.ops.resize_positions import float_stretches
from tinsmith.ops.resize_steps import blends
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
HALF_PIXEL = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
CORNERS = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
SEEDS = st.integers(0, 2**32 - 1)


def network(lengths: tuple[int, ...], results: tuple[int, ...], attributes: dict[str, Any], channels: int) -> FloatNode:
    sizes = np.int64([1, channels, *results])
    return float_node("Resize", [(1, channels, *lengths), None, None, sizes], (1, channels, *results), attributes)


def run(node: FloatNode, x: Array, bits: int, target: Target, exponents: tuple[int, int] = (-5, -5)) -> Array:
    """The lowered node's result, the same in both forms; x and the result are channels-last."""
    program = lowered(node, {"in0": exponents[0], "y": exponents[1]}, bits, target)
    assert violations(program, target) == []
    assert not any(step.op_type == "Resize" for step in program.nodes)
    expected = interpret(program, {"in0": x}, target)["y"]
    form = compile_program(program, target)
    assert [part.reason for part in form.parts if isinstance(part, NodePart)] == []
    np.testing.assert_array_equal(form.run({"in0": x})["y"], expected)
    assert program.outputs[0].shape == expected.shape
    return expected


CASES = st.integers(1, 2).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(2, 6), min_size=count, max_size=count),
        st.lists(st.integers(1, 13), min_size=count, max_size=count),
    )
)


@given(target=FAMILIES, case=CASES, wide=st.booleans(), channels=st.sampled_from([1, 3, 16]), seed=SEEDS)
def test_nearest_moves_elements(
    target: Target, case: tuple[list[int], list[int]], wide: bool, channels: int, seed: int
) -> None:
    lengths, results = case
    if lengths == results:
        return
    if not wide and (target is C or channels == 16 or results == [2 * n for n in lengths]):
        return
    node = network(tuple(lengths), tuple(results), NEAREST, channels)
    x = whole((1, *lengths, channels), 16 if wide else 8, np.random.default_rng(seed))
    picked = x
    for axis, stretch in enumerate(float_stretches(node), 1):
        picked = picked.take(stretch.nearest(), axis=axis)
    assert run(node, x, 16 if wide else 8, target).tolist() == picked.tolist()


@pytest.mark.parametrize("attributes", [HALF_PIXEL, CORNERS])
@given(target=FAMILIES, case=CASES, channels=st.sampled_from([1, 3, 8, 16]), finer=st.integers(-1, 2), seed=SEEDS)
def test_linear_in_int16(
    attributes: dict[str, Any], target: Target, case: tuple[list[int], list[int]], channels: int, finer: int, seed: int
) -> None:
    """Each of at most two steps rounds once, and a weight is off by at most half of 2^-14."""
    lengths, results = case
    node = network(tuple(lengths), tuple(results), attributes, channels)
    steps = blends(float_stretches(node), aligned=attributes is CORNERS)
    if not steps:
        return
    x = whole((1, *lengths, channels), 16, np.random.default_rng(seed))
    y = run(node, x, 16, target, (-5, -5 - finer))
    exact = x.astype(np.float64)
    for step in steps:
        exact = np.moveaxis(np.tensordot(step.weights, exact, axes=(1, step.axis)), 0, step.axis)
    exact = np.clip(exact * 2.0**finer, -32768, 32767)
    bound = 0.5 + len(steps) * (0.5 + 2 * 2.0**15 * 2.0**-15) * 2.0**finer
    assert y.dtype == INTEGER[16]
    assert np.abs(y - exact).max() <= bound


def test_weights_of_a_factor_that_is_a_power_of_two_are_exact() -> None:
    node = network((3, 4), (6, 8), HALF_PIXEL, 16)
    x = (np.arange(3 * 4 * 16).reshape(1, 3, 4, 16) * 16).astype(np.int16)
    exact = x.astype(np.float64)
    for step in blends(float_stretches(node), aligned=False):
        exact = np.moveaxis(np.tensordot(step.weights, exact, axes=(1, step.axis)), 0, step.axis)
    for target in (S3, P4, C):
        assert run(node, x, 16, target).tolist() == exact.tolist()


@pytest.mark.parametrize(
    ("lengths", "results", "attributes", "expected"),
    [
        ((4, 4), (8, 8), NEAREST, ["Concat", "Reshape"] * 2),
        ((6, 6), (3, 2), NEAREST, ["Slice", "Slice"]),
        ((6, 6), (6, 4), NEAREST, ["Gather"]),
        ((4, 4), (8, 4), HALF_PIXEL, ["Pad", "Conv", "Conv", "Concat", "Reshape"]),
        ((4, 4), (4, 7), HALF_PIXEL, ["Transpose", "MatMul", "Transpose"]),
        ((4,), (8,), HALF_PIXEL, ["Pad", "Conv", "Conv", "Concat", "Reshape"]),
    ],
)
def test_what_stands_for_it(
    lengths: tuple[int, ...], results: tuple[int, ...], attributes: dict[str, Any], expected: list[str]
) -> None:
    program = lowered(network(lengths, results, attributes, 8), {"in0": -5, "y": -5}, 16, P4)
    assert [node.op_type for node in program.nodes] == expected


def test_what_is_no_alternation_of_kernels() -> None:
    assert phases(np.eye(4)) is None
    assert phases(np.repeat(np.eye(4), 9, axis=0)) is None
    assert phases(np.repeat(np.eye(4), 2, axis=0)[::-1]) is None
    assert phases(np.zeros((8, 4))) is None
    assert phases(np.ones((2, 1))) is None
    found = phases(np.repeat(np.eye(4), 2, axis=0))
    assert found is not None
    assert (found.count, found.before, found.after) == (2, 0, 0)
