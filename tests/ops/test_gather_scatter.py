"""Gather and ScatterND."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, onnx_says, program_of, run, same_as_onnx, simulated, types_of
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.lower import lower
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.quant.format import Format, Formats
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.lists(st.integers(1, 3), max_size=2),
    st.data(),
    WIDTHS,
    FAMILIES,
    SEEDS,
)
def test_gather_is_onnx(
    shape: list[int], index_shape: list[int], data: st.DataObject, bits: int, target: Target, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, indices = whole(shape, bits, rng), rng.integers(-shape[axis], shape[axis], index_shape)
    (expected,) = onnx_says("Gather", [x.astype(np.float32), indices], {"axis": axis})
    (found,) = run(program_of("Gather", [x, indices], {"axis": axis}, spatial=len(shape) == 4), target, {"x0": x})
    assert found.shape == expected.shape
    assert found.tolist() == expected.tolist()


def test_computed_indices() -> None:
    x, indices = np.arange(6, dtype=np.int8).reshape(3, 2), np.int64([2, 0])
    program = program_of("Gather", [x, indices], {"axis": 0}, computed=2)
    assert run(program, S3, {"x0": x, "x1": indices})[0].tolist() == [[4, 5], [0, 1]]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.bool_, np.int64])
def test_every_type_moves(dtype: type) -> None:
    x = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    assert run(program_of("Gather", [x, np.int64(1)], {"axis": 3}, spatial=True), P4, {"x0": x})[0].shape == (1, 2, 3)
    where, updates = np.int64([[0, 1]]), x[:, 0]
    (found,) = run(program_of("ScatterND", [x, where, updates], {}, spatial=True), P4, {"x0": x})
    assert found[0, 1].tolist() == x[0, 0].tolist()


@pytest.mark.parametrize("indices", [[3], [-4], [0, 99]])
def test_gather_outside_the_tensor(indices: list[int]) -> None:
    x = np.zeros((3, 2), np.int8)
    with pytest.raises(ProgramError, match="outside axis 0 of length 3"):
        interpret(program_of("Gather", [x, np.int64(indices)], {}), {"x0": x}, S3)
    assert "outside the dimension" in objections(float_node("Gather", [(3, 2), np.int64(indices)], (1, 2)), S3)[0]


def test_results_no_chip_could_hold() -> None:
    x = np.zeros((1, 1 << 15), np.int8)
    with pytest.raises(ProgramError, match="fits no chip"):
        interpret(program_of("Gather", [x, np.zeros(1 << 14, np.int64)], {}), {"x0": x}, S3)
    program = program_of("Concat", [x], {"axis": 0})
    many = replace(program, nodes=(replace(program.nodes[0], inputs=("x0",) * 8193),))
    with pytest.raises(ProgramError, match="fits no chip"):
        interpret(many, {"x0": x}, S3)


def test_negative_indices_break_a_rule() -> None:
    x = np.zeros((3, 2), np.int8)
    message = "negative indices make the chip read outside the tensor."
    assert violations(program_of("Gather", [x, np.int64([0, -1])], {}), S3) == [f"Gather 'node': {message}"]
    scatter = program_of("ScatterND", [x, np.int64([[-1]]), x[:1]], {})
    assert violations(scatter, S3) == [f"ScatterND 'node': {message}"]


@pytest.mark.parametrize(("axis", "moved"), [(0, 0), (1, 3), (-1, 2)])
@pytest.mark.parametrize("indices", [-1, [-1, 0], [[0, 0], [-1, 0]]])
def test_lowered_gather_follows_the_layout_and_has_no_negative_indices(axis: int, moved: int, indices: Any) -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    lowered = same_as_onnx("Gather", [x, np.int64(indices)], {"axis": axis}, P4)
    assert types_of(lowered) == ["Gather"]
    node = lowered.program.nodes[-1]
    data = lowered.program.constants[node.inputs[1]].data
    assert data.tolist() == (np.array(indices) % x.shape[axis]).tolist()
    assert node.attributes["axis"] == moved


def test_a_channel_shuffle_needs_no_transpose() -> None:
    shape, f = (1, 4, 3, 5), np.dtype(np.float32)
    x, s, pairs = Operand("x", shape, f), Operand("s", shape, f), Operand("pairs", (2, 2, 15), f)
    swapped, images = Operand("swapped", (2, 2, 15), f), Operand("images", (2, 1, 2, 3, 5), f)
    halves = [Operand(f"half{i}", (1, 2, 3, 5), f) for i in range(2)]
    ends = [Operand(f"end{i}", (1, 2, 3, 5), f) for i in range(2)]

    def to(*dims: int) -> Operand:
        return Operand(f"dims{len(dims)}", (len(dims),), np.dtype(np.int64), np.int64(dims))

    nodes = [
        FloatNode("DepthToSpace", "before", (x,), (s,), {"blocksize": 1}),
        FloatNode("Reshape", "pair", (s, to(2, 2, 15)), (pairs,)),
        FloatNode("Transpose", "swap", (pairs,), (swapped,), {"perm": (1, 0, 2)}),
        FloatNode("Reshape", "split", (swapped, to(2, 1, 2, 3, 5)), (images,)),
    ]
    for i, (half, end) in enumerate(zip(halves, ends, strict=True)):
        index = Operand(f"index{i}", (), np.dtype(np.int64), np.array(i))
        nodes.append(FloatNode("Gather", f"gather{i}", (images, index), (half,), {"axis": 0}))
        nodes.append(FloatNode("DepthToSpace", f"after{i}", (half,), (end,), {"blocksize": 1}))
    names = [o.name for o in (x, s, pairs, swapped, images, *halves, *ends)]
    formats = Formats({name: Format(8, (0,)) for name in names})
    lowered = lower(Network(tuple(nodes), (x,), tuple(ends)), formats, {n.name: 8 for n in nodes}, P4)
    assert [n.op_type for n in lowered.program.nodes if n.op_type != "DepthToSpace"] == ["Reshape"] * 2 + ["Gather"] * 2
    data = np.arange(60, dtype=np.int8).reshape(shape)
    for i, found in enumerate(simulated(lowered, P4, {"x": data})):
        assert found.tolist() == data[:, i::2].tolist()


def test_lowered_indices_keep_their_name() -> None:
    lowered = same_as_onnx("Gather", [np.arange(6, dtype=np.float32).reshape(3, 2), np.int64([[2, 0]])], {}, P4)
    assert types_of(lowered) == ["Gather"]
    assert list(lowered.program.constants) == ["x1"]


def test_narrow_indices_become_int64() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    lowered = same_as_onnx("Gather", [x, np.array([2, 0], np.int32)], {}, P4)
    assert lowered.program.constants["node_indices"].data.dtype == np.int64
    computed = float_node("Gather", [(3, 2), (2,)], (2, 2))
    assert "Cast them in the model" in objections(computed, S3)[0]
    with pytest.raises(ProgramError, match="input 1 holds int32, and must hold int64"):
        interpret(program_of("Gather", [x.astype(np.int8), np.array([2, 0], np.int32)], {}), {"x0": x}, S3)


REDUCTIONS = ("none", "add", "mul", "max", "min")


def scattered(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, reduction: str, bits: int) -> np.ndarray:
    meet = {
        "none": lambda old, new: new,
        "add": lambda old, new: old + new,
        "mul": lambda old, new: old * new,
        "max": max,
        "min": min,
    }[reduction]
    limit = 1 << (bits - 1)
    y, depth = x.astype(object), indices.shape[-1]
    for place in np.ndindex(indices.shape[:-1]):
        for inner in product(*(range(n) for n in x.shape[depth:])):
            at = (*indices[place].tolist(), *inner)
            y[at] = max(-limit, min(limit - 1, meet(int(y[at]), int(updates[(*place, *inner)]))))
    return y


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.sampled_from(REDUCTIONS),
    st.booleans(),
    st.data(),
    WIDTHS,
    FAMILIES,
    SEEDS,
)
def test_scatter(
    shape: list[int], reduction: str, unique: bool, data: st.DataObject, bits: int, target: Target, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    depth = data.draw(st.integers(1, len(shape)))
    places = np.array(list(np.ndindex(*shape[:depth])))
    count = data.draw(st.integers(1, len(places)))
    indices = places[rng.choice(len(places), count, replace=not unique)].astype(np.int64)
    x, updates = whole(shape, bits, rng), whole((count, *shape[depth:]), bits, rng)
    program = program_of("ScatterND", [x, indices, updates], {"reduction": reduction})
    (found,) = run(program, target, {"x0": x}, whole=unique)
    assert found.tolist() == scattered(x, indices, updates, reduction, bits).tolist()


def test_scatter_of_floats_and_repeated_indices_run_in_the_interpreter() -> None:
    x = np.float32([1, 2])
    program = program_of("ScatterND", [x, np.int64([[1]]), np.float32([0.5])], {"reduction": "add"})
    (part,) = compile_program(program, P4).parts
    assert isinstance(part, NodePart)
    assert run(program, P4, {"x0": x}, whole=False)[0].tolist() == [1, 2.5]
    y = np.int8([1, 2])
    program = program_of("ScatterND", [y, np.int64([[1], [-1]]), y], {})
    (part,) = compile_program(program, P4).parts
    assert isinstance(part, NodePart)
    assert run(program, P4, {"x0": y}, whole=False)[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("indices", "updates", "attributes", "message"),
    [
        ([[0, 0, 0]], (1,), {}, "do not fit"),
        ([[0]], (1, 3), {}, "do not fit"),
        ([[5]], (1, 2), {}, "out of bounds"),
        ([[0]], (1, 2), {"reduction": "xor"}, "'xor' does not exist, only none, add, mul, max, min"),
    ],
)
def test_hostile_scatters(
    indices: list[list[int]], updates: tuple[int, ...], attributes: dict[str, str], message: str
) -> None:
    x = np.zeros((3, 2), np.int8)
    program = program_of("ScatterND", [x, np.int64(indices), np.zeros(updates, np.int8)], attributes)
    with pytest.raises(ProgramError, match=message):
        interpret(program, {"x0": x}, S3)


def test_products_and_exponents_break_rules() -> None:
    x = np.zeros((3, 2), np.int8)
    product_of = program_of("ScatterND", [x, np.int64([[0]]), x[:1]], {"reduction": "mul"}, exponents=(-2, -2))
    assert "does not rescale the product" in violations(product_of, S3)[0]
    other = program_of("ScatterND", [x, np.int64([[0]]), x[:1]], {}, computed=2, exponents=(-2, -2))
    assert violations(other, S3) == []
    node = float_node("ScatterND", [(3, 2), np.int64([[0]]), (1, 2)], (3, 2), {"reduction": "mul"})
    assert "Multiply by a mask with Mul" in objections(node, S3)[0]


@pytest.mark.parametrize("reduction", ["none", "add", "max"])
def test_lowered_scatter_is_onnx(reduction: str) -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    where, updates = np.int64([[0, -1, 1], [0, 0, 2]]), np.float32([[9, 8, 7, 6], [1, 2, 3, 4]])
    lowered = same_as_onnx("ScatterND", [x, where, updates], {"reduction": reduction}, P4)
    assert types_of(lowered)[-2:] == ["Transpose", "ScatterND"]
    assert lowered.program.constants["node_indices"].data.tolist() == [[0, 1, 1], [0, 0, 2]]


def test_the_updates_format_joins_the_tensors() -> None:
    x = np.zeros((1, 4), np.float32)
    inputs = [x, np.int64([[0, 1]]), np.float32([0.5])]
    lowered = lowered_around("ScatterND", inputs, {}, S3, results=[x], exponents={"y0": -4, "x0": -4})
    assert lowered.program.constants["x2"].data.tolist() == [8]
    assert lowered.program.constants["x2"].exponents == (-4,)
