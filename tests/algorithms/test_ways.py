"""Exponents chosen in another way for some layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinsmith
from tests.small_net import classifier, images
from tinsmith.quantized import Quantized
from tinsmith.recipe import Scope


def spiky() -> np.ndarray:
    """Images one element of which is far beyond all others: the methods disagree about its range."""
    found = images(12)
    found[3, 0, 2, 2] = 40.0
    return found


def quantized(**choices: Any) -> Quantized:
    return tinsmith.quantize(classifier(), spiky(), effort="fast", percentile=99.0, **choices)


def output(found: Quantized, value: str) -> int:
    return found.formats.values[value].exponent


def test_methods_disagree_here() -> None:
    assert output(quantized(calibration="minmax"), "active") > output(quantized(calibration="percentile"), "active")


@pytest.mark.parametrize("layer", ["conv", "relu"])
@pytest.mark.parametrize(("usual", "scoped"), [("minmax", "percentile"), ("percentile", "minmax"), ("mse", "kl")])
def test_a_layer_has_the_exponent_of_its_own_method(layer: str, usual: str, scoped: str) -> None:
    found = quantized(calibration=usual, scopes=[Scope(layers=(layer,), calibration=scoped)])
    assert output(found, "active") == output(quantized(calibration=scoped), "active")
    assert output(found, "image") == output(quantized(calibration=usual), "image")


def test_the_last_scope_decides_for_values_that_share_an_exponent() -> None:
    """pool and flatten: a data mover and what it moves."""
    limits = [Scope(layers=("^pool$",), calibration="minmax"), Scope(layers=("^flatten$",), calibration="percentile")]
    ends = [output(quantized(calibration=name), "pooled") for name in ("minmax", "percentile")]
    forwards = output(quantized(scopes=limits), "flat")
    backwards = output(quantized(scopes=limits[::-1]), "flat")
    assert [backwards, forwards] == ends


def test_percentiles_of_a_scope() -> None:
    low = quantized(scopes=[Scope(layers=("conv",), calibration="percentile", percentile=60.0)])
    high = quantized(scopes=[Scope(layers=("conv",), calibration="percentile", percentile=100.0)])
    assert output(low, "active") < output(high, "active")


def test_an_exponent_set_by_hand_holds_for_all_that_share_it() -> None:
    usual = quantized()
    found = quantized(scopes=[Scope(layers=("^pool$",), exponent=2)])
    assert output(usual, "flat") != 2
    assert [output(found, value) for value in ("pooled", "flat")] == [2, 2]
    assert output(found, "active") == output(usual, "active")


def test_an_exponent_the_chip_refuses_is_raised_and_told() -> None:
    found = quantized(scopes=[Scope(layers=("^gemm$",), exponent=-30)])
    assert output(found, "scores") > -30
    assert [note for note in found.notes if "'scores' has exponent" in note and "not -30" in note]


def test_the_last_scope_may_find_an_exponent_again() -> None:
    scopes = [Scope(layers=("conv",), exponent=3), Scope(layers=("conv",), calibration="minmax")]
    assert output(quantized(scopes=scopes), "active") == output(quantized(calibration="minmax"), "active")


def test_an_exponent_and_how_to_find_one_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="leave out one of the two"):
        Scope(layers=("conv",), exponent=3, calibration="mse")
