"""Threads."""

from __future__ import annotations

import os

import pytest

from tinsmith.cores import cores


@pytest.mark.parametrize(("there", "most", "found"), [(None, 8, 1), (1, 8, 1), (6, 8, 6), (64, 8, 8), (6, 4, 4)])
def test_as_many_as_there_are_up_to_a_limit(
    there: int | None, most: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    assert cores(most) == found
