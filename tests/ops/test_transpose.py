"""Transpose and Identity."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tests.ops.moving import program_of, run
from tests.ops.one_node import P4, S3
from tinsmith.errors import ProgramError
from tinsmith.simulator.compiled import GraphPart, compile_program
from tinsmith.simulator.interpreter import interpret


@pytest.mark.parametrize("perm", list(permutations(range(4))))
@pytest.mark.parametrize("spatial", [False, True])
def test_every_order(perm: tuple[int, ...], spatial: bool) -> None:
    x = np.arange(120, dtype=np.int8).reshape(2, 3, 4, 5)
    (found,) = run(program_of("Transpose", [x], {"perm": perm}, spatial=spatial), P4, {"x0": x})
    assert found.tolist() == x.transpose(perm).tolist()


def test_negative_axes_and_the_default() -> None:
    x = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    (found,) = run(program_of("Transpose", [x], {"perm": (0, -1, -2)}), S3, {"x0": x})
    assert found.tolist() == x.transpose(0, 2, 1).tolist()
    assert run(program_of("Transpose", [x], {}), S3, {"x0": x})[0].tolist() == x.transpose().tolist()


@pytest.mark.parametrize(
    ("perm", "message"), [((0, 0), "no permutation"), ((0,), "no permutation"), ((0, 2), "axis 2")]
)
def test_hostile_orders(perm: tuple[int, ...], message: str) -> None:
    x = np.zeros((2, 3), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("Transpose", [x], {"perm": perm}), {"x0": x}, S3)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.bool_, np.int64])
@pytest.mark.parametrize("op_type", ["Transpose", "Identity"])
def test_every_type_moves(dtype: type, op_type: str) -> None:
    x = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    expected = x.transpose() if op_type == "Transpose" else x
    (found,) = run(program_of(op_type, [x], {}, spatial=True), P4, {"x0": x})
    assert found.tolist() == expected.tolist()
    assert found.dtype == dtype


@pytest.mark.parametrize("perm", [(0, 3, 1, 2), (0, 2, 3, 1)])
def test_a_transpose_to_channels_first_costs_nothing_behind_a_convolution(perm: tuple[int, ...]) -> None:
    import onnx

    x = np.arange(24, dtype=np.int8).reshape(1, 2, 3, 4)
    program = program_of("Transpose", [x], {"perm": perm}, spatial=True)
    (part,) = compile_program(program, P4).parts
    assert isinstance(part, GraphPart)
    count = sum(node.op_type == "Transpose" for node in onnx.load_from_string(part.model).graph.node)
    plain = 2  # one brings the input channels-first, one is the DepthToSpace's own
    assert count == plain + (perm != (0, 3, 1, 2))
