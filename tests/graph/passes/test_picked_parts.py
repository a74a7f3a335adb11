"""Parts of joined tensors come from where they were computed."""

from __future__ import annotations

import pytest

from tests.graph.models import check, histogram, model, node

STEPS = [node("Relu", "x", "a"), node("Sigmoid", "x", "b"), node("Tanh", "x", "c")]


@pytest.mark.parametrize(
    ("more", "constants"),
    [
        ([node("Concat", "a b c", "j", axis=0), node("Slice", "j s e z", "y")], {"s": [-1], "e": [99], "z": [0]}),
        (
            [
                node("Unsqueeze", "a zero", "a1"),
                node("Unsqueeze", "b zero", "b1"),
                node("Unsqueeze", "c zero", "c1"),
                node("Concat", "a1 b1 c1", "j", axis=0),
                node("Transpose", "j", "t", perm=[1, 0, 2]),
                node("Gather", "t i", "y", axis=1),
            ],
            {"zero": [0], "i": -1},
        ),
    ],
)
def test_one_part(more: list, constants: dict) -> None:  # type: ignore[type-arg]
    canonical = check(model([*STEPS, *more], {"x": [1, 6]}, "y", constants))
    assert set(histogram(canonical)) <= {"Tanh", "Reshape"}


def test_the_joined_tensor_is_used_too() -> None:
    more = [node("Concat", "a b c", "j", axis=0), node("Slice", "j s e z", "y"), node("Neg", "j", "n")]
    canonical = check(model([*STEPS, *more], {"x": [1, 6]}, "y n", {"s": [1], "e": [2], "z": [0]}))
    found = histogram(canonical)
    assert (found["Concat"], found.get("Slice", 0)) == (1, 0)


@pytest.mark.parametrize(("start", "end"), [(0, 2), (1, 3)])
def test_more_than_one_part_stays(start: int, end: int) -> None:
    more = [node("Concat", "a b c", "j", axis=0), node("Slice", "j s e z", "y")]
    canonical = check(model([*STEPS, *more], {"x": [1, 6]}, "y", {"s": [start], "e": [end], "z": [0]}))
    assert histogram(canonical)["Slice"] == 1


def test_a_piece_of_a_part_stays() -> None:
    more = [node("Concat", "a b c", "j", axis=1), node("Slice", "j s e o", "y")]
    canonical = check(model([*STEPS, *more], {"x": [1, 6]}, "y", {"s": [1], "e": [4], "o": [1]}))
    assert histogram(canonical)["Slice"] == 1


def test_inputs_of_the_model_stay() -> None:
    """An output that is an input has nothing to compute."""
    nodes = [node("Relu", "x", "a"), node("Concat", "x a", "j", axis=0), node("Slice", "j s e z", "y")]
    canonical = check(model(nodes, {"x": [1, 6]}, "y", {"s": [0], "e": [1], "z": [0]}))
    assert histogram(canonical)["Slice"] == 1
