from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto

from tests.graph.models import check, model, node, op_types

RNG = np.random.default_rng(12)
CONSTANTS: dict[str, Any] = {"w": RNG.normal(size=(8, 12)).astype(np.float32), "s": [1, 5, 3, 4], "f": [5, 12]}
LAYER = node("MatMul", "x w", "h")
SPLIT = [LAYER, node("Reshape", "h s", "i"), node("Transpose", "i", "j", perm=[0, 2, 1, 3])]
SHAPES = {"x": (1, 5, 8)}


def random(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(), (4,), (3, 1, 4), (1, 3, 1, 1), (1, 3, 1, 4)])
def test_behind_heads(op: str, shape: tuple[int, ...]) -> None:
    nodes = [*SPLIT, node(op, "j c", "y")]
    canonical = check(model(nodes, SHAPES, "y", {**CONSTANTS, "c": random(*shape) + 2}))
    assert op_types(canonical).count(op) == 0
    assert set(op_types(canonical)) == {"Reshape", "Gemm", "Transpose"}


def test_numbers_that_differ_between_rows_stay() -> None:
    nodes = [*SPLIT, node("Add", "j c", "y")]
    assert "Add" in op_types(check(model(nodes, SHAPES, "y", {**CONSTANTS, "c": random(5, 1)})))


def test_rows_and_features_in_one_dimension() -> None:
    nodes = [LAYER, node("Reshape", "h f", "i"), node("Add", "i c", "y")]
    canonical = check(model(nodes, SHAPES, "y", {**CONSTANTS, "f": [3, 20], "c": random(20)}))
    assert "Add" in op_types(canonical)


def test_what_others_see_stays() -> None:
    nodes = [*SPLIT, node("Mul", "j c", "y"), node("Tanh", "i", "z")]
    assert "Mul" in op_types(check(model(nodes, SHAPES, "y z", {**CONSTANTS, "c": 0.5})))


def scores(left: list[NodeProto], right: list[NodeProto], *more: NodeProto, **inputs: Any) -> list[str]:
    nodes = [*left, *right, node("MatMul", "q k", "m"), *(more or (node("Div", "m c", "y"),))]
    constants = {**CONSTANTS, "v": random(8, 12), "c": 3.0}
    return op_types(check(model(nodes, inputs, "y", constants)))


PROJECTED = [LAYER, node("Reshape", "h s", "i"), node("Transpose", "i", "q", perm=[0, 2, 1, 3])]
KEYS = [
    node("MatMul", "x v", "l"), node("Reshape", "l s", "n"), node("Transpose", "n", "k", perm=[0, 2, 3, 1])
]  # fmt: skip


def test_the_scale_of_scores() -> None:
    found = scores(PROJECTED, KEYS, x=(1, 5, 8))
    assert "Mul" not in found
    assert "Div" not in found


def test_the_scale_of_scores_goes_to_the_keys() -> None:
    assert "Mul" not in scores([], KEYS, x=(1, 5, 8), q=(1, 3, 2, 4))


def test_the_scale_of_scores_stays_without_a_layer() -> None:
    assert scores([], [], q=(1, 3, 2, 4), k=(1, 3, 4, 2)) == ["MatMul", "Mul"]


def test_scores_that_others_see_keep_their_scale() -> None:
    more = (node("Div", "m c", "d"), node("Add", "d m", "y"))
    assert "Mul" in scores(PROJECTED, KEYS, *more, x=(1, 5, 8))
