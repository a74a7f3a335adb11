"""Reshape, Flatten, Squeeze, Unsqueeze."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, program_of, run, same_as_onnx, types_of
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.ops.reshape import Group, groups
from tinsmith.program import DType
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target


def dims(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def numbers(*shape: int) -> np.ndarray:
    return (np.arange(math.prod(shape)) % 251 - 125).astype(np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "given_shape", "attributes", "expected"),
    [
        ((1, 10, 1, 5), (1, 50), {}, (1, 50)),
        ((2, 3, 4), (0, -1), {"allowzero": 0}, (2, 12)),
        ((2, 3, 4), (0, 0, 2, 2), {}, (2, 3, 2, 2)),
        ((2, 3, 4), (-1,), {}, (24,)),
        ((0, 3), (3, 0), {"allowzero": 1}, (3, 0)),
        ((1, 1), (), {}, ()),
    ],
)
def test_reshape_shapes(
    shape: tuple[int, ...], given_shape: tuple[int, ...], attributes: dict[str, int], expected: tuple[int, ...]
) -> None:
    x = numbers(*shape).astype(np.int8)
    found = interpret(program_of("Reshape", [x, dims(*given_shape)], attributes), {"x0": x}, S3)["y0"]
    assert found.shape == expected
    assert found.ravel().tolist() == x.ravel().tolist()


@pytest.mark.parametrize(
    ("op_type", "given_dims", "message"),
    [
        ("Reshape", (7, -1), r"\[2, 3, 4\] cannot take the shape \[7, -1\]"),
        ("Reshape", (-1, -1), "not a shape"),
        ("Reshape", (-2, 4), "not a shape"),
        ("Reshape", (2, 3, 4, 0), "does not have"),
        ("Reshape", (5, 5), "cannot take"),
        ("Squeeze", (0,), "cannot be squeezed"),
        ("Squeeze", (3,), "axis 3 does not exist"),
        ("Unsqueeze", (5,), "axis 5 does not exist"),
        ("Unsqueeze", (0, -5), "twice"),
    ],
)
def test_hostile_dimensions(op_type: str, given_dims: tuple[int, ...], message: str) -> None:
    x = numbers(2, 3, 4).astype(np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of(op_type, [x, dims(*given_dims)], {}), {"x0": x}, S3)


@pytest.mark.parametrize("op_type", ["Reshape", "Unsqueeze"])
def test_missing_dimensions(op_type: str) -> None:
    x = numbers(2, 3).astype(np.int8)
    with pytest.raises(ProgramError, match=r"input 1\) (is|are) missing"):
        interpret(program_of(op_type, [x], {}), {"x0": x}, S3)


def test_float_dimensions_are_refused() -> None:
    x = numbers(2, 3).astype(np.int8)
    with pytest.raises(ProgramError, match="must hold int64"):
        interpret(program_of("Reshape", [x, np.float32([3, 2])], {}), {"x0": x}, S3)


def test_flatten_axes() -> None:
    x = numbers(2, 3, 4).astype(np.int8)
    for axis, shape in ((0, (1, 24)), (1, (2, 12)), (2, (6, 4)), (3, (24, 1)), (-1, (6, 4))):
        assert interpret(program_of("Flatten", [x], {"axis": axis}), {"x0": x}, S3)["y0"].shape == shape
    with pytest.raises(ProgramError, match="axis 4"):
        interpret(program_of("Flatten", [x], {"axis": 4}), {"x0": x}, S3)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.bool_, np.int64])
@pytest.mark.parametrize("spatial", [False, True])
def test_every_type_moves(dtype: type, spatial: bool) -> None:
    x = numbers(1, 2, 3, 4).astype(dtype)
    program = program_of("Reshape", [x, dims(4, 6)], {}, spatial=spatial)
    (found,) = run(program, P4, {"x0": x})
    assert found.tolist() == x.reshape(4, 6).tolist()


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of the same number of elements, with ones among them."""
    factors = draw(st.lists(st.sampled_from([1, 2, 3, 2]), min_size=1, max_size=5))

    def shape() -> tuple[int, ...]:
        found = [1]
        for factor in factors:
            if draw(st.booleans()):
                found.append(factor)
            else:
                found[-1] *= factor
        return tuple(found) + (1,) * draw(st.integers(0, 1))

    return shape(), shape()


@given(reshapes())
def test_groups_are_neighbours_of_equal_size(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    old, new = shapes
    found = groups(old, new)
    assert [axis for group in found for axis in group.before] == list(range(len(old)))
    assert [axis for group in found for axis in group.after] == list(range(len(new)))
    for group in found:
        assert math.prod(old[a] for a in group.before) == math.prod(new[a] for a in group.after)


def test_groups_of_nothing() -> None:
    assert groups((), (1,)) == (Group((), (0,)),)
    assert groups((1, 1), ()) == (Group((0, 1), ()),)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=3), st.data(), FAMILIES, WIDTHS)
def test_reshape_behind_a_convolution_is_onnx(sizes: list[int], data: st.DataObject, target: Target, bits: int) -> None:
    x = numbers(1, *sizes)
    factors = [f for size in sizes for f in ({4: [2, 2]}.get(size, [size]))]
    new = [1]
    for factor in factors:
        if data.draw(st.booleans()):
            new.append(factor)
        else:
            new[-1] *= factor
    same_as_onnx("Reshape", [x, dims(*new)], {}, target, bits=bits)


@pytest.mark.parametrize(
    ("shape", "new", "transposes"),
    [
        ((1, 6, 2, 3), (1, 6, 6), 0),
        ((1, 6, 2, 3), (1, 2, 3, 2, 3), 0),
        ((1, 6, 1, 1), (1, 6), 0),
        ((1, 1, 2, 3), (1, 6), 0),
        ((1, 6, 2, 3), (1, 36), 1),
        ((1, 6, 1, 5), (6, 5), 0),
    ],
)
def test_transposes_only_where_dimensions_merge_that_are_apart(
    shape: tuple[int, ...], new: tuple[int, ...], transposes: int
) -> None:
    lowered = same_as_onnx("Reshape", [numbers(*shape), dims(*new)], {}, P4)
    at_outputs = sum(perm != tuple(range(len(perm))) for name, perm in lowered.perms.items() if name == "y0")
    assert types_of(lowered).count("Transpose") == transposes
    assert types_of(lowered).count("Reshape") == 1
    assert at_outputs <= 1


@pytest.mark.parametrize(
    ("op_type", "shape", "axes", "attributes"),
    [
        ("Squeeze", (1, 3, 1, 4), (2,), {}),
        ("Squeeze", (1, 3, 1, 1), (2, 3), {}),
        ("Squeeze", (1, 3, 2, 1), (0, 3), {}),
        ("Squeeze", (1, 3, 1, 4), None, {}),
        ("Unsqueeze", (1, 3, 2, 4), (2,), {}),
        ("Unsqueeze", (1, 3, 2, 4), (0, -1), {}),
        ("Flatten", (1, 3, 2, 4), None, {"axis": 1}),
        ("Flatten", (1, 3, 1, 1), None, {"axis": 1}),
        ("Flatten", (1, 3, 1, 1), None, {"axis": 2}),
        ("Squeeze", (1, 3), (0,), {}),
        ("Flatten", (2, 3), None, {"axis": 0}),
    ],
)
def test_lowered_like_onnx(
    op_type: str, shape: tuple[int, ...], axes: tuple[int, ...] | None, attributes: dict[str, int]
) -> None:
    inputs = [numbers(*shape)] if axes is None else [numbers(*shape), dims(*axes)]
    lowered = same_as_onnx(op_type, inputs, attributes, S3)
    assert set(types_of(lowered)) <= {op_type, "Reshape", "Transpose"}


def test_the_operator_itself_in_the_onnx_order() -> None:
    lowered = same_as_onnx("Squeeze", [numbers(1, 6), dims(0)], {}, S3)
    (node,) = lowered.program.nodes
    assert node.op_type == "Squeeze"
    assert node.inputs == ("x0", "x1")
    assert lowered.program.constants["x1"].doc == "layout ==> UNK"


def test_squeezed_convolutions_stay_channels_last() -> None:
    lowered = lowered_around("Squeeze", [numbers(1, 3, 1, 4), dims(2)], {}, S3, results=[numbers(1, 3, 4)])
    assert types_of(lowered) == ["Reshape"]
    assert lowered.perms["y0"] == (0, 2, 1)


def test_unknown_shapes_are_refused_early() -> None:
    node = float_node("Reshape", [(2, 3), (2,)], (3, 2))
    assert objections(node, S3) == [
        "The new dimensions are computed at run time; the chip needs fixed ones. Export the model with static shapes."
    ]
    assert objections(float_node("Reshape", [(2, 3), dims(3, 2)], (3, 2)), S3) == []


def test_formats_must_agree() -> None:
    from tinsmith.simulator.legality import violations

    x = whole((2, 3), 8, np.random.default_rng(0))
    assert violations(program_of("Reshape", [x, dims(6)], {}, exponents=(-3, -4)), S3) == [
        "Reshape 'node': input 0 has exponent -3, the output -4, and bytes move unchanged."
    ]
    wide = program_of("Reshape", [x, dims(6)], {}, dtype=DType.INT16)
    with pytest.raises(ProgramError, match="computes int8, the file says INT16"):
        interpret(wide, {"x0": x}, S3)
