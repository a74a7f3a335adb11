"""Histograms against numpy's own, and what is known of tensors against arrays that are looked at all at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import tinsmith
from tests.report.analysed import coarser, pictures, pyramid, sequences
from tinsmith.quant.format import Format
from tinsmith.quantized import Quantized
from tinsmith.report.beside import Pair
from tinsmith.report.graphwise import graphwise
from tinsmith.report.tensors import BINS, TensorStatistics, together, unused_bits

DATA = pictures(8, seed=5)


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")


def pair(real: NDArray[Any], chosen: Format) -> Pair:
    step = 2.0**chosen.exponent
    chip = np.clip(np.rint(real / step), -(2 ** (chosen.bits - 1)), 2 ** (chosen.bits - 1) - 1)
    return Pair(chip.astype(np.int8 if chosen.bits == 8 else np.int16), step, real)


def gathered(quantized: Quantized, reals: list[NDArray[np.float32]], name: str = "s") -> TensorStatistics:
    found = TensorStatistics(quantized)
    for real in reals:
        found.look({name: pair(real, quantized.formats.values[name])})
    return found


NUMBERS = st.floats(-1000, 1000, width=32, allow_subnormal=False)


@given(st.lists(hnp.arrays(np.float32, (1, 8, 2), elements=NUMBERS), min_size=1, max_size=5))
def test_a_histogram_counts_every_element_where_it_lies(reals: list[NDArray[np.float32]]) -> None:
    quantized = QUANTIZED
    histogram = gathered(quantized, reals).histograms()["s"]
    whole = np.concatenate([real.ravel() for real in reals]).astype(np.float64)
    assert (histogram.seen_lowest, histogram.seen_highest) == (whole.min(), whole.max())
    assert 1 <= len(histogram.counts) <= BINS
    assert np.log2(histogram.width) == np.round(np.log2(histogram.width))
    inside = (np.floor(whole / histogram.width) - histogram.start / histogram.width).astype(int)
    assert np.bincount(inside, minlength=len(histogram.counts)).tolist() == list(histogram.counts)
    limit = 2.0**histogram.exponent / 2
    beyond = (whole > histogram.highest + limit) | (whole < histogram.lowest - limit)
    assert histogram.clipped == np.mean(beyond)
    assert (histogram.unused_bits < 0) == bool((whole.max() > histogram.highest) or (whole.min() < histogram.lowest))


QUANTIZED = tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")


def test_bins_are_fine_enough_to_draw(quantized: Quantized) -> None:
    rng = np.random.default_rng(0)
    found = gathered(quantized, [rng.normal(0, 1, (1, 8, 64)).astype(np.float32) for _ in range(20)])
    histogram = found.histograms()["s"]
    assert BINS / 3 <= len(histogram.counts) <= BINS
    assert sum(histogram.counts) == 20 * 8 * 64


def test_the_order_of_samples_does_not_matter(quantized: Quantized) -> None:
    rng = np.random.default_rng(0)
    reals = [np.asarray(rng.normal(0, 10.0**k, (1, 8, 5)), np.float32) for k in range(-3, 3)]
    assert gathered(quantized, reals).histograms() == gathered(quantized, reals[::-1]).histograms()


def test_a_constant_is_one_bin_as_wide_as_a_step(quantized: Quantized) -> None:
    histogram = gathered(quantized, [np.full((1, 8, 4), 0.5, np.float32)] * 3).histograms()["s"]
    assert histogram.counts == (96,)
    assert histogram.width == 2.0**histogram.exponent
    zeros = gathered(quantized, [np.zeros((1, 8, 4), np.float32)]).histograms()["s"]
    assert (zeros.start, zeros.counts, zeros.clipped, zeros.unused_bits) == (0.0, (32,), 0.0, 8.0)


def test_unused_bits_by_hand() -> None:
    assert unused_bits(Format(8, (-7,)), -0.5, 0.4) == 1
    assert unused_bits(Format(8, (-7,)), -2, 0) == -1
    assert unused_bits(Format(8, (0,)), 0, 127) == 0
    assert unused_bits(Format(16, (-15,)), -0.25, 0.0) == 2


def test_one_bit_less_in_the_format_is_one_bit_less_unused(quantized: Quantized) -> None:
    def unused(network: Quantized) -> float:
        statistics = TensorStatistics(network)
        graphwise(network, DATA, look=statistics.look)
        return statistics.histograms()["s"].unused_bits

    assert unused(coarser(quantized, "s", 2)) == pytest.approx(unused(quantized) + 2)


def test_several_threads_at_once(quantized: Quantized) -> None:
    rng = np.random.default_rng(0)
    reals = [np.asarray(rng.normal(0, 1, (1, 8, 6, 6)), np.float32) for _ in range(64)]
    chosen = quantized.formats.values["s"]
    statistics = TensorStatistics(quantized)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda real: statistics.look({"s": pair(real, chosen)}), reals))
    assert statistics.histograms() == gathered(quantized, reals).histograms()


def test_all_integer_tensors_are_seen_in_the_pass_of_graphwise(quantized: Quantized) -> None:
    statistics = TensorStatistics(quantized)
    graphwise(quantized, DATA, elements=None, look=statistics.look)
    found = statistics.histograms()
    assert list(found) == ["x", "a1", "c2", "c3", "s", "a4", "p", "scores"]
    assert found["x"].seen_highest == DATA.max()
    assert sum(found["x"].counts) == DATA.size
    assert found["a1"].seen_lowest == 0
    assert {one.bits for one in found.values()} == {8}
    assert all(one.exponent == quantized.formats.values[name].exponent for name, one in found.items())


def test_floats_and_numbers_that_are_none_are_left_out(quantized: Quantized) -> None:
    data = np.random.default_rng(0).normal(0, 1, (12, 6, 4)).astype(np.float32)
    network = tinsmith.quantize(sequences(), data, "esp32p4", effort="fast")
    statistics = TensorStatistics(network)
    graphwise(network, data, look=statistics.look)
    assert "logits" in statistics.histograms()
    assert statistics.of("nothing") is None
    bad = np.full((1, 8, 2), np.inf, np.float32)
    ours = TensorStatistics(quantized)
    ours.look({"s": Pair(np.zeros(bad.shape, np.int8), 1.0, bad), "end": Pair(bad, 1.0, bad)})
    assert ours.histograms() == {}


def test_a_shift_of_a_channel_is_told_from_chance(quantized: Quantized) -> None:
    rng = np.random.default_rng(0)
    chosen = quantized.formats.values["s"]
    step = 2.0**chosen.exponent
    shift = np.array([3, 0, -2, 0, 0, 0, 0, 0]).reshape(1, -1, 1)
    statistics, plain = TensorStatistics(quantized), TensorStatistics(quantized)
    for _ in range(32):
        real = rng.uniform(-20, 20, (1, 8, 50)) * step
        rounded = np.rint(real / step)
        statistics.look({"s": Pair((rounded + shift).astype(np.int8), step, real.astype(np.float32))})
        plain.look({"s": Pair(rounded.astype(np.int8), step, real.astype(np.float32))})
    seen, usual = statistics.of("s"), plain.of("s")
    assert seen is not None
    assert usual is not None
    assert seen.shift / step == pytest.approx(shift.ravel(), abs=0.05)
    assert seen.shifted == pytest.approx(13 / (13 + 8 / 12), abs=0.02)
    assert usual.shifted < 0.01


def test_how_far_all_but_a_few_elements_reach(quantized: Quantized) -> None:
    real = np.full((1, 8, 1000), 0.9, np.float32)
    real[0, 3, :4] = 70
    real[0, 4, :5] = -3
    seen = gathered(quantized, [real]).of("s")
    assert seen is not None
    assert [seen.reach(share) for share in (0, 0.0004, 0.0005, 0.001, 0.002)] == [128, 128, 4, 4, 1]
    assert seen.largest == pytest.approx([0.9, 0.9, 0.9, 70, 3, 0.9, 0.9, 0.9])
    both = together([seen, seen])
    assert (both.reach(0.0005), both.count, len(both.largest)) == (4, 16000, 16)
    assert both.clipped == seen.clipped


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [1e30, -1e30, 0.0, 3.0])
def test_one_number_has_a_histogram_however_large_it_is(quantized: Quantized, number: float) -> None:
    real = np.full((1, 8, 2), number, np.float32)
    histogram = gathered(quantized, [real, real]).histograms()["s"]
    assert histogram.counts == (32,)
    assert histogram.start <= float(np.float32(number)) < histogram.start + histogram.width
