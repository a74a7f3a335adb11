"""The choices in a file: what they say, and that the file can be made again from itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import tinsmith
from tests.small_net import classifier, images
from tinsmith.errors import FormatError, RecipeError
from tinsmith.quantized import Quantized
from tinsmith.recipe import Recipe, Scope
from tinsmith.report.choices import Choices, decibels


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return tinsmith.quantize(
        classifier(),
        images(16),
        "esp32p4",
        int16=("gemm",),
        scopes=[Scope(layers=("conv",), calibration="percentile", percentile=99.5)],
    )


def test_the_recipe_of_a_file_makes_the_same_file(quantized: Quantized, tmp_path: Path) -> None:
    first = quantized.save(tmp_path / "a")
    again = tinsmith.quantize(classifier(), images(16), recipe=first.espdl).save(tmp_path / "b")
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_file_says_what_was_chosen(quantized: Quantized, tmp_path: Path) -> None:
    program = tinsmith.read(quantized.save(tmp_path).espdl)
    assert Recipe.parse(program.metadata["recipe"]) == quantized.recipe
    found = Choices.of(program)
    assert found == quantized.choices
    assert found is not None
    assert found.effort == "default"
    assert found.won in found.snr_db
    assert found.snr_db[found.won] == max(found.snr_db.values())
    assert set(found.snr_db) > {"plain"}
    assert found.int16 == {"gemm": "chosen by 'gemm'"}


def test_nothing_was_measured_where_nothing_was_tried() -> None:
    fast = tinsmith.quantize(classifier(), images(4), effort="fast").choices
    assert fast == Choices("fast")
    assert fast.toml() == 'effort = "fast"\n'


def test_candidates_the_chip_would_refuse_have_no_figure() -> None:
    assert Choices.made("best", {}, "a", {"a": 0.01, "b": float("inf")}).snr_db == {"a": 20.0}


@pytest.mark.parametrize(("noise", "expected"), [(1.0, 0.0), (0.1, 10.0), (0.0, 120.0)])
def test_decibels(noise: float, expected: float) -> None:
    assert decibels(noise) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("text", ["effort = ", 'won = "a"', 'effort = "fast"\nsnr_db = 3'])
def test_damaged_choices(quantized: Quantized, text: str) -> None:
    program = replace(quantized.program, metadata={"choices": text})
    with pytest.raises(FormatError, match="metadata 'choices': cannot be understood"):
        Choices.of(program)


def test_files_without(quantized: Quantized, tmp_path: Path) -> None:
    program = replace(quantized.program, metadata={})
    assert Choices.of(program) is None
    tinsmith.write(program, tmp_path / "bare.espdl")
    with pytest.raises(RecipeError, match=r"bare\.espdl: holds no recipe\."):
        Recipe.read(tmp_path / "bare.espdl")
