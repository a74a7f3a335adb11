"""Max, Min and Mean of several tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tinsmith.graph.edit import shape_of
from tinsmith.graph.network import network
from tinsmith.ops import operators

RNG = np.random.default_rng(5)


def two(op_type: str, shape: tuple[int, ...] = (1, 4, 5), other: tuple[int, ...] | None = None) -> Any:
    return model([node(op_type, "a b", "y")], {"a": shape, "b": shape if other is None else other}, "y")


@pytest.mark.parametrize(("op_type", "reduction"), [("Max", "ReduceMax"), ("Min", "ReduceMin"), ("Mean", "ReduceMean")])
def test_tensors_of_one_shape_are_stacked(op_type: str, reduction: str) -> None:
    check(two(op_type), ["Concat", reduction])
    check(two(op_type, (1, 4, 5, 6)), ["Concat", reduction])
    check(two(op_type, (3, 4)), ["Reshape", "Reshape", "Concat", reduction])
    check(two(op_type, (3, 4, 2, 2)), ["Reshape", "Reshape", "Concat", reduction, "Reshape"])
    check(two(op_type, (3,)), ["Reshape", "Reshape", "Concat", reduction])
    nodes = [node(op_type, "a b c a", "y")]
    check(model(nodes, dict.fromkeys("abc", (1, 7)), "y"), ["Concat", reduction])


def test_constants_are_stacked_too() -> None:
    whole = {"c": RNG.normal(size=(1, 4, 5)).astype(np.float32)}
    check(model([node("Max", "x c", "y")], {"x": (1, 4, 5)}, "y", whole), ["Concat", "ReduceMax"])
    rows = {"c": RNG.normal(size=(3, 4)).astype(np.float32)}
    check(model([node("Min", "x c", "y")], {"x": (3, 4)}, "y", rows), ["Reshape", "Concat", "ReduceMin"])


def test_other_shapes_are_compared_by_their_difference() -> None:
    check(two("Max", (1, 4, 5), (1, 4, 1)), ["Sub", "Relu", "Add"])
    check(two("Min", (1, 4, 5), (5,)), ["Reshape", "Sub", "Relu", "Sub"])
    check(two("Mean", (1, 4, 5), (1, 1, 5)), ["Add", "Mul"])
    channels = {"c": RNG.normal(size=(4, 1)).astype(np.float32)}
    assert "Max" not in op_types(check(model([node("Max", "x c", "y")], {"x": (1, 4, 5)}, "y", channels)))


def test_numbers_are_clips() -> None:
    nodes = [node("Max", "a low b high", "y")]
    built = model(nodes, {"a": (1, 4), "b": (1, 4)}, "y", {"low": -0.5, "high": 0.25})
    check(built, ["Concat", "ReduceMax", "Clip"])


def test_operands_that_are_there_twice_count_once() -> None:
    check(model([node("Tanh", "x", "h"), node("Max", "h h", "y")], {"x": (1, 4)}, "y"), ["Tanh"])
    check(model([node("Max", "x x", "y")], {"x": (1, 4)}, "y"), ["Identity"])


def test_a_function_of_one_tensor_becomes_a_table() -> None:
    nodes = [node("Sin", "x", "s"), node("Exp", "s", "e"), node("Max", "s e x", "y")]
    canonical = check(model(nodes, {"x": (1, 4)}, "y"))
    assert [step.op_type for step in network(canonical).nodes] == ["Function"]
    canonical = check(model([*nodes, node("MaxPool", "s", "z", kernel_shape=[2])], {"x": (1, 2, 4)}, "y z"))
    assert [step.op_type for step in network(canonical).nodes] == ["Sin", "Function", "MaxPool"]


@settings(max_examples=40)
@given(
    st.sampled_from(["Max", "Min", "Mean"]),
    st.lists(st.sampled_from([(), (1,), (5,), (4, 1), (1, 4, 5), (1, 1, 5)]), min_size=1, max_size=4),
    st.integers(0, 4),
)
def test_any_shapes(op_type: str, shapes: list[tuple[int, ...]], constant: int) -> None:
    inputs = {f"x{i}": shape for i, shape in enumerate(shapes)} | {"x": (1, 4, 5)}
    names, constants = list(inputs), {}
    if constant < len(shapes):
        constants = {f"x{constant}": RNG.normal(size=inputs.pop(f"x{constant}")).astype(np.float32)}
    canonical = check(model([node(op_type, " ".join(names), "y")], inputs, "y", constants))
    assert {step.op_type for step in network(canonical).nodes} <= operators().keys()


def test_numbers_with_more_dimensions_than_the_tensors() -> None:
    inputs = {"x": (3,), "z": (3,)}
    canonical = check(model([node("Max", "x c z", "y")], inputs, "y", {"c": np.full((1, 1), 0.5, np.float32)}))
    assert shape_of(canonical.graph.outputs[0]) == (1, 3)
