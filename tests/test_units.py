"""Numbers with units."""

from __future__ import annotations

from math import inf

import pytest

from tinsmith.units import decibels, milliseconds, percent, share, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.00 KiB"),
        (98_304, "96.0 KiB"),
        (1024 * 100, "100 KiB"),
        (3_607_101, "3.44 MiB"),
        (2**31, "2.00 GiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "0.00 ms"), (0.42, "0.42 ms"), (33.14, "33.1 ms"), (115.4, "115 ms"), (6161.8, "6.16 s")],
)
def test_times(value: float, text: str) -> None:
    assert milliseconds(value) == text


def test_ratios() -> None:
    assert decibels(None) == "no noise"
    assert decibels(-inf) == "no signal"
    assert decibels(16.04) == "16.0 dB"
    assert [share(value) for value in (0, 0.004, 0.0994, 0.0996, 1)] == ["0 %", "0.4 %", "9.9 %", "10 %", "100 %"]
    assert [percent(0.12), percent(0.12345, 2), percent(1, 0)] == ["12.0 %", "12.35 %", "100 %"]
