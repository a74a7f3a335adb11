"""Rounding under esp-ppq's names is tinsmith's own."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.compat.esp_ppq.core.config import TensorQuantizationConfig
from tinsmith.compat.esp_ppq.core.quant import QuantizationStates, RoundingPolicy
from tinsmith.compat.esp_ppq.utils.round import ppq_numerical_round, ppq_round_to_power_of_2, ppq_tensor_round
from tinsmith.errors import DataError, RecipeError
from tinsmith.quant.format import Format
from tinsmith.quant.rounding import Rounding

torch = pytest.importorskip("torch", reason="esp-ppq's names take tensors")
linear = importlib.import_module("tinsmith.compat.esp_ppq.quantization.qfunction.linear")

CHIPS = [
    (RoundingPolicy.ROUND_HALF_EVEN, Rounding.HALF_EVEN),
    (RoundingPolicy.ROUND_HALF_UP, Rounding.HALF_UP),
]
TIES = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -2.25, 2.25, 2.75, -2.75]
EXPECTED = {
    RoundingPolicy.ROUND_HALF_EVEN: [-2, -2, 0, 0, 2, 2, -2, 2, 3, -3],
    RoundingPolicy.ROUND_HALF_UP: [-2, -1, 0, 1, 2, 3, -2, 2, 3, -3],
    RoundingPolicy.ROUND_HALF_DOWN: [-3, -2, -1, 0, 1, 2, -2, 2, 3, -3],
    RoundingPolicy.ROUND_HALF_TOWARDS_ZERO: [-2, -1, 0, 0, 1, 2, -2, 2, 3, -3],
    RoundingPolicy.ROUND_HALF_FAR_FORM_ZERO: [-3, -2, -1, 1, 2, 3, -2, 2, 3, -3],
    RoundingPolicy.ROUND_UP: [-2, -1, 0, 1, 2, 3, -2, 3, 3, -2],
    RoundingPolicy.ROUND_DOWN: [-3, -2, -1, 0, 1, 2, -3, 2, 2, -3],
}


@pytest.mark.parametrize("policy", EXPECTED)
def test_ties(policy: RoundingPolicy) -> None:
    assert ppq_tensor_round(torch.tensor(TIES), policy).tolist() == EXPECTED[policy]
    assert [ppq_numerical_round(value, policy) for value in TIES] == EXPECTED[policy]


@pytest.mark.parametrize(("policy", "rounding"), CHIPS)
@given(values=st.lists(st.floats(width=32, min_value=-(2.0**30), max_value=2.0**30), min_size=1, max_size=20))
def test_tensors_are_rounded_as_the_chip_rounds(
    policy: RoundingPolicy, rounding: Rounding, values: list[float]
) -> None:
    array = np.array(values, np.float32)
    assert ppq_tensor_round(torch.from_numpy(array), policy).tolist() == rounding.to_int(array).tolist()


def test_what_has_no_fraction_stays() -> None:
    large = torch.tensor([3e9, -1e30, math.inf, -math.inf])
    for policy in EXPECTED:
        assert torch.equal(ppq_tensor_round(large, policy), large)


def test_powers_of_two() -> None:
    assert ppq_round_to_power_of_2(0.3) == 0.5
    assert ppq_round_to_power_of_2(-0.3, RoundingPolicy.ROUND_DOWN) == -0.25
    assert ppq_round_to_power_of_2(0.0) == 0.0
    assert ppq_numerical_round(2.5, RoundingPolicy.ROUND_TO_NEAR_INT) == 2


def test_what_cannot_be_rounded() -> None:
    with pytest.raises(DataError, match="is a list, not a tensor"):
        ppq_tensor_round([1.5])
    with pytest.raises(RecipeError, match="ROUND_HALF_EVEN and ROUND_HALF_UP"):
        ppq_tensor_round(torch.ones(1), RoundingPolicy.ROUND_TO_NEAR_INT)


def _config(bits: int, exponents: tuple[int, ...], axis: int | None, policy: RoundingPolicy) -> Any:
    return TensorQuantizationConfig(exponents, bits, axis, QuantizationStates.ACTIVATED, policy)


@pytest.mark.parametrize(("policy", "rounding"), CHIPS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("exponents", "axis"), [((-3,), None), ((-4, 0, 2), 1)])
def test_integers_are_those_of_the_format(
    policy: RoundingPolicy, rounding: Rounding, bits: int, exponents: tuple[int, ...], axis: int | None
) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 40, (20, 3, 4)), rng.integers(-64, 64, (20, 3, 4)) / 8]).astype(np.float32)
    config, format_ = _config(bits, exponents, axis, policy), Format(bits, exponents, axis)
    expected = format_.quantize(values, rounding)
    found = linear.PPQLinearQuant_toInt(torch.from_numpy(values), config).numpy()
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    real = linear.PPQLinearQuantFunction(torch.from_numpy(values), config).numpy()
    assert np.array_equal(real, format_.dequantize(expected))


@pytest.mark.parametrize(("bits", "kind"), [(20, np.int32), (32, np.int32), (40, np.int64), (64, np.int64)])
def test_biases_are_held_in_their_width(bits: int, kind: type) -> None:
    config = _config(bits, (0,), None, RoundingPolicy.ROUND_HALF_UP)
    found = linear.PPQLinearQuant_toInt(torch.tensor([1e30, -1e30, 2.5, -2.5]), config).numpy()
    assert found.dtype == kind
    assert found.tolist() == [2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 3, -2]


def test_floats_have_no_integers() -> None:
    config = _config(32, (), None, RoundingPolicy.ROUND_HALF_UP)
    with pytest.raises(DataError, match="stays a float"):
        linear.PPQLinearQuant_toInt(torch.ones(2), config)
    assert torch.equal(linear.PPQLinearQuantFunction(torch.ones(2), config), torch.ones(2))
    with pytest.raises(DataError, match="2 channels"):
        linear.integers(np.ones((3, 3)), _config(8, (0, 1), 0, RoundingPolicy.ROUND_HALF_UP))


def test_distances_are_those_of_the_definitions() -> None:
    measure = importlib.import_module("tinsmith.compat.esp_ppq.quantization.measure")
    real, found = torch.tensor([[1.0, 2.0], [2.0, 0.0]]), torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    assert measure.torch_snr_error(found, real, "none").tolist() == pytest.approx([0.2, 1.0])
    assert float(measure.torch_mean_square_error(found, real)) == 1.25
    assert float(measure.torch_cosine_similarity(real, real)) == pytest.approx(1.0)
    assert float(measure.torch_cosine_similarity_as_loss(found[1], real[1])) == pytest.approx(1 - 0.5**0.5)
    assert measure.numpy_cosine_similarity([1, 0], [1, 1]) == pytest.approx(0.5**0.5)
    assert measure.torch_KL_divergence(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5])) == 0
    assert measure.torch_KL_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.1, 0.9])) == pytest.approx(1.0)
    with pytest.raises(DataError, match="shapes"):
        measure.torch_snr_error(found, real[0])
    with pytest.raises(DataError, match="'mean', 'sum' or 'none'"):
        measure.torch_snr_error(found, real, "median")
