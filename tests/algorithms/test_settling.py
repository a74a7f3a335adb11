"""Raising exponents until the chip's rules hold: how far it reaches, and when it gives up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from tests.networks import S3, Net
from tinsmith.algorithms.scales import beyond_int8, choose_formats, observed_values
from tinsmith.calibrate.constants import constant_stats
from tinsmith.calibrate.stats import ValueStats
from tinsmith.errors import QuantizationError
from tinsmith.quant.format import Format, Formats
from tinsmith.targets import find


def stats(net: Net, **largest: float) -> dict[str, ValueStats]:
    """As if every value had reached 1, except where said otherwise."""
    return {
        name: constant_stats(np.float32([-1, 1]) * np.float32(largest.get(name, 1.0)), S3.rounding)
        for name, operand in net.operands.items()
        if operand.const is None
    }


def chosen(
    net: Net, *outputs: str, bits: Mapping[str, int] | None = None, target: str = "esp32s3", **largest: float
) -> Formats:
    widths = {node.name: 8 for node in net.nodes} | dict(bits or {})
    return choose_formats(net.network(*outputs), widths, stats(net, **largest), find(target), "minmax")


def exponents(formats: Formats) -> dict[str, int]:
    return {name: chosen.exponent for name, chosen in formats.values.items()}


def test_values_take_the_exponent_of_what_was_seen() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Sigmoid", ["a"], "y")
    assert exponents(chosen(net, "y", x=100.0, a=1000.0, y=1.0)) == {"x": 0, "a": 3, "y": -6}


def test_an_output_is_no_finer_than_its_products() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "y", 4)
    found = chosen(net, "y", x=2.0**14, y=0.001)
    (weights,) = found.uses.values()
    assert found.values["y"].exponent == found.values["x"].exponent + weights.exponent > -16


def test_a_raise_reaches_the_end_of_a_deep_network() -> None:
    """Each product raises the sum behind it, over a border; each sum the product behind that."""
    net = Net()
    net.const("c", [100.0])
    value = net.input("x", 1, 4)
    for index in range(100):
        net.add("Mul", [value, "c"], f"p{index}")
        value = net.add("Add", [f"p{index}", f"p{index}"], f"s{index}")
    tiny = {name: 1e-6 for name in net.operands if name[0] in "ps"}
    found = exponents(chosen(net, value, x=100.0, **tiny))
    assert found == dict.fromkeys(found, 0)


def test_a_value_enters_a_sum_without_a_left_shift() -> None:
    net = Net()
    net.input("x", 1, 4)
    net.add("Sigmoid", ["x"], "a")
    net.add("Tanh", ["a"], "b")
    net.add("Add", ["a", "b"], "y")
    found = chosen(net, "y", a=100.0, b=0.01, y=0.01)
    assert (found.values["a"].exponent, found.values["y"].exponent) == (0, 0)
    assert found.uses == {}


def test_a_value_that_enters_a_coarser_sum_is_requantized() -> None:
    net = Net()
    net.input("x", 1, 4)
    net.add("Sigmoid", ["x"], "a")
    net.add("Tanh", ["a"], "b")
    net.add("Add", ["a", "b"], "y")
    found = chosen(net, "y", a=1.0, b=100.0, y=100.0)
    assert (found.values["a"].exponent, found.values["y"].exponent) == (-6, 0)
    assert found.uses == {("Y", 0): Format(8, (0,))}


def test_widened_values_keep_their_exponent_and_narrowed_ones_get_another() -> None:
    net = Net()
    net.input("x", 1, 4)
    net.add("Sigmoid", ["x"], "a")
    net.add("Sigmoid", ["a"], "y")
    wide = chosen(net, "y", bits={"Y": 16})
    assert wide.uses == {("Y", 0): Format(16, (wide.values["a"].exponent,))}
    narrow = chosen(net, "y", bits={"A": 16})
    assert (narrow.values["a"].exponent, narrow.uses["Y", 0]) == (-14, Format(8, (-6,)))


def test_a_shift_is_no_longer_than_the_chip_s() -> None:
    """Weights far below their outputs: their exponent rises, whatever precision that costs."""
    net = Net()
    net.input("x", 1, 4)
    net.add("Gemm", ["x", net.const("w", np.full((4, 4), 1e-12))], "y", (1, 4))
    found = chosen(net, "y", y=1e3)
    (weights,) = found.uses.values()
    shift = found.values["y"].exponent - found.values["x"].exponent - weights.exponent
    assert shift == S3.max_shift


@pytest.mark.parametrize(("bits", "fits"), [(8, False), (16, True)])
def test_a_softmax_whose_input_must_be_coarse(bits: int, fits: bool) -> None:
    net = Net()
    net.input("x", 1, 4)
    net.add("Gemm", ["x", net.const("w", np.full((4, 4), 100.0))], "a", (1, 4))
    net.add("Softmax", ["a"], "y", axis=-1)
    widths = {node.name: bits for node in net.nodes}
    if fits:
        assert "a" in chosen(net, "y", bits=widths, x=1000.0, a=1.0).values
        return
    with pytest.raises(QuantizationError, match=r"Softmax 'Y': its input needs exponent \d+.*Run it in int16\."):
        chosen(net, "y", bits=widths, x=1000.0, a=1.0)


def test_a_softmax_that_narrows_a_large_input() -> None:
    net = Net()
    net.add("Sigmoid", [net.input("x", 1, 4)], "a")
    net.add("Softmax", ["a"], "y", axis=-1)
    widths = {"A": 16, "Y": 8}
    with pytest.raises(QuantizationError, match=r"Softmax 'Y': its input needs exponent 3.*Run it in int16\."):
        chosen(net, "y", bits=widths, a=1000.0)
    assert chosen(net, "y", bits=widths, a=60.0).uses["Y", 0] == Format(8, (-1,))
    assert beyond_int8(net.network("y"), widths, stats(net, a=1000.0), S3, "minmax") == ("Y",)
    assert beyond_int8(net.network("y"), widths, stats(net, a=60.0), S3, "minmax") == ()


@pytest.mark.parametrize(("bits", "largest"), [(8, -1), (16, -9)])
def test_exponentials_without_a_maximum_subtracted(bits: int, largest: int) -> None:
    net = Net()
    net.add("ReduceLogSumExp", [net.input("x", 1, 4), net.const("axes", [1], np.int64)], "y", (1, 1))
    widths = {node.name: bits for node in net.nodes}
    assert chosen(net, "y", bits=widths, x=60.0, y=60.0).values["x"].exponent == largest
    with pytest.raises(QuantizationError, match=rf"int{bits} kernel overflows beyond {largest}\. Subtract its largest"):
        chosen(net, "y", bits=widths, x=80.0, y=80.0)


def test_only_what_decides_is_observed() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Relu", ["a"], "r")
    net.add("Transpose", ["r"], "t", perm=(0, 1, 3, 2))
    net.add("Sigmoid", ["t"], "y")
    names, widths = observed_values(net.network("y"), {"A": 8, "R": 8, "T": 8, "Y": 16}, S3)
    assert sorted(names) == ["r", "t", "x", "y"]
    assert sorted(widths) == [8, 16]
