"""Where and truth values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types, value
from tinsmith.graph import canonicalize
from tinsmith.graph.network import network
from tinsmith.importers import load
from tinsmith.ops import operators

SHAPE = (1, 4, 5)
MASK = np.random.default_rng(1).random(SHAPE) > 0.5


INPUTS = [value("x", SHAPE), value("z", SHAPE)]


def view(canonical: Any) -> list[str]:
    return [step.op_type for step in network(canonical).nodes]


def test_constant_conditions() -> None:
    nodes = [node("Where", "c a b", "y")]
    check(model(nodes, {"a": SHAPE, "b": SHAPE}, "y", {"c": MASK}), ["Mul", "Mul", "Add"])
    check(model(nodes, {"a": SHAPE}, "y", {"c": MASK, "b": 0.0}), ["Mul"])
    check(model(nodes, {"a": SHAPE}, "y", {"c": MASK, "b": 1.5}), ["Mul", "Add"])
    channels = {"c": MASK[:, :, :1]}
    assert "Where" not in op_types(check(model(nodes, {"a": SHAPE, "b": SHAPE}, "y", channels)))


def test_zeros_are_left_out_unless_they_enlarge_the_result() -> None:
    nodes = [node("Where", "c a b", "y")]
    check(model(nodes, {"a": (1, 4, 1)}, "y", {"c": MASK[:, :, :1], "b": np.zeros(5, np.float32)}), ["Mul", "Add"])
    nodes = [node("Greater", "x h", "c"), node("Where", "c a zero", "y"), node("Where", "c zero a", "z")]
    canonical = check(model(nodes, {"x": SHAPE, "a": SHAPE}, "y z", {"h": 0.5, "zero": 0.0}))
    assert view(canonical) == ["Function", "Mul", "Sub", "Mul"]


def test_conditions_that_leave_no_choice() -> None:
    nodes = [node("Tanh", "a", "h"), node("Where", "c h b", "y")]
    check(model(nodes, {"a": SHAPE, "b": SHAPE}, "y", {"c": np.ones(SHAPE, bool)}), ["Tanh"])
    nodes = [node("Tanh", "a", "h"), node("Where", "c b h", "y")]
    check(model(nodes, {"a": SHAPE, "b": SHAPE}, "y", {"c": np.zeros(SHAPE, bool)}), ["Tanh"])


def test_large_numbers_stay() -> None:
    built = model([node("Where", "c a b", "y")], {"a": SHAPE}, "y", {"c": MASK, "b": -1e9})
    assert op_types(canonicalize(load(built))) == ["Where"]


def test_a_choice_by_one_tensor_among_others() -> None:
    nodes = [node("Greater", "x h", "c"), node("Where", "c a b", "y")]
    canonical = check(model(nodes, {"x": SHAPE, "a": SHAPE, "b": SHAPE}, "y", {"h": 0.5}))
    assert view(canonical) == ["Function", "Mul", "Sub", "Mul", "Add"]


def test_a_comparison_of_two_tensors_is_that_of_their_difference() -> None:
    nodes = [node("GreaterOrEqual", "x z", "c"), node("Where", "c a b", "y")]
    canonical = check(model(nodes, {"x": SHAPE, "z": SHAPE, "a": SHAPE, "b": SHAPE}, "y"))
    assert view(canonical) == ["Sub", "Function", "Mul", "Sub", "Mul", "Add"]


@pytest.mark.parametrize("kind", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@pytest.mark.parametrize("pair", ["x z", "z x"])
def test_the_larger_of_what_is_compared(kind: str, pair: str) -> None:
    nodes = [node(kind, "x z", "c"), node("Where", f"c {pair}", "y")]
    reduction = "ReduceMax" if kind.startswith("Greater") == (pair == "x z") else "ReduceMin"
    check(model(nodes, {"x": SHAPE, "z": SHAPE}, "y"), ["Concat", reduction])


def test_truth_values_that_are_results_stay() -> None:
    check(model([node("Greater", "x z", "y")], INPUTS, [value("y", SHAPE, np.bool_)]), ["Greater"])


def test_conditions_from_outside_stay() -> None:
    built = model(
        [node("Where", "c a b", "y")], [value("c", SHAPE, np.bool_), value("a", SHAPE), value("b", SHAPE)], "y"
    )
    assert op_types(canonicalize(load(built))) == ["Where"]


@pytest.mark.parametrize("op_type", ["And", "Or", "Xor"])
def test_conditions_of_several_tensors(op_type: str) -> None:
    nodes = [
        node("Greater", "x z", "g"), node("Less", "a h", "l"), node(op_type, "g l", "o"), node("Not", "o", "n"),
        node("Cast", "n", "y", to=1),
    ]  # fmt: skip
    canonical = check(model(nodes, {"x": SHAPE, "z": SHAPE, "a": SHAPE}, "y", {"h": 0.25}))
    assert set(view(canonical)) <= operators().keys()


@settings(max_examples=40)
@given(st.data())
def test_any_condition(data: st.DataObject) -> None:
    names = [f"x{i}" for i in range(3)]
    nodes, known = [], []
    for index in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["Greater", "Less", "LessOrEqual", "GreaterOrEqual"]))
        pair = [data.draw(st.sampled_from(names)), data.draw(st.sampled_from([*names, "h"]))]
        if pair[0] == pair[1]:
            pair[1] = "h"
        nodes.append(node(kind, " ".join(pair), f"c{index}"))
        known.append(f"c{index}")
    for index in range(data.draw(st.integers(0, 2))):
        kind = data.draw(st.sampled_from(["And", "Or", "Xor", "Not"]))
        parts = [data.draw(st.sampled_from(known)) for _ in range(1 if kind == "Not" else 2)]
        nodes.append(node(kind, " ".join(parts), f"k{index}"))
        known.append(f"k{index}")
    nodes.append(node("Where", f"{known[-1]} x0 x1", "y"))
    canonical = check(model(nodes, dict.fromkeys(names, SHAPE), "y", {"h": 0.5}))
    assert set(view(canonical)) <= operators().keys()
