from __future__ import annotations

import numpy as np
import pytest

import tinsmith
from tests.graph.models import check, model, node
from tinsmith.graph import canonicalize
from tinsmith.importers import load

SHAPE = (2, 3, 4)


@pytest.mark.parametrize("reduction", ["none", "add", "max", "min"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scattered(axis: int, reduction: str) -> None:
    indices = np.argsort(np.random.default_rng(1).random((1, 2, 3)), axis) - SHAPE[axis]
    nodes = [
        node("Tanh", "x", "h"), node("Sigmoid", "u", "v"),
        node("ScatterElements", "h i v", "y", axis=axis, reduction=reduction),
    ]  # fmt: skip
    canonical = check(model(nodes, {"x": SHAPE, "u": (1, 2, 3)}, "y", {"i": indices}))
    assert "ScatterND" in [step.op_type for step in canonical.graph]
    assert "ScatterElements" not in [step.op_type for step in canonical.graph]


def test_elements_move_as_they_are() -> None:
    x, u = np.float32([[0, 1, 2], [3, 4, 5]]), np.float32([[-6, -7]])
    nodes = [node("ScatterElements", "x i u", "y", axis=1)]
    found = tinsmith.quantize(model(nodes, {"x": (2, 3), "u": (1, 2)}, "y", {"i": [[2, 0]]}), [{"x": x, "u": u}])
    real = tinsmith.dequantize(found.program, found.simulate({"x": x, "u": u}))["y"]
    assert real.tolist() == [[-7, 1, -6], [3, 4, 5]]


def test_indices_outside_stay() -> None:
    nodes = [node("ScatterElements", "x i u", "y", axis=1)]
    canonical = canonicalize(load(model(nodes, {"x": (2, 3), "u": (1, 2)}, "y", {"i": [[3, 0]]})))
    assert [step.op_type for step in canonical.graph] == ["ScatterElements"]
