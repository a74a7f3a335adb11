from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto

from tests.graph.models import check, model, node, op_types

RNG = np.random.default_rng(13)
CONSTANTS: dict[str, Any] = {
    "w": RNG.normal(size=(8, 24)).astype(np.float32), "b": RNG.normal(size=24).astype(np.float32), "s": [1, 5, 3, 2, 4],
    "zero": 0, "one": 1, "two": 2, "only": [0], "n0": [0], "n1": [1], "n2": [2], "n3": [3],
}  # fmt: skip
LAYER = [node("MatMul", "x w", "h"), node("Add", "h b", "i")]
HEADS = [*LAYER, node("Reshape", "i s", "j"), node("Transpose", "j", "k", perm=[2, 0, 3, 1, 4])]
ENDS = [node("Tanh", "q", "a"), node("Relu", "r", "c"), node("Sigmoid", "v", "d")]


def found(nodes: list[NodeProto], outputs: str = "a c d", **constants: Any) -> list[str]:
    return op_types(check(model(nodes, {"x": (1, 5, 8)}, outputs, {**CONSTANTS, **constants})))


PARTS = {
    "split": [
        node("Split", "k", "q1 r1 v1", axis=0, num_outputs=3), node("Squeeze", "q1 only", "q"),
        node("Squeeze", "r1 only", "r"), node("Squeeze", "v1 only", "v"),
    ],
    "gather": [node("Gather", f"k {index}", part) for index, part in zip(("zero", "one", "two"), "qrv", strict=True)],
    "slice": [
        node("Slice", f"k n{index} n{index + 1} only", part) for index, part in enumerate("qrv")
    ],
}  # fmt: skip


@pytest.mark.parametrize("how", PARTS)
def test_queries_keys_and_values(how: str) -> None:
    ops = found([*HEADS, *PARTS[how], *ENDS])
    assert ops.count("Gemm") == 3
    assert not {"Split", "Gather", "Slice"} & set(ops)


def test_heads_first() -> None:
    """Channels of one part are not neighbours."""
    nodes = [*LAYER, node("Reshape", "i s", "j"), node("Split", "j", "q r v", axis=3, num_outputs=3), *ENDS]
    ops = found(nodes, s=[1, 5, 2, 3, 4])
    assert ops.count("Gemm") == 3
    assert "Split" not in ops


def test_a_gemm_alone() -> None:
    assert found([*LAYER, node("Split", "i", "q r v", axis=2, num_outputs=3), *ENDS]).count("Gemm") == 3


def test_channels_nobody_reads() -> None:
    nodes = [*HEADS, *PARTS["gather"][:2], *ENDS[:2]]
    assert found(nodes, "a c").count("Gemm") == 2


def test_channels_read_twice_stay() -> None:
    nodes = [*HEADS, *PARTS["gather"], node("Gather", "k two", "t"), node("Tanh", "t", "e"), *ENDS]
    assert found(nodes, "a c d e").count("Gemm") == 3  # the same Gather twice is one
    nodes = [*HEADS, *PARTS["gather"], node("Slice", "k n1 n3 only", "t"), node("Tanh", "t", "e"), *ENDS]
    assert found(nodes, "a c d e").count("Gemm") == 1


def test_selected_rows_stay() -> None:
    rows = node("Split", "k sizes", "q r v", axis=3)
    assert found([*HEADS, rows, *ENDS], sizes=[1, 2, 2]).count("Gemm") == 1


def conv(kernel: int, *more: NodeProto) -> list[str]:
    nodes = [node("Conv", "x w", "h", pads=[kernel // 2] * 4), *more, node("Tanh", "q", "a"), node("Relu", "r", "c")]
    weights = RNG.normal(size=(8, 3, kernel, kernel)).astype(np.float32)
    return op_types(check(model(nodes, {"x": (1, 3, 4, 4)}, "a c", {"w": weights, "s": [1, 2, 4, 16]})))


def test_convolutions() -> None:
    moved = [node("Reshape", "h s", "i"), node("Split", "i", "q r", axis=2, num_outputs=2)]
    assert conv(1, *moved).count("Conv") == 2
    assert conv(3, *moved).count("Conv") == 1
    assert conv(1, node("Split", "h", "q r", axis=1, num_outputs=2)).count("Conv") == 1
