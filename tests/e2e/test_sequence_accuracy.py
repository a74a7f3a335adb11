"""Networks over sequences (GRU, LSTM, transformer) answer on the chip as in floats: plain defaults, fixed splits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.e2e.real import case, in_floats, on_chip, quantized

NETWORKS = ("fsdd_gru", "mnist_lstm", "fsdd_transformer")
TARGETS = ("esp32s3", "esp32p4", "c")


def judge(name: str, target: str, bits: int, most: int | None) -> None:
    """int8 loses at most two points; int16 gives the float network's answer for 99 of 100 samples."""
    found = case(name, most)
    floats = in_floats(name, found.samples).argmax(axis=1)
    chip = on_chip(quantized(name, target, bits, most).program, found.samples).argmax(axis=1)
    lost = int(np.sum(floats == found.labels)) - int(np.sum(chip == found.labels))
    assert lost <= 0.02 * len(chip)
    assert bits == 8 or np.sum(floats == chip) >= 0.99 * len(chip)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", NETWORKS)
def test_some_samples(name: str, bits: int, target: str) -> None:
    judge(name, target, bits, 100)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", NETWORKS)
def test_all_samples(name: str, bits: int, target: str) -> None:
    judge(name, target, bits, None)


@pytest.mark.parametrize("name", NETWORKS)
def test_twice_the_same_in_both_forms(name: str) -> None:
    program, samples = quantized(name, "esp32s3", 8, 100).program, case(name, 100).samples[:2]
    first = on_chip(program, samples)
    assert np.array_equal(first, on_chip(program, samples))
    assert np.array_equal(first, on_chip(program, samples, compiled=False))
