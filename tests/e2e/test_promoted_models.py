"""Networks of every kind with a part of their layers promoted to int16: they run, and come closer."""

from __future__ import annotations

import numpy as np
import pytest

import tinsmith
from tests.e2e.nets import MODELS
from tests.e2e.test_small_models import batch
from tinsmith.report.choices import Choices

KINDS = (
    "attention",
    "bounds_that_are_computed",
    "broadcasts_of_unequal_rank",
    "concat_with_constant",
    "conv_groups",
    "input_that_is_an_output",
    "long_resizes",
    "output_that_is_consumed",
    "pools_over_volumes",
    "softmax_in_the_middle",
    "split_and_joined",
    "two_inputs_of_unequal_size",
)


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
@pytest.mark.parametrize("name", KINDS)
def test_promoted_model(name: str, target: str) -> None:
    """Whatever the widths, both ways to run it give the same; half of the work in int16 brings the outputs closer."""
    model = MODELS[name]()
    data = batch(model, 8, 5)
    for budget in (0.5, 1.0):
        program = tinsmith.quantize(model, data, target, effort="fast", int16_budget=budget).program
        choices = Choices.of(program)
        assert choices is not None
        if choices.int16:
            assert choices.snr_db[choices.won] > choices.snr_db["plain"]
        assert choices.int16 or budget < 1
        some = {key: array[:2] for key, array in data.items()}
        found, defined = (tinsmith.simulate(program, some, compiled=way) for way in (True, False))
        for key, array in defined.items():
            assert np.array_equal(found[key], array, equal_nan=array.dtype.kind == "f")
