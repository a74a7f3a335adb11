from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tinsmith.graph.edit import shape_of


def inner(original: Any, op: str) -> Any:
    """The only node of a type in the canonical form."""
    canonical = check(original)
    (found,) = (step for step in canonical.graph if step.op_type == op)
    return found


@pytest.mark.parametrize(
    ("shape", "perm", "seen"),
    [
        ((1, 9, 3, 2, 8), (2, 0, 3, 1, 4), (9, 6, 8)),
        ((1, 4, 3, 4, 3, 8), (0, 1, 3, 2, 4, 5), (4, 3, 4, 24)),
        ((2, 3, 2, 3, 2), (4, 3, 2, 1, 0), (2, 3, 2, 3, 2)),
        ((2, 3, 4, 5, 6), (3, 4, 0, 1, 2), (24, 30)),
    ],
)
def test_transposes(shape: tuple[int, ...], perm: tuple[int, ...], seen: tuple[int, ...]) -> None:
    found = inner(model([node("Transpose", "x", "y", perm=perm)], {"x": shape}, "y"), "Transpose")
    assert shape_of(found.inputs[0]) == seen


@settings(max_examples=40)
@given(st.lists(st.integers(1, 3), min_size=5, max_size=5), st.sampled_from(list(permutations(range(5)))))
def test_any_transpose(shape: list[int], perm: tuple[int, ...]) -> None:
    check(model([node("Transpose", "x", "y", perm=perm)], {"x": shape}, "y"))


@pytest.mark.parametrize("axis", range(5))
def test_concat(axis: int) -> None:
    shapes = {name: tuple(size if place == axis else 2 for place in range(5)) for name, size in (("x", 3), ("z", 4))}
    found = inner(model([node("Concat", "x z", "y", axis=axis)], shapes, "y"), "Concat")
    assert all(len(shape_of(value)) <= 3 for value in found.inputs)


@pytest.mark.parametrize("axis", range(5))
def test_split(axis: int) -> None:
    nodes = [node("Split", "x s", "a b", axis=axis), node("Tanh", "a", "y"), node("Relu", "b", "z")]
    found = inner(model(nodes, {"x": (3, 3, 3, 3, 3)}, "y z", {"s": [1, 2]}), "Split")
    assert len(shape_of(found.inputs[0])) <= 3


@pytest.mark.parametrize(("axes", "rank"), [([0], 2), ([2], 3), ([4], 2), ([1, 3], 5), ([1, 2], 4)])
def test_slice(axes: list[int], rank: int) -> None:
    constants = {"b": [0] * len(axes), "e": [2] * len(axes), "a": axes}
    found = inner(model([node("Slice", "x b e a", "y")], {"x": (3, 3, 3, 3, 3)}, "y", constants), "Slice")
    assert len(shape_of(found.inputs[0])) == rank


def test_what_stays() -> None:
    nodes = [node("Slice", "x b e a", "y")]
    constants = {"b": [0] * 5, "e": [2] * 5, "a": list(range(5))}
    assert op_types(check(model(nodes, {"x": (3, 3, 3, 3, 3)}, "y", constants))) == ["Slice"]


def test_parts_nobody_uses_are_not_reshaped() -> None:
    split = node("Split", "x n", "y z")
    canonical = check(model([split], {"x": (4, 2, 2, 3, 2)}, "y", {"n": [1, 3]}))
    assert all(value.uses() or value.is_graph_output() for step in canonical.graph for value in step.outputs[:1])
