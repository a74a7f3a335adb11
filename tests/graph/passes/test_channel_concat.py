from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node

W = np.random.default_rng(2).normal(size=(5, 12, 1, 1)).astype(np.float32)
SHAPE = (1, 12, 4, 3)
HALVES = node("Split", "h", "a b", axis=1, num_outputs=2)


def slices(*bounds: tuple[int, int, int]) -> tuple[list[Any], dict[str, Any], str]:
    """Slices of channels: nodes, constants and their results."""
    nodes, constants = [], {"axes": [1]}
    for index, (start, end, step) in enumerate(bounds):
        constants |= {f"s{index}": [start], f"e{index}": [end], f"p{index}": [step]}
        nodes.append(node("Slice", f"h s{index} e{index} axes p{index}", f"q{index}"))
    return nodes, constants, " ".join(f"q{index}" for index in range(len(bounds)))


def network(nodes: list[Any], joined: str, constants: dict[str, Any] | None = None, outputs: str = "y") -> Any:
    ends = [node("Concat", joined, "c", axis=1), node("Conv", "c w", "y")]
    return model([node("Tanh", "x", "h"), *nodes, *ends], {"x": SHAPE}, outputs, {"w": W, **(constants or {})})


def test_halves_exchanged() -> None:
    check(network([HALVES], "b a"), ["Tanh", "Conv"])
    check(network([HALVES], "a b"), ["Tanh", "Conv"])


@pytest.mark.parametrize(
    "bounds",
    [
        [(0, 12, 2), (1, 12, 2)],
        [(4, 12, 1), (0, 4, 1)],
        [(2, 12, 3), (0, 12, 3), (1, 12, 3)],
        [(11, -100, -1)],
        [(5, -100, -1), (6, 12, 1)],
    ],
)
def test_slices(bounds: list[tuple[int, int, int]]) -> None:
    nodes, constants, joined = slices(*bounds)
    if len(bounds) == 1:
        nodes, joined = [*nodes, node("Split", "q0", "a b", axis=1, num_outputs=2)], "a b"
        assert "Slice" in [step.op_type for step in check(network(nodes, joined, constants)).graph]
    else:
        check(network(nodes, joined, constants), ["Tanh", "Conv"])


def test_an_output_that_is_the_input_again() -> None:
    original = model([HALVES, node("Concat", "a b", "y", axis=1)], {"h": SHAPE}, "y")
    check(original, ["Identity"])


def test_what_is_not_every_channel_once_stays() -> None:
    check(network([HALVES], "a a"), ["Tanh", "Split", "Concat", "Conv"])
    check(network([HALVES], "b a", outputs="y c"), ["Tanh", "Split", "Concat", "Conv"])
    rows = [node("Split", "h", "a b", axis=2, num_outputs=2)]
    w = np.random.default_rng(2).normal(size=(5, 24, 1, 1)).astype(np.float32)
    check(network(rows, "b a", {"w": w}), ["Tanh", "Split", "Concat", "Conv"])
