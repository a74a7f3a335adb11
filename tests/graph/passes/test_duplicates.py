from __future__ import annotations

from tests.graph.models import check, model, node


def test_the_same_is_computed_once() -> None:
    nodes = [
        node("Transpose", "x", "a", perm=[0, 2, 1]), node("Transpose", "x", "b", perm=[0, 2, 1]),
        node("Slice", "a s e", "c"), node("Slice", "b t f", "d"), node("Add", "c d", "y"),
    ]  # fmt: skip
    original = model(nodes, {"x": (2, 3, 4)}, "y", {"s": [0], "e": [1], "t": [0], "f": [1]})
    check(original, ["Transpose", "Slice", "Add"])


def test_outputs_are_computed_each() -> None:
    check(model([node("Exp", "x", "y"), node("Exp", "x", "z")], {"x": (2, 3)}, "y z"), ["Exp", "Exp"])


def test_other_attributes_and_constants_differ() -> None:
    nodes = [
        node("LeakyRelu", "x", "a", alpha=0.1), node("LeakyRelu", "x", "b", alpha=0.2), node("Pow", "x p", "c"),
        node("Pow", "x q", "d"), node("Concat", "a b c d", "y", axis=0),
    ]  # fmt: skip
    check(model(nodes, {"x": (2, 3)}, "y", {"p": 4.0, "q": 6.0}), ["LeakyRelu", "LeakyRelu", "Pow", "Pow", "Concat"])
