from __future__ import annotations

import pytest

from tests.graph.models import check, model, node


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("opset", [9, 11, 12])
@pytest.mark.parametrize(("shape", "axis"), [((1, 10), 1), ((1, 10, 1, 1), 1), ((1, 4, 7), 2), ((1, 1, 9, 1), -2)])
def test_before_opset_13(op: str, opset: int, shape: tuple[int, ...], axis: int) -> None:
    nodes = [node("Tanh", "x", "h"), node(op, "h", "y", name="softmax", axis=axis)]
    canonical = check(model(nodes, {"x": shape}, "y", opset=opset), ["Tanh", op])
    assert canonical.graph[1].name == "softmax"


def test_over_several_dimensions_stays_flattened() -> None:
    nodes = [node("Tanh", "x", "h"), node("Softmax", "h", "y", axis=1)]
    canonical = check(model(nodes, {"x": (1, 4, 7)}, "y", opset=11))
    assert [step.op_type for step in canonical.graph].count("Softmax") == 1
    assert len(canonical.graph) == 4


@pytest.mark.parametrize(
    ("inside", "axis", "ops"),
    [
        ([12, 5], 1, ["Tanh", "Softmax"]),
        ([4, 3, 5], 2, ["Tanh", "Softmax"]),
        ([60], 0, ["Tanh", "Reshape", "Softmax", "Reshape"]),
        ([6, 10], 1, ["Tanh", "Reshape", "Softmax", "Reshape"]),
    ],
)
def test_reshaped(inside: list[int], axis: int, ops: list[str]) -> None:
    nodes = [
        node("Tanh", "x", "h"), node("Reshape", "h s", "i"), node("Softmax", "i", "j", axis=axis),
        node("Reshape", "j t", "y"),
    ]  # fmt: skip
    check(model(nodes, {"x": (1, 12, 5)}, "y", {"s": inside, "t": [1, 12, 5]}), ops)
