"""Elements picked by constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node, op_types

RNG = np.random.default_rng(2)


def picked(op_type: str, constant: Any, shape: tuple[int, ...], **attributes: Any) -> list[str]:
    nodes = [node("Tanh", "x", "h"), node(op_type, "h c", "y", **attributes)]
    found = op_types(check(model(nodes, {"x": shape}, "y", {"c": np.asarray(constant)})))
    assert found[0] == "Tanh"
    return found[1:]


def test_rows_that_pick_alike_are_one_gather() -> None:
    indices = np.broadcast_to(np.array([2, -1, 0])[:, None], (1, 3, 5))
    assert picked("GatherElements", indices, (1, 4, 5), axis=1) == ["Gather"]


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_elements_picked_at_will(axis: int) -> None:
    assert picked("GatherElements", RNG.integers(-2, 2, (2, 3, 2)), (2, 3, 4), axis=axis) == [
        "Reshape",
        "Gather",
        "Reshape",
    ]


@pytest.mark.parametrize(
    ("indices", "batch"),
    [
        ([[0, 1], [-1, -2], [1, 0]], 0),
        ([[1], [0]], 0),
        ([[0, 1, 2], [1, 2, 3]], 0),
        ([[[1]], [[-1]]], 1),
        ([[[2, 1], [0, 0]], [[0, 3], [1, 1]]], 1),
    ],
)
def test_tuples(indices: Any, batch: int) -> None:
    assert "GatherND" not in picked("GatherND", indices, (2, 3, 4), batch_dims=batch)


def test_compress() -> None:
    assert picked("Compress", np.array([True, False, True]), (2, 3, 4), axis=1) == ["Gather"]
    assert "Gather" in picked("Compress", np.array([False, True, True, False, True]), (2, 3, 4))


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_triangles(upper: int, offset: int) -> None:
    assert picked("Trilu", np.array(offset), (1, 4, 5), upper=upper) == ["Mul"]
    nodes = [node("Tanh", "x", "h"), node("Trilu", "h", "y", upper=upper)]
    check(model(nodes, {"x": (1, 4, 5)}, "y"), ["Tanh", "Mul"])
