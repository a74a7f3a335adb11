"""LUT and Gelu: tables with an entry per value, or the nearest of fewer."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, OneNode, every, float_node, lowered, whole
from tinsmith.errors import ProgramError, QuantizationError
from tinsmith.ops import find
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target, speaking


@given(FAMILIES, st.sampled_from([1, 2, 8, 32, 256]), st.sampled_from(["LUT", "Gelu"]), st.integers(0, 2**32 - 1))
def test_int16_takes_the_nearest_entry(target: Target, step: int, op_type: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = whole((65536 // step + (step > 1),), 16, rng)
    x = whole((1, 40, 5), 16, rng)
    found = OneNode(op_type, target, DType.INT16, -8, {"int16_lut_step": step}).feed(x, -9).table(table).run()
    places = [Fraction(v + 32768, step) for v in x.ravel().tolist()]
    half = Fraction(1, 2)
    nearest = [math.floor(p + half) if target.rounding is Rounding.HALF_UP else round(p) for p in places]
    assert found.ravel().tolist() == [int(table[min(i, table.size - 1)]) for i in nearest]


def test_int16_ties_go_up_or_to_the_even_entry() -> None:
    table = np.arange(2049, dtype=np.int16)
    x = np.int16([-32768 + 16, -32768 + 48, -32768 + 80])
    assert OneNode("LUT", S3, DType.INT16).feed(x).table(table).run().tolist() == [1, 2, 3]
    assert OneNode("LUT", P4, DType.INT16).feed(x).table(table).run().tolist() == [0, 2, 2]


@given(FAMILIES, st.sampled_from([1, 2, 8, 32, 256]), st.sampled_from(["LUT", "Gelu"]), st.integers(0, 2**32 - 1))
def test_int16_was_interpolated_before_3_3_8(target: Target, step: int, op_type: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = whole((65536 // step + (step > 1),), 16, rng)
    x = whole((1, 40, 5), 16, rng)
    old = speaking(target, "3.3.6")
    found = OneNode(op_type, old, DType.INT16, -8, {"int16_lut_step": step}).feed(x, -9).table(table).run()
    entries = [*table.tolist(), 0]
    for v, y in zip(x.ravel().tolist(), found.ravel().tolist(), strict=True):
        i, rest = divmod(v + 32768, step)
        assert y == entries[i] + math.trunc(Fraction(rest * (entries[i + 1] - entries[i]), step))


def test_interpolation_truncates_towards_zero() -> None:
    old, table = speaking(S3, "3.2.0"), np.zeros(2049, np.int16)
    table[0:3] = 0, 3, 0
    x = np.int16([-32768 + 11, -32768 + 31, -32768 + 32, -32768 + 43, -32768 + 53, -32768 + 54])
    assert OneNode("LUT", old, DType.INT16).feed(x).table(table).run().tolist() == [1, 2, 3, 2, 2, 1]


def test_int8_tables_and_full_ones_never_changed() -> None:
    rng = np.random.default_rng(5)
    for bits, dtype in ((8, DType.INT8), (16, DType.INT16)):
        table, x = whole((1 << bits,), bits, rng), every(bits)
        old, new = (OneNode("LUT", target, dtype).feed(x).table(table).run() for target in (speaking(P4, "3.2.0"), P4))
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("op_type", ["LUT", "Gelu"])
def test_an_int16_table_must_be_stepped_through_evenly(op_type: str) -> None:
    def broken(entries: int, exponent: int | None = None) -> list[str]:
        table = np.zeros(entries, np.int16)
        return OneNode(op_type, S3, DType.INT16).feed(every(16)).table(table, exponent).broken_rules()

    assert [broken(entries) for entries in (257, 2049, 32769, 65536, 2)] == [[]] * 5
    for entries in (256, 2048, 1000, 65535, 3000):
        (reason,) = broken(entries)
        assert reason.startswith(f"its table has {entries} entries, which the runtime does not step through evenly")
    (reason,) = broken(257, exponent=3)
    assert reason.startswith("its table has exponent (3,), its output (0,)")


@pytest.mark.parametrize("op_type", ["LUT", "Gelu"])
@pytest.mark.parametrize("dtype", [DType.INT8, DType.INT16])
def test_without_a_table_there_is_nothing_to_compute(op_type: str, dtype: DType) -> None:
    node = OneNode(op_type, P4, dtype).feed(every(8).astype(dtype.numpy))
    with pytest.raises(ProgramError, match="has none"):
        node.interpreted()


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
def test_int16_gelu_becomes_a_table_that_loses_nothing(target: Target) -> None:
    program = lowered(float_node("Gelu", [(1, 65536)], (1, 65536)), {"in0": -12, "y": -12}, 16, target)
    (node,) = program.nodes
    assert (node.op_type, node.attributes["original_op_type"], node.attributes["int16_lut_step"]) == ("LUT", "Gelu", 1)
    assert program.constants[str(node.attributes["lut"])].shape == (65536,)
    found = interpret(program, {"in0": every(16).reshape(1, -1)}, target)["y"].ravel()
    for x in range(-32768, 32768, 37):
        assert abs(int(found[x + 32768]) - gelu(x / 4096) * 4096) <= 0.5


def test_gelu_has_no_float_form() -> None:
    assert find("Gelu").types == {"int8", "int16"}
    with pytest.raises(QuantizationError, match="format on both sides"):
        lowered(float_node("Gelu", [(1, 4)], (1, 4)), {"in0": -12}, 16, P4)


def test_lut_exists_in_files_only() -> None:
    assert not find("LUT").importable
