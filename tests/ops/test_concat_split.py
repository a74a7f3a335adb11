"""Concat and Split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, program_of, run, same_as_onnx, types_of
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.data(), WIDTHS, FAMILIES, SEEDS)
def test_split_undoes_concat(sizes: list[int], data: st.DataObject, bits: int, target: Target, seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(sizes), len(sizes) - 1))
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    spatial = len(sizes) == 4
    parts = [whole([n if at == axis % len(sizes) else s for at, s in enumerate(sizes)], bits, rng) for n in lengths]
    concat = program_of("Concat", parts, {"axis": axis}, computed=len(parts), spatial=spatial)
    feeds = {f"x{index}": part for index, part in enumerate(parts)}
    (joined,) = run(concat, target, feeds)
    assert joined.shape[axis] == sum(lengths)
    split = program_of("Split", [joined, np.int64(lengths)], {"axis": axis}, outputs=len(parts), spatial=spatial)
    for found, part in zip(run(split, target, {"x0": joined}), parts, strict=True):
        assert found.tolist() == part.tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.bool_, np.int64])
def test_every_type_moves(dtype: type) -> None:
    x = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    program = program_of("Concat", [x, x], {"axis": 3}, spatial=True)
    assert run(program, P4, {"x0": x})[0].tolist() == np.concatenate([x, x], 3).tolist()
    program = program_of("Split", [x, np.int64([1, 2])], {"axis": 2}, outputs=2, spatial=True)
    assert [y.shape for y in run(program, P4, {"x0": x})] == [(1, 2, 1, 4), (1, 2, 2, 4)]


def test_equal_parts_where_no_sizes_are_given() -> None:
    x = np.arange(14, dtype=np.int8).reshape(7, 2)
    parts = run(program_of("Split", [x], {"num_outputs": 3}, outputs=3), S3, {"x0": x})
    assert [len(part) for part in parts] == [3, 3, 1]
    (only,) = run(program_of("Split", [x], {}, outputs=1), S3, {"x0": x})
    assert only.tolist() == x.tolist()


@pytest.mark.parametrize(
    ("sizes", "axis", "outputs", "message"),
    [
        ((3, 3), 0, 2, r"\[3, 3\] do not split axis 0 of length 7 into 2 outputs"),
        ((7,), 0, 2, "do not split"),
        ((8, -1), 0, 2, "do not split"),
        ((1, 1), 2, 2, "axis 2 does not exist in a tensor of 2 dimensions"),
    ],
)
def test_hostile_splits(sizes: tuple[int, ...], axis: int, outputs: int, message: str) -> None:
    x = np.zeros((7, 2), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("Split", [x, np.int64(sizes)], {"axis": axis}, outputs=outputs), {"x0": x}, S3)


@pytest.mark.parametrize(
    ("shapes", "attributes", "message"),
    [
        (((1, 2, 3), (1, 3, 3)), {"axis": 2}, r"input 1 is \[1, 3, 3\], input 0 \[1, 2, 3\]: only axis 2 may differ"),
        (((1, 2, 3), (2, 3)), {"axis": 1}, "only axis 1 may differ"),
        (((1, 2), (1, 2)), {}, "'axis' is missing"),
        (((1, 2), (1, 2)), {"axis": -3}, "axis -3 does not exist"),
        (((1, 2), (1, 2)), {"axis": "one"}, "expected int"),
    ],
)
def test_hostile_concats(shapes: tuple[tuple[int, ...], ...], attributes: dict[str, object], message: str) -> None:
    x, other = (np.zeros(shape, np.int8) for shape in shapes)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("Concat", [x, other], attributes), {"x0": x}, S3)


def test_exponents_must_agree() -> None:
    x = np.zeros((1, 2), np.int8)
    program = program_of("Concat", [x, x], {"axis": 1}, computed=2, exponents=(-3, -2))
    assert violations(program, S3) == [
        "Concat 'node': input 0 has exponent -3, the output -2, and bytes move unchanged."
    ]
    assert violations(program_of("Concat", [x, x], {"axis": 1}, computed=2), S3) == []


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
@pytest.mark.parametrize("computed", [1, 2])
def test_concat_moves_its_axis_with_the_layout(axis: int, computed: int) -> None:
    a = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    lowered = same_as_onnx("Concat", [a, a + 50], {"axis": axis}, P4, computed=computed)
    assert types_of(lowered) == ["Concat"]
    assert lowered.perms["y0"] == (0, 2, 3, 1)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_split_moves_its_axis_with_the_layout(axis: int) -> None:
    x = np.arange(96, dtype=np.float32).reshape(1, 4, 4, 6)
    sizes = np.int64([1, x.shape[axis] - 1])
    lowered = same_as_onnx("Split", [x, sizes], {"axis": axis}, P4, outputs=2)
    assert types_of(lowered) == ["Split"]
    (constant,) = lowered.program.constants.values()
    assert (constant.data.dtype, constant.data.tolist(), constant.exponents) == (np.int64, sizes.tolist(), (0,))


def test_split_into_equal_parts_writes_their_sizes() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    parts = np.split(x, 3, axis=1)
    lowered = lowered_around("Split", [x], {"axis": 1, "num_outputs": 3}, S3, results=parts)
    assert lowered.program.constants["node_split"].data.tolist() == [1, 1, 1]
    assert dict(lowered.program.nodes[-1].attributes) == {"axis": 3, "quant_type": "S8"}


def test_sizes_computed_at_run_time_are_refused() -> None:
    assert "computed at run time" in objections(float_node("Split", [(4, 2), (2,)], (2, 2)), S3)[0]
    assert objections(float_node("Split", [(4, 2), np.int64([4])], (4, 2)), S3) == []
