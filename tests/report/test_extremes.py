"""How far tensors reach, against what looking at every element gives."""

from __future__ import annotations

import numpy as np
import pytest

import tinsmith
from tests.report.analysed import pictures, pyramid
from tinsmith.quant.format import Format
from tinsmith.quantized import Quantized
from tinsmith.report.extremes import extremes
from tinsmith.report.graphwise import graphwise
from tinsmith.report.layer_error import opened
from tinsmith.report.tensors import TensorStatistics
from tinsmith.report.variants import without_few

DATA = pictures(6, seed=5)
FEW = 16


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")


def statistics(quantized: Quantized, elements: int | None) -> TensorStatistics:
    found = TensorStatistics(quantized)
    graphwise(quantized, DATA, elements=elements, look=found.look)
    return found


def test_a_grid_and_the_extremes_tell_what_all_elements_do(quantized: Quantized) -> None:
    whole, part = statistics(quantized, None), statistics(quantized, FEW)
    known = extremes(quantized, list(opened(quantized, DATA, None)), part.axis, FEW)
    assert known
    missed = [name for name in known if part.of(name).highest < whole.of(name).highest]  # type: ignore[union-attr]
    assert missed
    part.reach(known)
    for name in known:
        ours, theirs = part.of(name), whole.of(name)
        assert ours is not None
        assert theirs is not None
        assert (ours.lowest, ours.highest) == pytest.approx((theirs.lowest, theirs.highest), rel=1e-5)
        assert ours.largest == pytest.approx(theirs.largest, rel=1e-5)
        assert ours.reach() == theirs.reach()
        assert (ours.clipped > 0) == (theirs.clipped > 0)
        histogram = part.histograms()[name]
        assert histogram.start <= histogram.seen_lowest
        assert histogram.seen_highest < histogram.start + histogram.width * len(histogram.counts)


def test_small_values_are_looked_at_as_a_whole_already(quantized: Quantized) -> None:
    assert extremes(quantized, list(opened(quantized, DATA, None)), lambda name: 1, 10**9) == {}
    assert extremes(quantized, [], lambda name: 1, FEW) == {}


def test_numbers_that_are_not_finite_tell_nothing(quantized: Quantized) -> None:
    sample = {name: np.full_like(array, np.nan) for name, array in quantized.sample.items()}
    assert extremes(quantized, [sample], lambda name: 1, FEW) == {}


def test_a_format_coarser_than_the_tensor_needs_is_not_blamed_on_its_elements(quantized: Quantized) -> None:
    found = TensorStatistics(quantized)
    graphwise(quantized, DATA, look=found.look)
    seen = found.of(next(iter(found.histograms())))
    assert seen is not None
    needed = quantized.formats.values[next(iter(found.histograms()))].exponent
    assert without_few(seen, Format(8, (needed + 5,))) is None
