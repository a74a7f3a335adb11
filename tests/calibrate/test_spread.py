"""Samples that are kept are spread over all the data, whatever their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinsmith
from tests.small_net import classifier, images
from tinsmith.calibrate.inputs import InputSpec, input_specs
from tinsmith.calibrate.sources import open_data
from tinsmith.calibrate.spread import Spread, evenly
from tinsmith.graph import canonicalize
from tinsmith.importers import load


def specs() -> list[InputSpec]:
    return list(input_specs(canonicalize(load(classifier()))))


def kept(data: Any, count: int) -> tuple[list[int], int]:
    """The indices of the samples that are kept, and how many passed."""
    spread = Spread(open_data(data, specs()), count)
    passed = list(spread)
    for index, sample in spread.chosen.items():
        np.testing.assert_array_equal(sample["image"], passed[index]["image"])
    assert spread.samples == list(spread.chosen.values())
    return list(spread.chosen), len(passed)


@given(st.integers(0, 300), st.integers(1, 80))
def test_evenly(length: int, count: int) -> None:
    found = evenly(range(length), count)
    assert len(found) == min(length, count)
    gaps = np.diff([*found, length]) if found else np.array([])
    assert len(gaps) == 0 or (found[0] == 0 and gaps.max() - gaps.min() <= 1)


@pytest.mark.parametrize("length", [1, 4, 5, 11, 33])
def test_of_an_array(length: int) -> None:
    assert kept(images(length), 4) == (evenly(range(length), 4), length)


@pytest.mark.parametrize(("length", "expected"), [(3, [0, 1, 2]), (5, [0, 2, 4]), (11, [0, 4, 8]), (33, [0, 16, 32])])
def test_of_a_generator(length: int, expected: list[int]) -> None:
    assert kept(iter(images(length)), 4) == (expected, length)


def test_weights_are_tuned_on_all_of_sorted_data() -> None:
    """Dark pictures first: those that come later decide the range of the input."""
    data = np.concatenate([images(64) / 8, images(64, seed=3)])
    quantized = tinsmith.quantize(classifier(), data, target="esp32s3")
    exponent = quantized.program.inputs[0].exponent
    assert 127.5 * 2.0**exponent >= np.abs(data).max() * 0.7
