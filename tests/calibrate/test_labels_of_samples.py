"""Labels of calibration samples: read as those of evaluation are, one for each sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests.small_net import classifier, images
from tinsmith.calibrate.stage import Calibrated, Wanted, on_data
from tinsmith.errors import DataError, RecipeError
from tinsmith.graph import canonicalize
from tinsmith.importers import load
from tinsmith.quant.rounding import Rounding
from tinsmith.recipe import Recipe

WANTED = Wanted(["scores"], [8], Rounding.HALF_UP, histograms=False, kept=4)


def calibrated(labels: Any, data: Any = None, **choices: Any) -> Calibrated:
    data = images(6) if data is None else data
    return on_data(canonicalize(load(classifier())), WANTED, data, Recipe.of(**choices), lambda *_: None, labels)


def test_the_labels_of_the_samples_that_are_kept() -> None:
    found = calibrated([5, 4, 3, 2, 1, 0])
    assert found.labels is not None
    assert found.labels.tolist() == [5, 4, 2, 1]
    assert len(found.samples) == 4
    assert len(found.labels_digest) == 64
    assert found.labels_digest != calibrated([5, 4, 3, 3, 1, 0]).labels_digest
    assert (calibrated(None).labels, calibrated(None).labels_digest) == (None, "")


def test_the_labels_of_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=images(6), y=np.arange(6))
    found = calibrated(f"{tmp_path}/d.npz:y", f"{tmp_path}/d.npz:X")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("count", [5, 7])
@pytest.mark.parametrize("loader", [np.asarray, list, iter])
def test_as_many_labels_as_samples(count: int, loader: Any) -> None:
    with pytest.raises(DataError, match=rf"labels: {count} labels were given for 6 samples\."):
        calibrated(np.zeros(count, int), loader(images(6)))


def test_more_labels_than_samples_that_are_used() -> None:
    found = calibrated(np.arange(6), samples=2)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1]


def test_labels_that_nothing_asks_for() -> None:
    with pytest.raises(RecipeError, match=r"labels: .* nothing asks for them\. They are for max_drop"):
        tinsmith.quantize(classifier(), images(6), labels=np.zeros(6, int))


@pytest.mark.parametrize("option", ["max_drop", "int16_budget"])
def test_int16_by_measure_needs_data(option: str) -> None:
    with pytest.raises(RecipeError, match=rf"{option}: needs calibration data\."):
        tinsmith.quantize(classifier(), **{option: 0.1})  # type: ignore[arg-type]
