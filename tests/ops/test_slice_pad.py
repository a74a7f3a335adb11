"""Slice and Pad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, onnx_says, program_of, run, same_as_onnx, types_of
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
FAR = 2**63 - 1
BOUNDS = st.one_of(st.integers(-7, 7), st.sampled_from([FAR, -FAR]))


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def numbers(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 250 - 125).astype(np.float32).reshape(shape)


@st.composite
def slices(draw: st.DrawFn, shape: list[int]) -> list[np.ndarray]:
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, max_size=len(shape)))
    steps = [draw(st.sampled_from([1, 2, -1, -3])) for _ in axes]
    starts = [draw(BOUNDS) for _ in axes]
    ends = [draw(st.one_of(st.integers(-7, 7), st.just(FAR if step > 0 else -FAR))) for step in steps]
    signed = [axis - len(shape) * draw(st.booleans()) for axis in axes]
    return [ints(*starts), ints(*ends), ints(*signed), ints(*steps)]


@given(SHAPES, st.data(), WIDTHS, FAMILIES, SEEDS)
def test_slice_is_onnx(shape: list[int], data: st.DataObject, bits: int, target: Target, seed: int) -> None:
    x, bounds = whole(shape, bits, np.random.default_rng(seed)), data.draw(slices(shape))
    (expected,) = onnx_says("Slice", [x.astype(np.float32), *bounds], {})
    (found,) = run(program_of("Slice", [x, *bounds], {}, spatial=len(shape) == 4), target, {"x0": x})
    assert found.shape == expected.shape
    assert found.tolist() == expected.tolist()


def test_slice_without_axes_and_steps() -> None:
    x = np.arange(12, dtype=np.int8).reshape(3, 4)
    (found,) = run(program_of("Slice", [x, ints(1, 0), ints(3, 2)], {}), S3, {"x0": x})
    assert found.tolist() == x[1:3, 0:2].tolist()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((ints(0), ints(1, 2), ints(0), ints(1)), "different lengths"),
        ((ints(0), ints(1), ints(0), ints(0)), "a step of 0"),
        ((ints(0), ints(1), ints(2), ints(1)), "axis 2 does not exist"),
        ((ints(0, 0), ints(1, 1), ints(1, -1), ints(1, 1)), "twice"),
        ((ints(0),), "starts and ends"),
        ((np.float32([0]), ints(1)), "must hold int64"),
    ],
)
def test_hostile_slices(bounds: tuple[np.ndarray, ...], message: str) -> None:
    x = np.zeros((3, 4), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("Slice", [x, *bounds], {}), {"x0": x}, S3)


@given(st.lists(st.integers(1, 5), min_size=4, max_size=4), st.data())
def test_lowered_slices_stay_channels_last(shape: list[int], data: st.DataObject) -> None:
    bounds = data.draw(slices(shape))
    (expected,) = onnx_says("Slice", [numbers(*shape), *bounds], {})
    if expected.size:
        lowered = same_as_onnx("Slice", [numbers(*shape), *bounds], {}, P4)
        assert types_of(lowered) == ["Slice"]


def test_a_slice_without_axes_gets_them() -> None:
    lowered = same_as_onnx("Slice", [numbers(1, 3, 4, 5), ints(0, 1), ints(1, 3)], {}, P4)
    assert [lowered.program.constants[n].data.tolist() for n in lowered.program.nodes[-1].inputs[3:]] == [
        [0, 3],
        [1, 1],
    ]


MODES = st.sampled_from(["constant", "edge", "reflect"])


@given(SHAPES, MODES, st.data(), WIDTHS, FAMILIES, SEEDS)
def test_pad_is_onnx(shape: list[int], mode: str, data: st.DataObject, bits: int, target: Target, seed: int) -> None:
    x = whole(shape, bits, np.random.default_rng(seed))
    sizes = [data.draw(st.integers(0, 3 if mode != "reflect" else size - 1)) for size in shape * 2]
    value = data.draw(st.integers(-128, 127))
    inputs: list[Any] = [ints(*sizes), *([np.array(value)] if mode == "constant" else [])]
    reference = [x.astype(np.float32), inputs[0], *(i.astype(np.float32) for i in inputs[1:])]
    (expected,) = onnx_says("Pad", reference, {"mode": mode})
    raw = [x, inputs[0], *(i.astype(x.dtype) for i in inputs[1:])]
    program = program_of("Pad", raw, {"mode": mode}, spatial=len(shape) == 4)
    (found,) = run(program, target, {"x0": x})
    assert found.tolist() == expected.tolist()
    assert violations(program, target) == []


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.bool_, np.int64])
@pytest.mark.parametrize("op_type", ["Pad", "Slice"])
def test_every_type_moves(dtype: type, op_type: str) -> None:
    x = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    inputs = [x, ints(0, 1, 1, 1, 0, 0, 2, 0)] if op_type == "Pad" else [x, ints(3), ints(-FAR), ints(3), ints(-1)]
    (found,) = run(program_of(op_type, inputs, {}, spatial=True), P4, {"x0": x})
    assert found.dtype == dtype
    assert found.shape == ((1, 3, 6, 5) if op_type == "Pad" else (1, 2, 3, 4))


def test_pad_axes_and_a_value_of_one_element() -> None:
    x = np.arange(6, dtype=np.int16).reshape(2, 3)
    program = program_of("Pad", [x, ints(1, 2), np.int16([-7]), ints(-1)], {"mode": "constant"})
    (found,) = run(program, S3, {"x0": x})
    assert found.tolist() == [[-7, 0, 1, 2, -7, -7], [-7, 3, 4, 5, -7, -7]]


@pytest.mark.parametrize(
    ("inputs", "mode", "message"),
    [
        ((ints(0, 1, 0),), "constant", "3 pads for 2 axes"),
        ((ints(0, -1, 0, 0),), "constant", "negative pads are not supported. Use Slice"),
        ((ints(0, 1, 0, 0),), "wrap", "no Pad mode 'wrap'"),
        ((ints(2**20, 2**20, 0, 0),), "constant", "result of .* elements fits no chip"),
        ((ints(0, 1, 0, 0), None, ints(0, 5)), "constant", "axis 5 does not exist"),
        ((), "constant", "are missing"),
    ],
)
def test_hostile_pads(inputs: tuple[np.ndarray, ...], mode: str, message: str) -> None:
    x = np.zeros((3, 4), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("Pad", [x, *inputs], {"mode": mode}), {"x0": x}, S3)


def test_nothing_to_repeat() -> None:
    x = np.zeros((0, 4), np.int8)
    with pytest.raises(ProgramError, match="nothing to repeat"):
        interpret(program_of("Pad", [x, ints(1, 0, 0, 0)], {"mode": "edge"}), {"x0": x}, S3)


def test_what_the_chip_would_pad_wrongly() -> None:
    x = np.zeros((3, 4), np.int8)
    far = program_of("Pad", [x, ints(3, 0, 0, 0)], {"mode": "reflect"})
    assert "shorter than the dimension" in violations(far, S3)[0]
    run(far, S3, {"x0": x}, whole=False)
    deep = np.zeros((2, 1, 1, 1, 2), np.int8)
    assert "up to four dimensions" in violations(program_of("Pad", [deep, ints(1, *[0] * 9)], {"mode": "edge"}), S3)[0]
    assert violations(program_of("Pad", [deep, ints(0, 1, *[0] * 8)], {"mode": "edge"}), S3) == []
    other = program_of("Pad", [x, ints(1, 0, 0, 0), np.int16(3)], {})
    assert "another exponent or width" in violations(other, S3)[0]
    assert violations(program_of("Pad", [x, ints(1, 0, 0, 0), np.int16(0)], {}), S3) == []


@given(st.lists(st.integers(2, 4), min_size=4, max_size=4), MODES, st.data())
def test_lowered_pads_stay_channels_last(shape: list[int], mode: str, data: st.DataObject) -> None:
    sizes = [data.draw(st.integers(0, size - 1)) for size in shape * 2]
    value = [np.float32(data.draw(st.integers(-128, 127)))] if mode == "constant" else []
    lowered = same_as_onnx("Pad", [numbers(*shape), ints(*sizes), *value], {"mode": mode}, P4)
    assert types_of(lowered) == ["Pad"]


def test_lowered_pads_with_axes() -> None:
    inputs = [numbers(1, 3, 4, 5), ints(1, 2, 0, 3), np.float32(9), ints(1, -1)]
    lowered = same_as_onnx("Pad", inputs, {}, P4)
    node = lowered.program.nodes[-1]
    assert lowered.program.constants[node.inputs[1]].data.tolist() == [0, 0, 2, 1, 0, 0, 3, 0]
    assert len(node.inputs) == 3


def test_the_constant_saturates_at_the_tensors_format() -> None:
    x = numbers(1, 3)
    inputs = [x, ints(0, 1, 0, 0), np.float32(-np.inf)]
    lowered = lowered_around("Pad", inputs, {}, S3, results=[numbers(1, 4)])
    assert interpret(lowered.program, {"x0": x.astype(np.int8)}, S3)["y0"][0, 0] == -128


@pytest.mark.parametrize(
    ("inputs", "attributes", "message"),
    [
        ([(2, 3), (4,)], {}, "computed at run time"),
        ([(2, 3), ints(0, 1, 0, 1)], {"mode": "wrap"}, "not by wrapping around. Build the border"),
        ([(2, 3), ints(0, -1, 0, 1)], {}, "Crop with Slice"),
        ([(2, 3), ints(2, 0, 0, 0)], {"mode": "reflect"}, "Pad less"),
        ([(2, 1, 1, 1, 3), ints(1, *[0] * 9)], {"mode": "edge"}, "up to four dimensions"),
        ([(2, 1, 1, 1, 1, 3), ints(*[0] * 12)], {"mode": "edge"}, "up to four dimensions"),
    ],
)
def test_limits_of_pad(inputs: list[Any], attributes: dict[str, str], message: str) -> None:
    found = objections(float_node("Pad", inputs, (1,), attributes), S3)
    assert len(found) == 1
    assert message in found[0]


def test_pads_within_the_limits() -> None:
    assert objections(float_node("Pad", [(2, 3), ints(1, 0, 0, 2)], (1,), {"mode": "reflect"}), S3) == []
    assert objections(float_node("Pad", [(2, 1, 1, 1, 3), ints(0, 1, *[0] * 8)], (1,), {"mode": "edge"}), S3) == []
    assert objections(float_node("Pad", [(2, 1, 1, 1, 1, 3), ints(*[1] * 12)], (1,)), S3) == []
    assert "computed at run time" in objections(float_node("Slice", [(2,), (1,), (1,)], (1,)), S3)[0]
