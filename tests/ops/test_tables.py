"""Look-ups: in the file's tables, and in tables the compiled form makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, OneNode, every, whole
from tinsmith.errors import ProgramError
from tinsmith.program import DType
from tinsmith.simulator.compiled import GraphPart, compile_program
from tinsmith.targets import Target


def ops_of(node: OneNode) -> list[str]:
    """Operators of the compiled graph, casts of inputs and outputs left out."""
    import onnx

    (part,) = compile_program(node.program, node.target).parts
    assert isinstance(part, GraphPart)
    return [n.op_type for n in onnx.load_from_string(part.model).graph.node][1:-1]


@given(FAMILIES, st.integers(0, 2**32 - 1), st.sampled_from([(), (7,), (1, 2, 3, 4), (1, 3, 5)]))
def test_any_table(target: Target, seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    table, x = whole((256,), 8, rng), whole(shape, 8, rng)
    node = OneNode("Sigmoid", target, DType.INT8, -7).feed(x, -4).table(table)
    assert np.asarray(node.run()).ravel().tolist() == [table[v + 128] for v in x.ravel().tolist()]


@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
@pytest.mark.parametrize(
    ("shift", "low", "high", "expected"),
    [
        (0, 0, 127, ["Clip"]),
        (0, 0, 96, ["Clip"]),
        (0, -20, 20, ["Clip"]),
        (0, 5, 5, ["Clip"]),
        (1, 0, 48, ["Mul", "Clip"]),
        (3, -128, 127, ["Mul", "Clip"]),
        (-1, 0, 96, ["Mul", "Clip"]),
    ],
)
def test_a_rescaling_between_bounds_is_arithmetic(
    target: Target, shift: int, low: int, high: int, expected: list[str]
) -> None:
    table = np.clip(target.rounding.rshift(every(8), shift), low, high).astype(np.int8)
    node = OneNode("Clip", target, DType.INT8, -4 + shift).feed(every(8), -4).table(table)
    assert node.run().tolist() == table.tolist()
    assert [op for op in ops_of(node) if op in ("Mul", "Clip", "GatherElements")] == expected


@given(FAMILIES, st.sampled_from([0, 1, 2, -1]), st.integers(0, 255), st.integers(-1, 1))
def test_a_table_one_entry_off_is_looked_up(target: Target, shift: int, index: int, change: int) -> None:
    table = np.clip(target.rounding.rshift(every(8), shift), -100, 100).astype(np.int8)
    table[index] += change
    node = OneNode("Relu", target, DType.INT8, -4 + shift).feed(every(8), -4).table(table)
    assert node.run().tolist() == table.tolist()


def test_int16_nodes_do_not_read_their_table() -> None:
    x = np.int16([-300, 0, 300])
    node = OneNode("Relu", P4, DType.INT16, -4).feed(x, -4).table(np.full(65536, 7, np.int16))
    assert node.run().tolist() == [0, 0, 300]


def test_a_table_of_another_length_is_an_error() -> None:
    node = OneNode("Sigmoid", P4, DType.INT8, -7).feed(every(8), -4).table(np.zeros(255, np.int8))
    with pytest.raises(ProgramError, match="255 int8 entries, not 256 of int8"):
        node.interpreted()


def test_a_table_that_is_not_there_is_an_error() -> None:
    node = OneNode("Sigmoid", P4, DType.INT8, -7, {"lut": "nowhere"}).feed(every(8), -4)
    with pytest.raises(ProgramError, match="'nowhere' is missing"):
        node.interpreted()


def test_a_table_in_another_exponent_breaks_a_rule() -> None:
    table = np.zeros(256, np.int8)
    node = OneNode("Sigmoid", P4, DType.INT8, -7).feed(every(8), -4).table(table, exponent=-6)
    assert node.broken_rules() == ["its table has exponent (-6,), its output (-7,); write the table in the output's."]
    assert OneNode("Sigmoid", P4, DType.INT8, -7).feed(every(8), -4).table(table).broken_rules() == []
