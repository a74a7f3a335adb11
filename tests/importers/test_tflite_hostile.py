"""Damaged `.tflite` files end in a model or in one error; `python -m tools.fuzz_tflite` damages as many as wanted."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.fuzz_tflite import main, mutate, verdict

from tests.importers.tflite_cases import cases
from tests.shared import shared_path
from tinsmith.errors import ModelError
from tinsmith.importers import load

SEEDS = {case.name: case.data for case in cases()}
SHORTEST = min(SEEDS.values(), key=len)


def test_whole_files_are_read() -> None:
    assert {verdict(data) for data in SEEDS.values()} == {"canonical form"}


def test_damaged_files() -> None:
    dice = random.Random(5)
    seeds = list(SEEDS.values())
    outcomes = Counter(verdict(mutate(dice.choice(seeds), dice), canonical=False) for _ in range(1500))
    assert outcomes["read"] > 100
    assert outcomes["refused: read"] > 300


def test_in_canonical_form() -> None:
    dice = random.Random(6)
    seeds = list(SEEDS.values())
    outcomes = Counter(verdict(mutate(dice.choice(seeds), dice)) for _ in range(200))
    assert outcomes["canonical form"] > 0


@pytest.mark.parametrize("length", range(0, len(SHORTEST) - 16, 3))
def test_truncated(length: int) -> None:
    with pytest.raises(ModelError):
        load(SHORTEST[:length] if length > 8 else SHORTEST[:4] + b"TFL3" + SHORTEST[8 : length + 8])


@given(st.binary(max_size=300))
def test_any_bytes(payload: bytes) -> None:
    with pytest.raises(ModelError):
        load(b"\x1c\0\0\0TFL3" + payload)


@pytest.mark.slow
def test_the_tool(capsys: pytest.CaptureFixture[str]) -> None:
    path = shared_path("data/tflite/kws_ref_model_float32.tflite")
    assert main(["--rounds", "30", str(path)]) == 0
    assert "30 files" in capsys.readouterr().out
