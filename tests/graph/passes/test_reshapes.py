from __future__ import annotations

from tests.graph.models import check, model, node


def test_chains_are_one_reshape() -> None:
    nodes = [
        node("Flatten", "x", "a", axis=2), node("Unsqueeze", "a u", "b"), node("Reshape", "b s", "c"),
        node("Squeeze", "c q", "y"),
    ]  # fmt: skip
    original = model(nodes, {"x": (1, 4, 3, 5)}, "y", {"u": [0], "s": [1, 2, 30], "q": [0]})
    canonical = check(original, ["Reshape"])
    shape = canonical.graph[0].inputs[1]
    assert shape is not None
    assert shape.const_value is not None
    assert shape.const_value.numpy().tolist() == [2, 30]


def test_single_ones_stay_what_they_are() -> None:
    nodes = [node("Flatten", "x", "y"), node("Unsqueeze", "x u", "z"), node("Squeeze", "x q", "w")]
    check(model(nodes, {"x": (1, 4, 3)}, "y z w", {"u": [1], "q": [0]}), ["Flatten", "Unsqueeze", "Squeeze"])


def test_a_shape_that_others_see_stays() -> None:
    nodes = [node("Flatten", "x", "h"), node("Unsqueeze", "h u", "y")]
    check(model(nodes, {"x": (1, 4, 3)}, "h y", {"u": [0]}), ["Flatten", "Unsqueeze"])


def test_transposes_of_ones() -> None:
    check(model([node("Transpose", "x", "y", perm=[0, 2, 3, 1])], {"x": (1, 7, 1, 1)}, "y"), ["Reshape"])
    check(model([node("Transpose", "x", "y", perm=[1, 0, 2])], {"x": (1, 7, 3)}, "y"), ["Reshape"])
    check(model([node("Transpose", "x", "y", perm=[0, 2, 1])], {"x": (1, 7, 3)}, "y"), ["Transpose"])
    check(model([node("Transpose", "x", "y")], {"x": (7, 3)}, "y"), ["Transpose"])


def test_gathers_of_everything() -> None:
    check(model([node("Gather", "x i", "y", axis=1)], {"x": (2, 3)}, "y", {"i": [[0], [1], [-1]]}), ["Reshape"])
    check(model([node("Gather", "x i", "y", axis=1)], {"x": (2, 3)}, "y", {"i": [0, 2, 1]}), ["Gather"])
