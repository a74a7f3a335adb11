from __future__ import annotations

import onnx
import pytest

from tests.graph.models import check, model, node, value


def _of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    return model(nodes, {"a": (1, 4, 6), "b": (1, 1, 6)}, [value("y", None, bool)])


@pytest.mark.parametrize(
    ("first", "second", "joined", "meaning"),
    [
        ("Greater", "Equal", "Or", "GreaterOrEqual"),
        ("Equal", "Greater", "Or", "GreaterOrEqual"),
        ("Less", "Equal", "Or", "LessOrEqual"),
        ("GreaterOrEqual", "LessOrEqual", "And", "Equal"),
    ],
)
def test_joined(first: str, second: str, joined: str, meaning: str) -> None:
    check(_of(node(first, "a b", "f"), node(second, "a b", "s"), node(joined, "f s", "y")), [meaning])


def test_joined_with_operands_the_other_way_round() -> None:
    check(_of(node("Greater", "a b", "f"), node("Equal", "b a", "s"), node("Or", "f s", "y")), ["GreaterOrEqual"])
    nodes = (node("GreaterOrEqual", "a b", "f"), node("GreaterOrEqual", "b a", "s"), node("And", "f s", "y"))
    check(_of(*nodes), ["Equal"])


@pytest.mark.parametrize(
    ("op_type", "meaning"),
    [
        ("Greater", "LessOrEqual"),
        ("Less", "GreaterOrEqual"),
        ("GreaterOrEqual", "Less"),
        ("LessOrEqual", "Greater"),
    ],
)
def test_negated(op_type: str, meaning: str) -> None:
    check(_of(node(op_type, "a b", "f"), node("Not", "f", "y")), [meaning])


@pytest.mark.parametrize(("first", "second", "joined"), [("Greater", "Less", "Or"), ("Greater", "Equal", "And")])
def test_other_joints_stay(first: str, second: str, joined: str) -> None:
    nodes = (node(first, "a b", "f"), node(second, "a b", "s"), node(joined, "f s", "y"))
    check(_of(*nodes), [first, second, joined])


def test_comparisons_of_other_values_stay() -> None:
    nodes = (node("Neg", "b", "c"), node("Greater", "a b", "f"), node("Equal", "a c", "s"), node("Or", "f s", "y"))
    check(_of(*nodes), ["Neg", "Greater", "Equal", "Or"])
