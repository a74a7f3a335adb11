"""Expand and Tile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types


@pytest.mark.parametrize("reader", ["Add", "Sub", "Mul", "Div"])
def test_who_broadcasts_needs_no_expansion(reader: str) -> None:
    nodes = [node("Expand", "x s", "e"), node("Exp", "z", "f"), node(reader, "e f", "y")]
    check(model(nodes, {"x": (1, 4, 1), "z": (1, 4, 5)}, "y", {"s": np.array([1, 4, 5])}), ["Exp", reader])
    nodes = [node("Tile", "x s", "e"), node("Exp", "z", "f"), node(reader, "f e", "y")]
    check(model(nodes, {"x": (1, 4, 1), "z": (1, 4, 5)}, "y", {"s": np.array([1, 1, 5])}), ["Exp", reader])


def test_an_expansion_that_makes_the_result_larger_stays() -> None:
    nodes = [node("Expand", "x s", "e"), node("Add", "e z", "y")]
    check(model(nodes, {"x": (1, 4, 1), "z": (1, 4, 1)}, "y", {"s": np.array([1, 4, 5])}), ["Gather", "Add"])


def test_expand_is_gather() -> None:
    nodes = [node("Expand", "x s", "y")]
    check(model(nodes, {"x": (1, 4, 1)}, "y", {"s": np.array([1, 4, 5])}), ["Gather"])
    check(model(nodes, {"x": (1, 4, 1, 1)}, "y", {"s": np.array([1, 4, 5, 6])}), ["Gather", "Gather"])
    check(model(nodes, {"x": (4, 1)}, "y", {"s": np.array([2, 4, 3])}), ["Reshape", "Gather", "Gather"])
    check(model(nodes, {"x": (1, 4)}, "y", {"s": np.array([1, 1, 4])}), ["Reshape"])


def test_tile_is_gather() -> None:
    nodes = [node("Tile", "x s", "y")]
    check(model(nodes, {"x": (1, 4, 3)}, "y", {"s": np.array([1, 1, 2])}), ["Gather"])
    check(model(nodes, {"x": (1, 4, 3)}, "y", {"s": np.array([1, 3, 2])}), ["Gather", "Gather"])


def test_what_is_used_as_it_is_and_broadcast() -> None:
    nodes = [node("Expand", "x s", "e"), node("Exp", "z", "f"), node("Add", "e f", "y"), node("Relu", "e", "w")]
    canonical = check(model(nodes, {"x": (1, 4, 1), "z": (1, 4, 5)}, "y w", {"s": np.array([1, 4, 5])}))
    assert sorted(op_types(canonical)) == ["Add", "Exp", "Gather", "Relu"]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4))
def test_any_repeats(axes: list[tuple[int, int]]) -> None:
    nodes = [node("Tanh", "x", "h"), node("Tile", "h s", "y")]
    built = model(nodes, {"x": tuple(dim for dim, _ in axes)}, "y", {"s": np.array([count for _, count in axes])})
    assert "Tile" not in op_types(check(built))
