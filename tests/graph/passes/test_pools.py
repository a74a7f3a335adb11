"""Pools whose windows or divisors the runtime does not have: MaxPool, AveragePool, LpPool, global and 3-D ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types, value
from tinsmith.graph.network import network
from tinsmith.graph.pooling import windows_of
from tinsmith.ops import operators
from tinsmith.targets import TARGETS


def refused(canonical: ir.Model) -> list[str]:
    """What the chip would not run."""
    target = TARGETS["esp32p4"]
    return [
        limit.message
        for step in network(canonical).nodes
        for limit in operators()[step.op_type].constraints
        if not limit.check(step, target)
    ]


@st.composite
def pools(draw: st.DrawFn, dilated: bool) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Lengths and attributes for which ONNX Runtime gives a result."""
    count = draw(st.integers(1, 2))
    lengths: list[int] = []
    kernel: list[int] = []
    begins: list[int] = []
    ends: list[int] = []
    dilations: list[int] = []
    for _ in range(count):
        n, k, d = draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.integers(1, 3)) if dilated else 1
        b, e = draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))
        assume(n + b + e >= d * (k - 1) + 1)
        for numbers, number in zip((lengths, kernel, begins, ends, dilations), (n, k, b, e, d), strict=True):
            numbers.append(number)
    attributes = {
        "kernel_shape": kernel,
        "strides": [draw(st.integers(1, 3)) for _ in range(count)],
        "pads": begins + ends,
        "dilations": dilations,
        "ceil_mode": draw(st.integers(0, 1)),
    }
    return tuple(lengths), attributes


def is_sound(canonical: ir.Model) -> bool:
    """Whether every window of every pool holds an element."""
    return all(
        walk.real.any(axis=1).all()
        for step in canonical.graph
        if step.op_type in ("MaxPool", "AveragePool", "LpPool")
        for walk in windows_of(step)
    )


@settings(max_examples=40, deadline=None)
@given(case=st.booleans().flatmap(pools))
def test_max_pools(case: tuple[tuple[int, ...], dict[str, Any]]) -> None:
    lengths, attributes = case
    canonical = check(
        model([node("Tanh", "x", "h"), node("MaxPool", "h", "y", **attributes)], {"x": (1, 3, *lengths)}, "y")
    )
    assert not is_sound(canonical) or refused(canonical) == []


@settings(max_examples=40, deadline=None)
@given(case=st.booleans().flatmap(pools), counted=st.integers(0, 1))
def test_average_pools(case: tuple[tuple[int, ...], dict[str, Any]], counted: int) -> None:
    lengths, attributes = case
    layer = node("AveragePool", "h", "y", count_include_pad=counted, **attributes)
    canonical = check(model([node("Tanh", "x", "h"), layer], {"x": (1, 3, *lengths)}, "y"))
    assert not is_sound(canonical) or refused(canonical) == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"dilations": [2, 2]}, ["Gather", "MaxPool", "Gather", "MaxPool"]),
        ({"dilations": [2, 1]}, ["MaxPool", "Gather", "MaxPool"]),
        ({"dilations": [2, 2], "strides": [2, 2]}, ["Slice", "MaxPool"]),
        ({"dilations": [3, 2], "strides": [3, 4], "pads": [1, 1, 1, 1]}, ["Slice", "MaxPool"]),
        ({"dilations": [2, 1], "strides": [2, 1]}, ["Slice", "MaxPool"]),
        ({"ceil_mode": 1, "strides": [2, 2]}, ["MaxPool"]),
        ({"pads": [1, 1, 1, 1]}, ["MaxPool"]),
    ],
)
def test_dilated_max_pools(attributes: dict[str, Any], expected: list[str]) -> None:
    layer = node("MaxPool", "h", "y", kernel_shape=[3, 3], **attributes)
    check(model([node("Tanh", "x", "h"), layer], {"x": (1, 3, 9, 8)}, "y"), ["Tanh", *expected])


def test_windows_that_stick_out_on_both_sides() -> None:
    layer = node("MaxPool", "h", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    original = model([node("Tanh", "x", "h"), layer], {"x": (1, 3, 1, 6)}, "y")
    canonical = check(original, ["Tanh", "Pad", "MaxPool"])
    assert canonical.graph[1].attributes["mode"].as_string() == "edge"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"strides": [2, 2]}, ["AveragePool"]),
        ({"pads": [1, 1, 1, 1], "count_include_pad": 1}, ["AveragePool"]),
        ({"pads": [1, 1, 1, 1]}, ["AveragePool", "Mul"]),
        ({"ceil_mode": 1, "strides": [2, 2]}, ["Pad", "AveragePool", "Mul"]),
        ({"ceil_mode": 1, "strides": [3, 3]}, ["AveragePool"]),
        ({"dilations": [2, 2], "strides": [2, 2]}, ["Slice", "AveragePool"]),
        ({"dilations": [2, 2]}, ["Gather", "Gather", "AveragePool"]),
        ({"kernel_shape": [9, 9], "pads": [4, 4, 4, 4], "strides": [9, 9]}, ["Slice", "AveragePool"]),
        ({"kernel_shape": [17, 17], "pads": [4, 4, 4, 4]}, ["AveragePool"]),
        ({"kernel_shape": [9, 9], "pads": [0, 4, 0, 4], "strides": [1, 4]}, ["AveragePool", "Mul"]),
    ],
)
def test_average_pools_of_a_kind(attributes: dict[str, Any], expected: list[str]) -> None:
    attributes = {"kernel_shape": [3, 3]} | attributes
    size = 10 if attributes.get("ceil_mode") and attributes["strides"] == [2, 2] else 9
    layer = node("AveragePool", "h", "y", name="pool", **attributes)
    canonical = check(model([node("Tanh", "x", "h"), layer], {"x": (1, 3, size, size)}, "y"), ["Tanh", *expected])
    (pool,) = [step for step in canonical.graph if step.op_type == "AveragePool"]
    assert pool.name == "pool"


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 3, 5, 4), (1, 3, 2, 5, 4)])
def test_global_max_pool(shape: tuple[int, ...]) -> None:
    canonical = check(model([node("GlobalMaxPool", "x", "y")], {"x": shape}, "y"))
    assert set(op_types(canonical)) <= {"MaxPool", "Reshape"}
    assert refused(canonical) == []


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 1, 2]},
        {"pads": [1, 0, 1, 1, 1, 0]},
        {"ceil_mode": 1, "strides": [2, 2, 2]},
        {"dilations": [1, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2, 2]},
    ],
)
def test_pools_over_volumes(op: str, attributes: dict[str, Any]) -> None:
    layer = node(op, "h", "y", kernel_shape=[2, 3, 2], **attributes)
    canonical = check(model([node("Tanh", "x", "h"), layer], {"x": (1, 3, 6, 7, 5)}, "y"))
    assert refused(canonical) == []


def test_the_mean_of_a_volume() -> None:
    expected = ["Reshape", "GlobalAveragePool", "Reshape"]
    canonical = check(model([node("GlobalAveragePool", "x", "y")], {"x": (1, 3, 6, 7, 5)}, "y"), expected)
    assert refused(canonical) == []


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize(
    "attributes", [{}, {"pads": [1, 0, 1, 1]}, {"strides": [2, 2]}, {"dilations": [2, 1]}, {"auto_pad": "SAME_UPPER"}]
)
def test_norms_of_windows(p: int, attributes: dict[str, Any]) -> None:
    layer = node("LpPool", "x", "y", name="pool", kernel_shape=[3, 2], p=p, **attributes)
    canonical = check(model([layer], {"x": (1, 3, 6, 7)}, "y"))
    assert [step.name for step in canonical.graph if step.op_type == "Conv"] == ["pool"]
    assert refused(canonical) == []


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norms_of_maps(p: int) -> None:
    original = model([node("GlobalLpPool", "x", "y", p=p)], {"x": (1, 3, 6, 7)}, "y", opset=18)
    canonical = check(original, None if p == 3 else [f"ReduceL{p}"])
    assert p != 3 or "ReduceSum" in op_types(canonical)
    assert refused(canonical) == []


def test_what_stays() -> None:
    check(model([node("LpPool", "x", "y", kernel_shape=[2, 2, 2])], {"x": (1, 3, 6, 7, 4)}, "y"), ["LpPool"])
    indices = node("MaxPool", "x", "y i", kernel_shape=[3, 3], dilations=[2, 2])
    outputs = [value("y", None), value("i", None, np.int64)]
    check(model([indices], {"x": (1, 3, 6, 7)}, outputs), ["MaxPool"])
