"""Equal constants are stored once."""

from __future__ import annotations

import numpy as np

from tests.graph.models import check, model, node
from tests.graph.recurrent_models import layer

WEIGHTS = np.arange(24, dtype=np.float32).reshape(4, 6)


def stored(second: np.ndarray) -> int:
    """Matrices left where two products with these constants are added."""
    nodes = [node("MatMul", "x a", "p"), node("Relu", "p", "r"), node("MatMul", "x b", "q"), node("Add", "r q", "y")]
    canonical = check(model(nodes, {"x": [3, 4]}, "y", {"a": WEIGHTS, "b": second}))
    return sum(value.shape is not None and len(value.shape) == 2 for value in canonical.graph.initializers.values())


def test_equal_ones() -> None:
    assert stored(WEIGHTS.copy()) == 1


def test_others_stay() -> None:
    other = WEIGHTS.copy()
    other[-1, -1] = 0
    assert stored(other) == 2


def test_of_another_shape() -> None:
    nodes = [node("MatMul", "x a", "p"), node("Reshape", "b shape", "c"), node("MatMul", "p c", "y")]
    constants = {"a": WEIGHTS, "b": WEIGHTS.reshape(-1), "shape": [6, 4]}
    canonical = check(model(nodes, {"x": [3, 4]}, "y", constants))
    assert {tuple(value.shape) for value in canonical.graph.initializers.values() if value.shape} >= {(4, 6), (6, 4)}


def test_steps_share_their_weights() -> None:
    counts = []
    for steps in (4, 12):
        canonical = check(layer("GRU", "Y_h", steps=steps))
        tensors = canonical.graph.initializers.values()
        counts.append(sum(value.shape is not None and len(value.shape) == 2 for value in tensors))
    assert counts[0] == counts[1]
