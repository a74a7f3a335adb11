"""Pools against loops over every window, and against ONNX Runtime's own float pools where they mean the same."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.ops.one_node import (
    FAMILIES,
    P4,
    S3,
    WIDTHS,
    Array,
    C,
    OneNode,
    float_node,
    lowered,
    objections,
    whole,
)
from tests.ops.test_division import stored
from tinsmith.errors import ProgramError
from tinsmith.ops import find
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.windows import Walk, trouble
from tinsmith.program import DType
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)
F = np.float32


@st.composite
def walks(draw: st.DrawFn) -> tuple[tuple[int, ...], Walk]:
    """Lengths of one or two dimensions and a walk that has at least one window."""
    spatial = draw(st.integers(1, 2))
    lengths = tuple(draw(st.lists(st.integers(1, 7), min_size=spatial, max_size=spatial)))
    kernel = tuple(draw(st.lists(st.integers(1, 4), min_size=spatial, max_size=spatial)))
    strides = tuple(draw(st.lists(st.integers(1, 3), min_size=spatial, max_size=spatial)))
    begins = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    ends = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    assume(all(n + b + e >= k for n, b, e, k in zip(lengths, begins, ends, kernel, strict=True)))
    return lengths, Walk(kernel, strides, begins, ends)


def attributes(walk: Walk) -> dict[str, Any]:
    return {"kernel_shape": walk.kernel, "strides": walk.strides, "pads": walk.pads}


def in_windows(x: Array, walk: Walk) -> dict[tuple[int, ...], list[Array]]:
    """The real elements (each a vector of channels) of every window, by output position."""
    found: dict[tuple[int, ...], list[Array]] = {}
    for position in itertools.product(*(range(n) for n in walk.outputs(x.shape[1:-1]))):
        starts = [p * s - b for p, s, b in zip(position, walk.strides, walk.begins, strict=True)]
        places = itertools.product(*(range(s, s + k) for s, k in zip(starts, walk.kernel, strict=True)))
        real = [p for p in places if all(0 <= i < n for i, n in zip(p, x.shape[1:-1], strict=True))]
        found[position] = [x[(0, *p)] for p in real]
    return found


def node_of(op_type: str, target: Target, x: Array, exponents: tuple[int, int], walk: Walk | None) -> OneNode:
    settings = {} if walk is None else attributes(walk)
    return OneNode(op_type, target, DType.of(x.dtype), exponents[1], settings).feed(x, exponents[0])


@given(FAMILIES, WIDTHS, walks(), SEEDS)
def test_max_pool(target: Target, bits: int, case: tuple[tuple[int, ...], Walk], seed: int) -> None:
    lengths, walk = case
    x = whole((1, *lengths, 3), bits, np.random.default_rng(seed))
    found = in_windows(x, walk)
    assume(all(found.values()))
    y = node_of("MaxPool", target, x, (-4, -4), walk).run()
    assert y.shape == (1, *walk.outputs(lengths), 3)
    assert all(y[(0, *p)].tolist() == np.max(elements, axis=0).tolist() for p, elements in found.items())


def test_a_window_of_padding_only_is_interpreted() -> None:
    node = node_of("MaxPool", P4, np.int8([[[5]]]), (-4, -4), Walk((1,), (1,), (1,), (1,)))
    assert node.interpreted().tolist() == [[[-128], [5], [-128]]]
    assert "no such window" in node.refused()


def mean(total: int, area: int, exponents: tuple[int, int], target: Target, bits: int) -> int:
    scale = F(F(F(2.0 ** exponents[0]) * F(F(1) / F(area))) * F(2.0 ** -exponents[1]))
    return stored(F(F(total) * scale), target, bits)


@given(FAMILIES, WIDTHS, walks(), st.integers(-3, 3), SEEDS)
def test_average_pool_divides_by_the_whole_window(
    target: Target, bits: int, case: tuple[tuple[int, ...], Walk], finer: int, seed: int
) -> None:
    lengths, walk = case
    x = whole((1, *lengths, 3), bits, np.random.default_rng(seed))
    exponents = (-4, -4 - finer)
    y = node_of("AveragePool", target, x, exponents, walk).run()
    for position, elements in in_windows(x, walk).items():
        totals = np.sum([e.astype(int) for e in elements] or [[0, 0, 0]], axis=0).tolist()
        assert y[(0, *position)].tolist() == [mean(t, walk.area, exponents, target, bits) for t in totals]


@given(FAMILIES, WIDTHS, st.sampled_from([(7, 7), (5, 3), (14, 15), (49,), (1, 1)]), st.integers(-2, 2), SEEDS)
def test_global_average_pool(target: Target, bits: int, lengths: tuple[int, ...], finer: int, seed: int) -> None:
    x = whole((1, *lengths, 2), bits, np.random.default_rng(seed))
    exponents = (-4, -4 - finer)
    y = node_of("GlobalAveragePool", target, x, exponents, None).run()
    totals = x.astype(int).reshape(-1, 2).sum(axis=0).tolist()
    assert y.shape == (1, *(1 for _ in lengths), 2)
    assert y.ravel().tolist() == [mean(t, int(np.prod(lengths)), exponents, target, bits) for t in totals]


@pytest.mark.parametrize("area", [7, 14, 15, 28, 30])
@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
def test_every_sum_of_a_window_whose_share_is_no_power_of_two(area: int, target: Target) -> None:
    """All means of int8 windows of that area, ties among them, which single precision may miss."""
    totals = np.arange(-128 * area, 127 * area + 1)
    base, rest = np.divmod(totals, area)
    x = np.where(np.arange(area)[:, None] < rest, base + 1, base).astype(np.int8)
    y = node_of("GlobalAveragePool", target, x[None], (-5, -6), None).run()
    assert y.ravel().tolist() == [mean(t, area, (-5, -6), target, 8) for t in totals.tolist()]


def test_large_int16_sums_are_exact() -> None:
    """601 elements of 32767 leave float32's exact range: the sum is rounded once, not on the way."""
    x = np.full((1, 601, 1), 32767, np.int16)
    x[0, 0, 0] = 32766
    exponents, total = (-10, -10), 601 * 32767 - 1
    assert total > 2**24
    everything = node_of("GlobalAveragePool", C, x, exponents, None).run()
    assert everything.ravel().tolist() == [mean(total, 601, exponents, C, 16)]
    wide = node_of("AveragePool", C, x, exponents, Walk((600,), (1,), (0,), (0,)))
    assert wide.interpreted().ravel().tolist() == [
        mean(t, 600, exponents, C, 16) for t in (600 * 32767 - 1, 600 * 32767)
    ]
    assert "do not fit float32" in wide.refused()


def test_float_pools_are_interpreted_one_element_after_the_other() -> None:
    x = np.float32([1e8, 1, -1e8, 1]).reshape(1, 4, 1)
    node = OneNode("GlobalAveragePool", P4, DType.FLOAT).feed(x)
    assert node.interpreted().tolist() == [[[0.25]]]
    assert "order" in node.refused()


def test_attributes_that_do_not_fit() -> None:
    node = node_of("MaxPool", P4, np.zeros((1, 4, 4, 1), np.int8), (0, 0), Walk((2,), (1,), (0,), (0,)))
    with pytest.raises(ProgramError, match="do not fit 2 dimensions"):
        node.interpreted()
    node = node_of("MaxPool", P4, np.zeros((1, 4, 1), np.int8), (0, 0), Walk((5,), (1,), (0,), (0,)))
    with pytest.raises(ProgramError, match="does not fit into"):
        node.interpreted()


def pool_node(op_type: str, lengths: tuple[int, ...], settings: dict[str, Any]) -> FloatNode:
    """A float pool, its output shape as ONNX infers it."""
    import onnx
    from onnx import helper, shape_inference

    shape = (1, 2, *lengths)
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(op_type, ["x"], ["y"], **settings)], "g", [x], [y])
    model = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)]))
    dims = model.graph.output[0].type.tensor_type.shape.dim
    plain = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in settings.items()}
    return float_node(op_type, [shape], tuple(d.dim_value for d in dims), plain)


def onnx_result(op_type: str, x: Array, settings: dict[str, Any]) -> Array:
    import onnx
    import onnxruntime
    from onnx import helper

    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("x", x.shape), ("y", None))]
    graph = helper.make_graph([helper.make_node(op_type, ["x"], ["y"], **settings)], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x.astype(np.float32)})[0])


def padded_by_name(walk: Walk, extra: dict[str, Any]) -> dict[str, Any]:
    """The walk's attributes and ``extra``; `auto_pad` stands for `pads`, and ONNX Runtime knows it for k ≥ s only."""
    settings = {**attributes(walk), **extra}
    if "auto_pad" in extra:
        assume(all(k >= s for k, s in zip(walk.kernel, walk.strides, strict=True)))
        settings.pop("pads")
    return settings


EXTRAS = st.sampled_from(
    [{}, {"ceil_mode": 1}, *({"auto_pad": kind} for kind in ("SAME_UPPER", "SAME_LOWER", "VALID"))]
)


@given(walks(), EXTRAS)
def test_a_lowered_max_pool_means_what_onnx_means(case: tuple[tuple[int, ...], Walk], extra: dict[str, Any]) -> None:
    lengths, walk = case
    settings = padded_by_name(walk, extra)
    node = pool_node("MaxPool", lengths, settings)
    assume(min(node.outputs[0].shape) > 0 and not objections(node, P4))
    program = lowered(node, {"in0": -4, "y": -4}, 8, P4)
    (only,) = program.nodes
    assert (only.attributes["ceil_mode"], only.attributes["dilations"]) == (0, (1,) * len(lengths))
    x = whole((1, *lengths, 2), 8, np.random.default_rng(0))
    expected = np.moveaxis(onnx_result("MaxPool", np.moveaxis(x, -1, 1), settings), 1, -1)
    assert interpret(program, {"in0": x}, P4)["y"].tolist() == expected.tolist()


@given(walks(), st.booleans(), EXTRAS)
def test_an_average_pool_is_lowered_where_it_means_what_onnx_means(
    case: tuple[tuple[int, ...], Walk], counts: bool, extra: dict[str, Any]
) -> None:
    lengths, walk = case
    settings = padded_by_name(walk, {**extra, "count_include_pad": int(counts)})
    node = pool_node("AveragePool", lengths, settings)
    assume(min(node.outputs[0].shape) > 0 and not objections(node, P4))
    program = lowered(node, {"in0": -4, "y": -7}, 16, P4)
    assert program.nodes[0].attributes["count_include_pad"] == 1
    x = np.random.default_rng(0).integers(-100, 100, (1, *lengths, 2)).astype(np.int16)
    expected = np.moveaxis(onnx_result("AveragePool", np.moveaxis(x, -1, 1), settings), 1, -1)
    found = interpret(program, {"in0": x}, P4)["y"]
    assert found.shape == expected.shape
    assert np.abs(found - 8 * expected).max() <= 0.5 + 1e-3


PADDED = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "strides": (1, 1)}


@pytest.mark.parametrize(
    ("op_type", "shape", "settings", "words"),
    [
        ("MaxPool", (1, 2, 8, 8), {"kernel_shape": (3, 3), "dilations": (2, 2)}, "dilation 1"),
        ("MaxPool", (1, 2, 8, 8, 8), {"kernel_shape": (2, 2, 2)}, "one or two dimensions"),
        ("MaxPool", (1, 2, 3, 3), {**PADDED, "kernel_shape": (5, 5), "pads": (2, 2, 2, 2)}, "both sides"),
        ("MaxPool", (1, 2, 2), {"kernel_shape": (2,), "dilations": (3,), "pads": (1, 1)}, "padding only"),
        ("AveragePool", (1, 2, 8, 8), PADDED, "count_include_pad=True"),
        ("AveragePool", (1, 2, 8, 8), {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1}, "ceil_mode=False"),
        ("AveragePool", (1, 2, 8, 8, 8), {"kernel_shape": (2, 2, 2)}, "one or two dimensions"),
        ("GlobalAveragePool", (1, 2, 8, 8, 8), {}, "one or two dimensions"),
    ],
)
def test_what_the_runtime_would_compute_otherwise_is_refused(
    op_type: str, shape: tuple[int, ...], settings: dict[str, Any], words: str
) -> None:
    node = pool_node(op_type, shape[2:], settings)
    assert [words in m for m in objections(node, S3)] == [True]


def test_what_looks_alike_and_is_fine() -> None:
    fine = [
        pool_node("AveragePool", (8, 8), {**PADDED, "count_include_pad": 1}),
        pool_node("AveragePool", (9, 9), {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1}),
        pool_node("MaxPool", (8, 8), {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1}),
        pool_node("MaxPool", (8,), {"kernel_shape": (3,), "dilations": (1,)}),
    ]
    assert [objections(node, S3) for node in fine] == [[], [], [], []]


def test_indices_of_the_largest_are_refused() -> None:
    node = pool_node("MaxPool", (8, 8), {"kernel_shape": (2, 2)})
    two = FloatNode(node.op_type, node.name, node.inputs, (*node.outputs, *node.outputs), node.attributes)
    assert ["second output" in m for m in objections(two, S3)] == [True]


@pytest.mark.parametrize(
    ("lengths", "walk", "words"),
    [
        ((3,), Walk((5,), (1,), (2,), (2,)), "both sides"),
        ((2,), Walk((2,), (1,), (2,), (0,)), "beside"),
        ((4,), Walk((2,), (2,), (0,), (3,)), "beside"),
        ((4,), Walk((5,), (3,), (0,), (1,)), "longer than"),
    ],
)
def test_troublesome_shapes(lengths: tuple[int, ...], walk: Walk, words: str) -> None:
    assert words in (trouble(lengths, walk) or "")
    node = node_of("MaxPool", S3, np.zeros((1, *lengths, 1), np.int8), (0, 0), walk)
    assert [words in r and "kernels get wrong" in r for r in node.broken_rules()] == [True]


def test_rules_of_files() -> None:
    x = np.zeros((1, 8, 1), np.int8)
    walk = Walk((2,), (2,), (0,), (0,))
    assert node_of("MaxPool", S3, x, (-4, -4), walk).broken_rules() == []
    assert ["bytes move unchanged" in r for r in node_of("MaxPool", S3, x, (-4, -5), walk).broken_rules()] == [True]
    for extra in ({"dilations": (2,)}, {"ceil_mode": 1}):
        node = OneNode("AveragePool", S3, DType.INT8, 0, {**attributes(walk), **extra}).feed(x)
        assert ["neither `dilations` nor `ceil_mode`" in r for r in node.broken_rules()] == [True]


def test_max_pool_moves_and_average_pool_computes() -> None:
    node = pool_node("MaxPool", (8, 8), {"kernel_shape": (2, 2)})
    assert find("MaxPool").passive
    assert find("MaxPool").ports(node, P4).tied == (0,)
    assert find("AveragePool").ports(node, P4).tied == ()
    assert find("MaxPool").cost(node).macs == 2 * 7 * 7 * 4
