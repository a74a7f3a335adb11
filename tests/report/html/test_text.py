from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.report.html import text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.00 KiB"),
        (4352, "4.25 KiB"),
        (401408, "392 KiB"),
        (1024**2, "1.00 MiB"),
        (3614208, "3.45 MiB"),
    ],
)
def test_sizes(value: int, said: str) -> None:
    assert text.size(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.0004, "< 0.001 ms"),
        (0.042, "0.0420 ms"),
        (7.2, "7.20 ms"),
        (318.4, "318 ms"),
        (4321.0, "4,321 ms"),
        (12345.0, "12.3 s"),
    ],
)
def test_times(value: float | None, said: str) -> None:
    assert text.milliseconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (832, "832"), (9999, "9,999"), (10_000, "10.0 k"), (10_840_000, "10.8 M"), (3.1e9, "3.10 G")],
)
def test_counts(value: int, said: str) -> None:
    assert text.count(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (1e-6, "< 0.001 %"),
        (0.000423, "0.042 %"),
        (0.0081, "0.81 %"),
        (0.123, "12.3 %"),
        (1.0, "100 %"),
        (inf, "∞ %"),
        (nan, "not a number %"),
    ],
)
def test_shares(value: float | None, said: str) -> None:
    assert text.percent(value) == said


@pytest.mark.parametrize(("value", "said"), [(None, "exact"), (20.91, "20.9 dB"), (-3.0, "−3.0 dB"), (-inf, "−∞")])
def test_decibels(value: float | None, said: str) -> None:
    assert text.decibels(value) == said


def test_names_break_behind_slashes_and_stay_the_same() -> None:
    assert text.breakable("/a/b.c/d") == "/<wbr>a/<wbr>b.c/<wbr>d"
    assert text.breakable("a.b_c") == "a.<wbr>b_<wbr>c"
    assert text.breakable("<a/b>") == "&lt;a/<wbr>b&gt;"


@given(st.text())
def test_breaking_changes_nothing(name: str) -> None:
    assert text.breakable(name).replace("<wbr>", "").unescape() == name


@given(st.text(st.characters(blacklist_categories=())))
def test_clean_text_can_be_written(name: str) -> None:
    cleaned = text.clean(name)
    assert len(cleaned) == len(name)
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert text.clean(cleaned) == cleaned


@given(st.floats())
def test_every_number_can_be_written(value: float) -> None:
    for write in (text.size, text.milliseconds, text.count, text.percent, text.real, text.bits, text.cosine):
        assert write(value)
