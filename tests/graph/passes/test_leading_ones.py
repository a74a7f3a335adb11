from __future__ import annotations

from typing import Any

import numpy as np

from tests.graph.models import check, model, node, op_types

RNG = np.random.default_rng(14)
CONSTANTS: dict[str, Any] = {
    name: RNG.normal(size=shape).astype(np.float32)
    for name, shape in {"w": (8, 8), "v": (8, 8), "g": (8,), "b": (8,), "p": (1, 5, 8), "k": (8, 8, 1)}.items()
}


def found(*nodes: Any, outputs: str = "y", inputs: Any = None) -> list[str]:
    return op_types(check(model(nodes, inputs or {"x": (1, 5, 8)}, outputs, CONSTANTS)))


def test_between_two_layers() -> None:
    ops = found(
        node("MatMul", "x w", "a"), node("Gelu", "a", "c"), node("Add", "c p", "d"),
        node("LayerNormalization", "d g b", "e"), node("Add", "e a", "f"), node("MatMul", "f v", "y"),
    )  # fmt: skip
    assert ops == ["Reshape", "Gemm", "Gelu", "Add", "LayerNormalization", "Add", "Gemm", "Reshape"]


def test_through_attention() -> None:
    constants = {**CONSTANTS, "s": [1, 5, 2, 4], "f": [1, 5, 8]}
    nodes = [
        node("MatMul", "x w", "q"), node("Reshape", "q s", "qs"), node("Transpose", "qs", "qt", perm=[0, 2, 1, 3]),
        node("MatMul", "x v", "l"), node("Reshape", "l s", "ls"), node("Transpose", "ls", "lt", perm=[0, 2, 3, 1]),
        node("MatMul", "qt lt", "m"), node("Softmax", "m", "n"), node("MatMul", "n qt", "o"),
        node("Transpose", "o", "ot", perm=[0, 2, 1, 3]), node("Reshape", "ot f", "r"), node("MatMul", "r w", "y"),
    ]  # fmt: skip
    ops = op_types(check(model(nodes, {"x": (1, 5, 8)}, "y", constants)))
    assert ops.count("Reshape") == 5


def test_where_it_costs_more_it_stays() -> None:
    inputs = {"x": (1, 5, 8), "z": (1, 5, 8)}
    ops = found(node("MatMul", "x w", "a"), node("Add", "a z", "y"), inputs=inputs)
    assert ops == ["Reshape", "Gemm", "Reshape", "Add"]
    assert found(node("Tanh", "x", "y")) == ["Tanh"]


def test_a_dimension_that_is_named_stays() -> None:
    nodes = [node("MatMul", "x w", "a"), node("Softmax", "a", "c", axis=0), node("MatMul", "c v", "y")]
    assert found(*nodes) == ["Reshape", "Gemm", "Reshape", "Softmax", "Reshape", "Gemm", "Reshape"]


def test_what_others_see_keeps_its_shape() -> None:
    nodes = [
        node("MatMul", "x w", "a"), node("Tanh", "a", "t"), node("MatMul", "t v", "y"), node("Conv", "t k", "z")
    ]  # fmt: skip
    original = model(nodes, {"x": (1, 8, 8)}, "y z", CONSTANTS)
    assert set(op_types(check(original))) == {"Reshape", "Gemm", "Tanh", "Conv"}
