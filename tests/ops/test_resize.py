"""Resize: which elements the runtime reads, its float32 steps, and what float networks may ask of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, Array, C, OneNode, float_node, lowered, objections, whole
from tests.ops.test_division import stored
from tinsmith.errors import ProgramError
from tinsmith.ops import find
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.resize_positions import MODES
from tinsmith.program import DType
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

F = np.float32
COORDINATES = "coordinate_transformation_mode"
SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.lists(st.integers(2, 6), min_size=1, max_size=2)
FACTORS = st.sampled_from([1.0, 2.0, 3.0, 1.5, 2.5, 0.5, 1.3, 4.0])


def resized(
    target: Target, x: Array, exponents: tuple[int, int], attributes: dict[str, Any], scales: list[float]
) -> OneNode:
    node = OneNode("Resize", target, DType.INT8, exponents[1], attributes).feed(x, exponents[0]).absent()
    return node.constant(np.float32([1, 1, *scales]))


def nearest_index(i: int, n: int, scale: float) -> int:
    return min(int(F(F(i) * F(F(1) / F(scale)))), n - 1)


@given(FAMILIES, LENGTHS, st.lists(FACTORS, min_size=2, max_size=2), st.integers(-1, 2), SEEDS)
def test_nearest(target: Target, lengths: list[int], factors: list[float], shift: int, seed: int) -> None:
    x = whole((1, *lengths, 3), 8, np.random.default_rng(seed))
    scales = factors[: len(lengths)]
    results = [int(F(n) * F(s)) for n, s in zip(lengths, scales, strict=True)]
    assume(min(results) > 0)
    y = resized(target, x, (-5, -5 + shift), {"mode": "nearest"}, scales).run()
    picked = x
    for axis, (n, s, out) in enumerate(zip(lengths, scales, results, strict=True), 1):
        picked = picked.take([nearest_index(i, n, s) for i in range(out)], axis=axis)
    assert y.tolist() == np.clip(target.rounding.rshift(picked, shift), -128, 127).tolist()


def neighbours(out: int, n: int, scale: Any, aligned: bool) -> list[tuple[int, Any]]:
    """x0 and the weight of x0 + 1, as arithmetic §12 has them."""
    found: list[tuple[int, Any]] = []
    for i in range(out):
        if aligned:
            fx = F(F(i) * F(F(1) / F(F(out - 1) / F(n - 1))))
        else:
            fx = F(F(F(F(i) + F(0.5)) * F(F(1) / F(scale))) - F(0.5))
        x0 = math.floor(fx)
        f = F(fx - F(x0))
        if x0 < 0:
            x0, f = 0, F(0)
        if x0 >= n - 1:
            x0, f = n - 2, F(1)
        found.append((x0, f))
    return found


def mixed(a: Any, b: Any, f: Any) -> Any:
    return F(F(a * F(F(1) - f)) + F(b * f))


@pytest.mark.parametrize("mode", ["half_pixel", "align_corners", "asymmetric"])
@given(FAMILIES, LENGTHS, st.lists(FACTORS, min_size=2, max_size=2), st.integers(-2, 2), SEEDS)
def test_linear_goes_along_the_width_first(
    mode: str, target: Target, lengths: list[int], factors: list[float], finer: int, seed: int
) -> None:
    """Whatever is not align_corners is computed as half_pixel."""
    x = whole((1, *lengths, 2), 8, np.random.default_rng(seed))
    scales = factors[: len(lengths)]
    results = [int(F(n) * F(s)) for n, s in zip(lengths, scales, strict=True)]
    assume(min(results) > 1)
    attributes = {"mode": "linear", "coordinate_transformation_mode": mode}
    y = resized(target, x, (-5, -5 - finer), attributes, scales).run()
    values: Any = (x.astype(np.float32) * F(2.0**-5)).astype(object)
    for axis in reversed(range(1, len(lengths) + 1)):
        places = neighbours(results[axis - 1], lengths[axis - 1], scales[axis - 1], mode == "align_corners")
        lines = np.moveaxis(values, axis, 0)
        rows = [
            [mixed(a, b, f) for a, b in zip(lines[i].ravel(), lines[i + 1].ravel(), strict=True)] for i, f in places
        ]
        values = np.empty((len(places), *lines.shape[1:]), object)
        for line, row in zip(values, rows, strict=True):
            line[...] = np.array(row, object).reshape(lines.shape[1:])
        values = np.moveaxis(values, 0, axis)
    expected = [stored(F(v * F(2.0 ** (5 + finer))), target, 8) for v in values.ravel()]
    assert y.ravel().tolist() == expected


def test_sizes_stand_for_scales() -> None:
    x = whole((1, 3, 2, 4), 8, np.random.default_rng(3))
    node = OneNode("Resize", P4, DType.INT8, -5, {"mode": "nearest"}).feed(x, -5).absent().absent()
    y = node.constant(np.int64([1, 4, 7, 4])).run()
    assert y.shape == (1, 7, 4, 4)
    picked = x.take([nearest_index(i, 3, float(F(7) / F(3))) for i in range(7)], axis=1)
    assert y.tolist() == np.repeat(picked, 2, axis=2).tolist()


def test_an_empty_tensor_is_no_scale() -> None:
    node = OneNode("Resize", P4, DType.INT8, -5, {"mode": "nearest"}).feed(np.zeros((1, 2, 2, 1), np.int8), -5)
    node = node.constant(np.zeros(0, np.float32)).constant(np.zeros(0, np.float32)).constant(np.int64([1, 1, 4, 4]))
    assert node.run().shape == (1, 4, 4, 1)
    bare = OneNode("Resize", P4, DType.INT8, -5).feed(np.zeros((1, 2, 2, 1), np.int8), -5)
    with pytest.raises(ProgramError, match="neither scales nor sizes"):
        bare.interpreted()


def test_single_elements_do_not_interpolate() -> None:
    """The runtime would read before the row; the constraints keep such nodes away, files may have them."""
    node = resized(C, np.int8([[[[7], [9]]]]), (-5, -5), {"mode": "linear"}, [2, 2])
    assert node.run().tolist() == [[[[7], [8], [9], [9]]] * 2]


def network(
    lengths: tuple[int, ...],
    results: tuple[int, ...],
    attributes: dict[str, Any],
    *,
    channels: int = 16,
    scales: list[float] | None = None,
) -> FloatNode:
    shapes: list[Any] = [(1, channels, *lengths), None]
    shapes += [None, np.int64([1, channels, *results])] if scales is None else [np.float32([1, 1, *scales])]
    return float_node("Resize", shapes, (1, channels, *results), attributes)


def onnx_result(x: Array, node: FloatNode) -> Array:
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    names, constants = [], []
    for operand in node.inputs:
        names.append("" if operand is None else operand.name)
        if operand is not None and operand.const is not None:
            constants.append(numpy_helper.from_array(operand.const, operand.name))
    made = helper.make_node("Resize", names, ["y"], **dict(node.attributes))
    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("in0", x.shape), ("y", None))]
    graph = helper.make_graph([made], "g", info[:1], info[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"in0": x.astype(np.float32)})[0])


WAYS = st.sampled_from(MODES)
ROUNDINGS = st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])


@given(LENGTHS, st.lists(FACTORS, min_size=2, max_size=2), WAYS, ROUNDINGS, st.booleans())
def test_an_accepted_nearest_node_means_what_onnx_means(
    lengths: list[int], factors: list[float], mode: str, rounding: str, by_scale: bool
) -> None:
    scales = factors[: len(lengths)]
    results = tuple(math.floor(n * s) for n, s in zip(lengths, scales, strict=True))
    assume(min(results) > 0)
    attributes = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": rounding}
    node = network(tuple(lengths), results, attributes, scales=scales if by_scale else None)
    x = np.arange(16 * math.prod(lengths)).reshape(1, *lengths, 16) % 256 - 128
    meant = np.moveaxis(onnx_result(np.moveaxis(x, -1, 1), node), 1, -1)
    program = lowered(node, {"in0": -5, "y": -5}, 8, P4)
    computed = interpret(program, {"in0": x.astype(np.int8)}, P4)["y"]
    assert computed.tolist() == meant.tolist() or ["floor(i / scale)" in m for m in objections(node, P4)] == [True]


@given(LENGTHS, st.lists(FACTORS, min_size=2, max_size=2), WAYS)
def test_an_accepted_linear_node_means_what_onnx_means(lengths: list[int], factors: list[float], mode: str) -> None:
    scales = factors[: len(lengths)]
    results = tuple(math.floor(n * s) for n, s in zip(lengths, scales, strict=True))
    assume(min(results) > 1)
    node = network(tuple(lengths), results, {"mode": "linear", "coordinate_transformation_mode": mode}, scales=scales)
    assume(objections(node, P4) == [])
    x = np.arange(16 * math.prod(lengths)).reshape(1, *lengths, 16) % 256 - 128
    meant = np.moveaxis(onnx_result(np.moveaxis(x, -1, 1), node), 1, -1)
    program = lowered(node, {"in0": -5, "y": -5}, 8, P4)
    computed = interpret(program, {"in0": x.astype(np.int8)}, P4)["y"]
    assert np.abs(computed - meant).max() <= 0.5 + 255 * 2e-4


def test_lowering_says_what_the_runtime_computes() -> None:
    node = network((4, 4), (8, 8), {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"}, scales=[2, 2])
    program = lowered(node, {"in0": -5, "y": -5}, 8, S3)
    (only,) = program.nodes
    assert (only.attributes["coordinate_transformation_mode"], only.attributes["nearest_mode"]) == (
        "asymmetric",
        "floor",
    )
    assert only.inputs[1] == ""
    assert program.constants[only.inputs[2]].data.tolist() == [1, 1, 2, 2]


def test_scales_that_give_another_shape_in_single_precision_become_sizes() -> None:
    """f32(10 · f32(1.1)) is 11, f32(3 · f32(1/3)·…) may fall below: then the sizes say it."""
    node = network((10,), (12,), {"mode": "nearest"}, scales=[1.25])
    assert [n.inputs[2] for n in lowered(node, {"in0": -5, "y": -5}, 8, C).nodes] == ["in2"]
    odd = float_node("Resize", [(1, 16, 10), None, np.float32([1, 1, 1.29])], (1, 16, 13), {"mode": "nearest"})
    (only,) = lowered(odd, {"in0": -5, "y": -5}, 8, C).nodes
    assert only.inputs[1:3] == ("", "")
    assert len(only.inputs) == 4


def test_scales_for_some_axes_are_completed() -> None:
    shapes = [(1, 16, 4, 4), None, np.float32([2, 2])]
    node = float_node("Resize", shapes, (1, 16, 8, 8), {"mode": "nearest", "axes": (2, 3), "nearest_mode": "floor"})
    program = lowered(node, {"in0": -5, "y": -5}, 8, C)
    assert program.constants[program.nodes[0].inputs[2]].data.tolist() == [1, 1, 2, 2]
    assert "axes" not in program.nodes[0].attributes


NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (network((4, 4), (8, 8), {**LINEAR, "mode": "cubic"}), "modes nearest and linear"),
        (network((4, 4), (8, 8), {**LINEAR, "antialias": 1}), "modes nearest and linear"),
        (network((4, 4), (8, 8), {**LINEAR, COORDINATES: "tf_crop_and_resize"}), "regions of interest"),
        (float_node("Resize", [(1, 16, 4, 4), None, (4,)], (1, 16, 8, 8), NEAREST), "constants"),
        (network((4, 4, 4), (8, 8, 8), NEAREST), "one or two spatial"),
        (float_node("Resize", [(1, 16, 4), None, np.float32([1, 2, 2])], (1, 32, 8), NEAREST), "samples nor channels"),
        (network((4, 4), (7, 7), {**NEAREST, "nearest_mode": "ceil"}), "floor(i / scale)"),
        (network((4, 4), (8, 8), {**LINEAR, COORDINATES: "asymmetric"}), "half_pixel or align_corners"),
        (network((1, 4), (2, 8), LINEAR), "mode=nearest"),
    ],
)
def test_what_the_runtime_would_compute_otherwise_is_refused(node: FloatNode, words: str) -> None:
    assert [words in m for m in objections(node, S3)] == [True]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    ("mode", "rounding"),
    [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")],
)
def test_whole_factors_mean_the_same_in_many_modes(factor: int, mode: str, rounding: str) -> None:
    attributes = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": rounding}
    assert objections(network((5, 6), (5 * factor, 6 * factor), attributes), P4) == []


def test_what_looks_alike_and_is_fine() -> None:
    assert objections(network((4, 4), (8, 8), NEAREST, channels=3), S3) == []
    assert objections(network((4, 4), (12, 12), NEAREST, channels=3), C) == []
    assert objections(network((4, 4), (12, 8), LINEAR, channels=3), P4) == []
    assert objections(network((4,), (8,), NEAREST, channels=16), P4) == []


def test_rules_of_files() -> None:
    few, many = np.zeros((1, 2, 2, 3), np.int8), np.zeros((1, 2, 2, 16), np.int8)
    assert resized(S3, few, (-5, -5), NEAREST, [2, 2]).broken_rules() == []
    assert ["garbage" in r for r in resized(S3, few, (-5, -5), NEAREST, [3, 3]).broken_rules()] == [True]
    assert resized(C, few, (-5, -5), NEAREST, [3, 3]).broken_rules() == []
    assert ["differ" in r for r in resized(P4, many, (-5, -4), NEAREST, [2, 2]).broken_rules()] == [True]
    assert resized(P4, many, (-5, -4), LINEAR, [2, 2]).broken_rules() == []
    wide = OneNode("Resize", P4, DType.INT16, 0, NEAREST).feed(few.astype(np.int16)).absent()
    assert ["int8 only" in r for r in wide.constant(np.float32([1, 1, 2, 2])).broken_rules()] == [True]


def test_nearest_keeps_its_exponent_and_linear_does_not() -> None:
    ports = {str(a["mode"]): find("Resize").ports(network((4,), (8,), a), P4) for a in (NEAREST, LINEAR)}
    assert {mode: found.tied for mode, found in ports.items()} == {"nearest": (0,), "linear": ()}
    assert find("Resize").types == {"int8", "int16"}
