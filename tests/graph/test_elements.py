"""Where elements come from, against what ONNX Runtime computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import model, node
from tinsmith.graph import Runner
from tinsmith.graph.elements import Part, operand, origin, origins, whole
from tinsmith.graph.shapes import settle
from tinsmith.graph.weighted import affine
from tinsmith.importers import load

SHAPE = [2, 3, 4]
COUNT = 24

MOVES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "Reshape": ([node("Reshape", "x shape", "y")], {"shape": [4, 6]}),
    "Transpose": ([node("Transpose", "x", "y", perm=[2, 0, 1])], {}),
    "reversed": ([node("Transpose", "x", "y")], {}),
    "Slice": ([node("Slice", "x a b c d", "y")], {"a": [1, 0], "b": [9, 3], "c": [1, 2], "d": [1, 2]}),
    "Slice backwards": ([node("Slice", "x a b c d", "y")], {"a": [-1], "b": [-(2**31)], "c": [1], "d": [-1]}),
    "Gather": ([node("Gather", "x i", "y", axis=1)], {"i": np.array([[2, 0], [-1, 1]])}),
    "Split": ([node("Split", "x s", "z y", axis=2)], {"s": [1, 3]}),
    "Expand": ([node("Unsqueeze", "x one", "u"), node("Expand", "u e", "y")], {"one": [1], "e": [2, 5, 3, 4]}),
    "ReverseSequence": ([node("ReverseSequence", "x l", "y", batch_axis=0, time_axis=1)], {"l": [3, 2]}),
    "Where": ([node("Where", "yes x zero", "y")], {"yes": np.array([True]), "zero": 0.0}),
    "Concat": ([node("Concat", "x x", "z", axis=1), node("Slice", "z a b c", "y")], {"a": [3], "b": [6], "c": [1]}),
    "chain": (
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("Flatten", "t", "f"),
            node("Gather", "f i", "g", axis=0),
            node("Unsqueeze", "g one", "y"),
        ],
        {"i": 2, "one": [0]},
    ),
}


def settled(nodes: list[Any], constants: dict[str, Any]) -> ir.Model:
    found = load(model(nodes, {"x": SHAPE}, "y", constants))
    settle(found)
    return found


def source_and_result(found: ir.Model) -> tuple[ir.Value, ir.Value, np.ndarray]:
    """The input, the output, and the output where the input holds 0, 1, 2 …"""
    x = np.arange(COUNT, dtype=np.float32).reshape(SHAPE)
    return found.graph.inputs[0], found.graph.outputs[0], Runner(found)({"x": x})["y"].reshape(-1)


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str) -> None:
    source, result, expected = source_and_result(settled(*MOVES[name]))
    found = origin(whole(result))
    assert found.value is source
    assert found.at.tolist() == expected.tolist()
    some = origin(Part(result, np.array([2, 0])))
    assert some.at.tolist() == expected[[2, 0]].tolist()


def test_several_sources() -> None:
    nodes = [node("Relu", "x", "r"), node("Concat", "x r x", "y", axis=2)]
    model_ = settled(nodes, {})
    x, result, _ = source_and_result(model_)
    relu = next(step for step in model_.graph if step.op_type == "Relu").outputs[0]
    assert origin(whole(result)).value is result
    found = origins(whole(result))
    assert {piece.value for _, piece in found} == {x, relu}
    everything = np.zeros(3 * COUNT)
    for places, piece in found:
        everything[places] = piece.at
    expected = np.concatenate([np.arange(COUNT).reshape(SHAPE)] * 3, axis=2)
    assert everything.tolist() == expected.reshape(-1).tolist()


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Gather", "x i", "y", axis=0)], {"i": [1]}),
        ([node("Where", "some x x2", "y")], {"some": np.array([True, False, True, False]), "x2": 1.0}),
    ],
)
def test_the_whole_is_known(nodes: list[Any], constants: dict[str, Any]) -> None:
    """A condition that differs between elements ends the way; a Gather does not."""
    source, result, _ = source_and_result(settled(nodes, constants))
    assert (origin(whole(result)).value is source) == (nodes[0].op_type == "Gather")
    assert not origin(whole(result)).is_whole or nodes[0].op_type == "Where"


def test_operands_are_broadcast() -> None:
    found = settled([node("Add", "x c", "y")], {"c": np.arange(4, dtype=np.float32)})
    result = found.graph.outputs[0]
    assert operand(Part(result, np.array([5, 11])), 1).at.tolist() == [1, 3]


SUMS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "Add": ([node("Add", "x c", "y")], {"c": np.arange(4, dtype=np.float32)}),
    "Sub": ([node("Sub", "c x", "y")], {"c": 2.0}),
    "twice": ([node("Add", "x x", "y")], {}),
    "Neg, Mul, Div": (
        [node("Neg", "x", "n"), node("Mul", "c n", "m"), node("Div", "m d", "y")],
        {"c": np.arange(4, dtype=np.float32), "d": 4.0},
    ),
    "MatMul": ([node("MatMul", "x w", "y")], {"w": np.arange(20, dtype=np.float32).reshape(4, 5)}),
    "Gemm": (
        [
            node("Reshape", "x shape", "f"),
            node("Gemm", "f w b", "g", transB=1, alpha=0.5, beta=2.0),
            node("Add", "g b", "y"),
        ],
        {"shape": [6, 4], "w": np.arange(20, dtype=np.float32).reshape(5, 4), "b": np.arange(5, dtype=np.float32)},
    ),
    "joined": (
        [node("Relu", "x", "r"), node("Concat", "x r", "j", axis=2), node("MatMul", "j w", "y")],
        {"w": np.arange(24, dtype=np.float32).reshape(8, 3)},
    ),
}


@given(name=st.sampled_from(sorted(SUMS)), seed=st.integers(0, 2**32 - 1))
def test_sums(name: str, seed: int) -> None:
    """The weighted sum gives what ONNX Runtime computes."""
    found = settled(*SUMS[name])
    result = found.graph.outputs[0]
    rng = np.random.default_rng(seed)
    width = int(result.shape[-1])  # type: ignore[index, arg-type]
    rows = whole(result).at.reshape(-1, width)
    part = Part(result, rng.permutation(rows[rng.integers(len(rows))]))
    form = affine(part)
    x = rng.normal(size=SHAPE).astype(np.float32)
    values = Runner(found, ["y", *{piece.value.name or "" for piece, _ in form.terms} - {"x"}])({"x": x}) | {"x": x}
    total = form.constant.astype(np.float64)
    for piece, matrix in form.terms:
        total = total + matrix @ values[piece.value.name or ""].reshape(-1)[piece.at]
    assert total == pytest.approx(values["y"].reshape(-1)[part.at], abs=1e-4)
    assert {piece.value.name for piece, _ in form.terms} <= {"x", "r"}


def test_values_that_are_not_taken_apart() -> None:
    found = settled([node("Add", "x c", "y")], {"c": 1.0})
    result = found.graph.outputs[0]
    ((piece, matrix),) = affine(whole(result), {result}).terms
    assert piece.value is result
    assert np.array_equal(matrix, np.eye(COUNT))
