from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.report.html import text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0.00 ms"),
        (0.0004, "< 0.01 ms"),
        (0.042, "0.04 ms"),
        (7.2, "7.20 ms"),
        (318.4, "318 ms"),
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


@pytest.mark.parametrize(
    ("value", "said"), [(12.5, "12.5"), (-3.0, "-3.0"), (inf, "Infinity"), (-inf, "-Infinity"), (nan, "")]
)
def test_numbers_to_sort_by(value: float, said: str) -> None:
    assert text.key(value) == said


def test_names_break_behind_slashes_and_stay_the_same() -> None:
    assert text.breakable("/a/b.c/d") == "/<wbr>a/<wbr>b.c/<wbr>d"
    assert text.breakable("a.b_c") == "a.<wbr>b_<wbr>c"
    assert text.breakable("GlobalAveragePool") == "Global<wbr>Average<wbr>Pool"
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
    for write in (text.milliseconds, text.count, text.percent, text.real, text.bits, text.cosine):
        assert write(value)
