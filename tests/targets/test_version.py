"""Versions of ESP-DL: spelling and order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.errors import RecipeError
from tinsmith.targets import CURRENT, OLDEST, Version

numbers = st.tuples(*[st.integers(0, 120)] * 3)


@given(numbers, numbers)
def test_they_are_ordered_by_their_numbers(first: tuple[int, int, int], second: tuple[int, int, int]) -> None:
    assert (Version(*first) < Version(*second)) == (first < second)
    assert (Version(*first) == Version(*second)) == (first == second)


@given(numbers)
def test_text_and_back(parts: tuple[int, int, int]) -> None:
    version = Version(*parts)
    assert Version.of(str(version)) == Version.of(version) == Version.of(f" v{version}~2 ") == version


@pytest.mark.parametrize("text", ["", "3.3", "3", "latest", "3.3.9-rc1", "3.3.9.1", "a.b.c", "3,3,9"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"is no version of ESP-DL\. Write three numbers, such as 3\.3\.9"):
        Version.of(text)


def test_the_oldest_is_older() -> None:
    assert OLDEST < CURRENT
    assert str(CURRENT) == "3.3.9"
