from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node, op_types
from tinsmith.graph.edit import constant

SHAPE = (1, 2, 4, 4)
LATER = np.triu(np.ones((4, 4), bool), 1)


def softened(mask: Any, steps: list[Any] | None = None, **constants: Any) -> Any:
    nodes = [*(steps or [node("Add", "x m", "h")]), node("Softmax", "h", "y")]
    return check(model(nodes, {"x": SHAPE}, "y", {"m": mask, **constants}))


@pytest.mark.parametrize("low", [-1e9, -100.0, -np.inf, float(np.finfo(np.float32).min)])
def test_low_numbers(low: float) -> None:
    canonical = softened(np.where(LATER, low, 0.25).astype(np.float32))
    assert op_types(canonical) == ["Mul", "Add", "Softmax"]
    seen, mask = (constant(step.inputs[1]) for step in list(canonical.graph)[:2])
    assert np.array_equal(seen, (~LATER).astype(np.float32))
    assert np.array_equal(mask, np.where(LATER, np.float32(-32), np.float32(0.25)))


@pytest.mark.parametrize(("order", "truth"), [("c x m", ~LATER), ("c m x", LATER)])
def test_where(order: str, truth: Any) -> None:
    canonical = softened(np.float32(-1e9), [node("Where", order, "h")], c=truth)
    assert op_types(canonical) == ["Mul", "Add", "Softmax"]


def test_before_another_summand_and_a_reshape() -> None:
    steps = [node("Add", "m x", "a"), node("Add", "a b", "c"), node("Reshape", "c s", "h")]
    canonical = softened(
        np.where(LATER, np.float32(-1e4), np.float32(0)), steps, b=np.ones(SHAPE, np.float32), s=[2, 4, 4]
    )
    assert op_types(canonical)[:3] == ["Mul", "Add", "Add"]


@pytest.mark.parametrize("mask", [-np.arange(16.0).reshape(4, 4) * 3, np.full((4, 4), -10.0)])
def test_gradual_distances_stay(mask: Any) -> None:
    assert op_types(softened(mask.astype(np.float32))) == ["Add", "Softmax"]


def test_without_a_softmax_it_stays() -> None:
    mask = np.where(LATER, np.float32(-1e4), np.float32(0))
    check(model([node("Add", "x m", "h"), node("Tanh", "h", "y")], {"x": SHAPE}, "y", {"m": mask}), ["Add", "Tanh"])


@pytest.mark.parametrize("mask", [np.full((4, 1), -50.0), np.full(1, -1e4), np.where(np.eye(4) > 0, -1e9, -2e9)])
def test_what_lowers_whole_rows_hides_nothing(mask: Any) -> None:
    assert op_types(softened(mask.astype(np.float32))) == ["Add", "Softmax"]


@pytest.mark.parametrize(("axis", "expected"), [(3, ["Mul", "Add"]), (2, ["Add"])])
@pytest.mark.parametrize("turned", [False, True])
def test_rows_lie_along_the_axis_of_softmax(axis: int, expected: list[str], turned: bool) -> None:
    mask = np.zeros((4, 4), np.float32)
    mask[:, 3] = -1e4
    nodes = [node("Add", "x m", "h"), node("Softmax", "h", "y", axis=axis)]
    if turned:
        nodes = [node("Add", "x m", "g"), node("Transpose", "g", "h", perm=[0, 3, 1, 2])]
        nodes.append(node("Softmax", "h", "y", axis={3: 1, 2: 3}[axis]))
    canonical = check(model(nodes, {"x": SHAPE}, "y", {"m": mask}))
    assert [kind for kind in op_types(canonical) if kind in ("Mul", "Add")] == expected


def test_rows_without_anything_to_see_are_shared_alike() -> None:
    mask = np.zeros((4, 4), np.float32)
    mask[1] = -1e9
    assert op_types(softened(mask)) == ["Mul", "Add", "Softmax"]
    nodes = [node("Add", "x m", "a"), node("Add", "a b", "h")]
    assert op_types(softened(mask, nodes, b=np.ones((1, 1, 4, 4), np.float32))) == ["Mul", "Add", "Add", "Softmax"]
