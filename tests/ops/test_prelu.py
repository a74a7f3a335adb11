"""PRelu: four kernels, against Python's integers; slopes of every shape the runtime can take."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, C, OneNode, every, float_node, lowered, objections, whole
from tinsmith.errors import QuantizationError
from tinsmith.ops import find
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import PReluStyle, Target


def expected(x: int, slope: int, shifts: tuple[int, int], target: Target, bits: int) -> int:
    style = target.prelu[bits]
    half, size = Fraction(1, 2), 1 << bits

    def nearest(value: Fraction) -> int:
        return floor(value + half) if target.rounding is Rounding.HALF_UP else round(value)

    vector = style in (PReluStyle.VECTOR_SATURATING, PReluStyle.VECTOR_WRAPPING)
    if x >= 0:
        value = nearest(x * Fraction(2) ** -shifts[0]) if vector else x
    else:
        exact = x * slope * Fraction(2) ** -shifts[1]
        value = nearest(exact) if vector else floor(exact)
        if style in (PReluStyle.VECTOR_WRAPPING, PReluStyle.FLOOR_WRAPPING):
            value = (value + size // 2) % size - size // 2
    return max(-size // 2, min(size // 2 - 1, value))


@given(
    FAMILIES,
    WIDTHS,
    st.sampled_from([(1, 2, 3, 5), (1, 4, 16), (3, 7)]),
    st.integers(0, 2),
    st.integers(0, 17),
    st.integers(0, 2**32 - 1),
)
def test_every_kernel(
    target: Target, bits: int, shape: tuple[int, ...], shift: int, alpha_shift: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, slopes = whole(shape, bits, rng), whole((shape[-1], *(1,) * (len(shape) - 2)), bits, rng)
    node = OneNode("PRelu", target, DType.INT8 if bits == 8 else DType.INT16, -5 + shift)
    node.feed(x, -5).constant(slopes, -alpha_shift)
    shifts = (shift, shift + alpha_shift)
    rows = x.reshape(-1, shape[-1]).tolist()
    wanted = [[expected(v, int(s), shifts, target, bits) for v, s in zip(r, slopes.ravel(), strict=True)] for r in rows]
    assert node.run().reshape(-1, shape[-1]).tolist() == wanted


def test_the_negative_half_wraps_where_the_kernel_does() -> None:
    x, slope = np.int8([-128]), np.int8([-100])
    results = {t.name: OneNode("PRelu", t, DType.INT8).feed(x[None]).constant(slope, -5).run() for t in (S3, P4, C)}
    assert {name: y.tolist() for name, y in results.items()} == {
        "esp32s3": [[127]],
        "esp32p4": [[(400 + 128) % 256 - 128]],
        "c": [[127]],
    }


def test_int8_reads_its_table_whatever_the_slopes() -> None:
    table = np.where(every(8) < 0, 0, every(8)).astype(np.int8)
    node = OneNode("PRelu", P4, DType.INT8, -5).feed(every(8).reshape(1, 16, 16), -5)
    assert node.constant(np.zeros((16, 1), np.int8), -7).table(table).run().ravel().tolist() == table.tolist()


def test_floats_and_computed_slopes_are_interpreted() -> None:
    x, slopes = np.float32([[-2, 3, -4]]), np.float32([0.5, 7, 0.25])
    node = OneNode("PRelu", P4, DType.FLOAT).feed(x).constant(slopes)
    assert node.interpreted().tolist() == [[-1, 3, -1]]
    assert "constants" in node.refused()
    computed = OneNode("PRelu", P4, DType.INT8, -5).feed(np.int8([[-64]]), -5).feed(np.int8([64]), -7)
    assert computed.interpreted().tolist() == [[-32]]
    assert "constants" in computed.refused()


@pytest.mark.parametrize("slope_shape", [(3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("bits", [8, 16])
def test_slopes_per_channel_are_lowered_as_the_runtime_reads_them(slope_shape: tuple[int, ...], bits: int) -> None:
    slopes = np.float32([0.5, 0.25, -0.75]).reshape(slope_shape)
    node = float_node("PRelu", [(1, 3, 2, 2), slopes], (1, 3, 2, 2))
    program = lowered(node, {"in0": -6, "y": -6, "in1": -6}, bits, S3)
    (only,) = program.nodes
    constant = program.constants[only.inputs[1]]
    assert (constant.data.ravel().tolist(), constant.shape, constant.exponents) == ([32, 16, -48], (3, 1, 1), (-6,))
    x = np.arange(-48, 48, 8).reshape(1, 2, 2, 3).astype(np.int8 if bits == 8 else np.int16)
    assert program.inputs[0].shape == (1, 2, 2, 3)
    found = interpret(program, {"in0": x}, S3)["y"]
    assert found.tolist() == np.where(x < 0, x * np.float32([0.5, 0.25, -0.75]), x).astype(int).tolist()


def test_a_single_slope_is_a_table_in_int8_and_repeated_in_int16() -> None:
    node = float_node("PRelu", [(1, 3, 2), np.float32([0.25])], (1, 3, 2))
    exponents = {"in0": -5, "y": -5, "in1": -9}
    small, wide = lowered(node, exponents, 8, P4), lowered(node, exponents, 16, P4)
    table = small.constants[str(small.nodes[0].attributes["lut"])]
    assert table.data.tolist() == np.where(every(8) < 0, np.rint(every(8) * 0.25), every(8)).tolist()
    assert wide.constants[wide.nodes[0].inputs[1]].data.tolist() == [[128]] * 3
    assert "lut" not in wide.nodes[0].attributes


def test_slopes_along_the_last_axis_keep_the_order() -> None:
    node = float_node("PRelu", [(1, 3, 4), np.float32([0.5, 0.25, 1, 0])], (1, 3, 4))
    program = lowered(node, {"in0": -5, "y": -5, "in1": -7}, 8, P4)
    x = np.full((1, 3, 4), -64, np.int8)
    assert objections(node, P4) == []
    order = [n.op_type for n in program.nodes]
    assert order in (["PRelu"], ["Transpose", "PRelu"])
    x = x if order == ["PRelu"] else x.transpose(0, 2, 1)
    assert interpret(program, {"in0": x}, P4)["y"].tolist() == [[[-32, -16, -64, 0]] * 3]


def test_slopes_the_runtime_cannot_read() -> None:
    shape = (1, 3, 4, 5)
    for slopes in (np.ones((3, 4, 1), np.float32), np.ones((4, 1), np.float32)):
        assert ["one slope per channel" in m for m in objections(float_node("PRelu", [shape, slopes], shape), P4)] == [
            True
        ]
    computed = objections(float_node("PRelu", [shape, (3, 1, 1)], shape), P4)
    assert ["give them as constants" in m for m in computed] == [True]
    assert objections(float_node("PRelu", [shape, np.ones((3, 1, 1), np.float32)], shape), P4) == []


def test_slopes_that_are_too_large() -> None:
    node = float_node("PRelu", [(1, 3, 2, 2), np.float32([[[200]], [[1]], [[1]]])], (1, 3, 2, 2))
    with pytest.raises(QuantizationError, match="below 128"):
        lowered(node, {"in0": -5, "y": -5, "in1": 1}, 8, P4)


def test_rules() -> None:
    def rules(target: Target, dtype: DType, e_out: int, e_slope: int) -> list[str]:
        x = np.zeros((1, 2), dtype.numpy)
        return OneNode("PRelu", target, dtype, e_out).feed(x, -5).constant(x.ravel(), e_slope).broken_rules()

    assert rules(S3, DType.INT8, -4, -7) == []
    assert ["copies" in r for r in rules(S3, DType.INT16, -4, -15)] == [True]
    assert ["copies" in r for r in rules(C, DType.INT8, -4, -7)] == [True]
    assert ["impossible" in r for r in rules(P4, DType.INT8, -9, -2)] == [True]


def test_the_exponent_is_kept() -> None:
    node = float_node("PRelu", [(1, 3, 2, 2), np.ones((3, 1, 1), np.float32)], (1, 3, 2, 2))
    assert find("PRelu").ports(node, P4).tied == (0,)
