"""Ranges of weights, channel by channel, against the weights themselves."""

from __future__ import annotations

import numpy as np
import pytest

import tinsmith
from tests.report.analysed import pictures, pyramid, sequences
from tinsmith.report.channels import channels, spread_bits


def test_ranges_are_those_of_the_weights() -> None:
    found = tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")
    ranges = channels(found)
    assert list(ranges) == ["first", "depthwise", "pointwise", "strided", "gemm"]
    nodes = {node.name: node for node in found.network.nodes}
    for name, one in ranges.items():
        weights = nodes[name].const(1)
        assert weights is not None
        rows = weights.T if name == "gemm" else weights.reshape(len(weights), -1)
        assert one.largest == tuple(float(value) for value in np.abs(rows).max(axis=1))
        assert one.tensor == nodes[name].input(1).name
        assert one.exponents == found.formats.uses[name, 1].exponents
        assert len(one.exponents) == len(one.largest)


def test_one_exponent_for_all_channels() -> None:
    found = tinsmith.quantize(pyramid(), pictures(16), "esp32s3", effort="fast")
    assert {len(one.exponents) for one in channels(found).values()} == {1}
    assert {name: len(one.largest) for name, one in channels(found).items()} == {
        "first": 8, "depthwise": 8, "pointwise": 8, "strided": 12, "gemm": 5,
    }  # fmt: skip


def test_layers_without_such_weights_are_left_out() -> None:
    data = np.random.default_rng(0).normal(0, 1, (12, 6, 4)).astype(np.float32)
    found = channels(tinsmith.quantize(sequences(), data, "esp32p4", effort="fast"))
    assert {name: len(one.largest) for name, one in found.items()} == {"matmul": 3}


def test_spread_by_hand() -> None:
    assert spread_bits(np.array([8.0, 1, 1, 1, 0.5])) == 3
    assert spread_bits(np.array([0.0, 2, 2, 0])) == 0
    assert spread_bits(np.zeros(3)) == 0
    assert spread_bits(np.array([4.0, 1])) == pytest.approx(np.log2(4 / 2.5))
