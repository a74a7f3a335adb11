"""What is proposed where the usual is not possible, was done already, or cannot be measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

import tinsmith
from tests.report.analysed import model_of, pictures, pyramid
from tests.report.examined import Examined, examined
from tests.report.planted import differences, few_elements, large_channel
from tinsmith.placement import Decision
from tinsmith.quantized import Quantized
from tinsmith.report import actions as module
from tinsmith.report.actions import actions
from tinsmith.report.commands import PLACES, Places, again, in_int16
from tinsmith.report.insight.schema import Action
from tinsmith.report.int16_trial import Int16Trial
from tinsmith.report.layer_error import opened
from tinsmith.report.mattering import fitted
from tinsmith.report.remedies import Remedies
from tinsmith.report.whatif import Variant


def of(quantized: Quantized, found: Examined, **more: Any) -> dict[str, Action]:
    acts = actions(quantized, found.accumulated, found.alone, found.causes, found.samples, **more)
    return {action.title: action for action in acts}


def coarse(**choices: Any) -> tuple[Quantized, NDArray[np.float32]]:
    planted = differences()
    return tinsmith.quantize(planted.model, planted.data, planted.target, **choices), planted.data


def test_fitted_weights_are_not_fitted_again() -> None:
    quantized, data = coarse()
    assert fitted(quantized)
    found = of(quantized, examined(quantized, data))
    assert list(found) == ["Run 2 layers in int16", "Search longer", "Let tinsmith choose layers for int16"]
    assert found["Search longer"].command.endswith("--effort best -o DIR")
    assert float(found["Run 2 layers in int16"].effect.split()[2]) > 20


def test_where_a_trial_gains_nothing_on_fitted_weights_the_noise_of_the_layers_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quantized, data = coarse()
    monkeypatch.setattr(Int16Trial, "noise", lambda self, layers: None)
    action = of(quantized, examined(quantized, data))["Run 2 layers in int16"]
    assert action.effect.endswith("of the noise of all, estimated")
    plain, _ = coarse(effort="fast")
    assert "Run 2 layers in int16" not in of(plain, examined(plain, data))


def test_the_options_that_were_chosen_stay() -> None:
    quantized, data = coarse(effort="fast", int16=("end",))
    found = of(quantized, examined(quantized, data))
    assert "--int16 end --int16 pairs --int16 taking" in found["Run 2 layers in int16"].command
    budget, _ = coarse(effort="fast", int16_budget=0.001)
    assert "Let tinsmith choose layers for int16" not in of(budget, examined(budget, data))


def test_with_few_calibration_samples_more_are_asked_for() -> None:
    planted = differences()
    quantized = tinsmith.quantize(planted.model, planted.data[:4], planted.target)
    found = of(quantized, examined(quantized, planted.data))
    assert found["Give more calibration samples"].command == again(())


def test_named_algorithms_are_the_users_choice() -> None:
    quantized, data = coarse(algorithms=("correct_bias",))
    assert list(of(quantized, examined(quantized, data))) == [
        "Run 2 layers in int16",
        "Let tinsmith choose layers for int16",
    ]


def test_layers_whose_width_the_user_chose_keep_it() -> None:
    quantized, data = coarse(effort="fast", scopes=({"layers": ("pairs", "taking"), "bits": 8},))
    found = examined(quantized, data)
    assert found.causes["pairs"][0].action.title == "Let others run in int16"
    assert list(of(quantized, found)) == [
        "Let others run in int16",
        "Fit weights to the data",
        "Let tinsmith choose layers for int16",
    ]


def test_where_no_option_is_left_nothing_is_to_copy() -> None:
    quantized, _ = coarse(bits=16)
    action = Remedies(quantized).action("outliers", Variant("pairs", "output", "few", "a"), 0.9)
    assert (action.title, action.command) == ("Change the layer", "")


def test_what_cannot_be_scaled_goes_to_int16() -> None:
    """Outputs keep their values, and no factor passes a Sigmoid."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(-1, 1, (8, 8, 1, 1))
    weights[3] *= 50
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv"), helper.make_node("Sigmoid", ["y"], ["z"], "curve")]
    data = rng.uniform(-1, 1, (16, 8, 6, 6)).astype(np.float32)
    model = model_of(nodes, {"x": (1, 8, 6, 6)}, ["z"], {"w": weights})
    remedies = Remedies(tinsmith.quantize(model, data, "esp32p4", effort="fast"))
    for part, tensor in (("output", "y"), ("output", "z")):
        layer = "conv" if tensor == "y" else "curve"
        action = remedies.action("channel imbalance", Variant(layer, part, "channels", tensor), 0.9)  # type: ignore[arg-type]
        assert "--int16" in action.command
    planted = large_channel()
    remedies = Remedies(tinsmith.quantize(planted.model, planted.data, planted.target, effort="fast"))
    action = remedies.action("channel imbalance", Variant("first", "output", "channels", "a"), 0.9)
    assert action.command.endswith("--effort default -o DIR")


def test_operands_of_a_sum_have_the_same_factors() -> None:
    quantized = tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")
    action = Remedies(quantized).action("shared exponent", Variant("pointwise", "output", "own", "c3"), 0.9)
    assert action.command == again(("--int16", "pointwise", "--int16", "sum"))


def test_ranges_that_cut_off_too_much_are_chosen_by_least_error() -> None:
    planted = few_elements()
    quantized = tinsmith.quantize(
        planted.model, planted.data, planted.target, effort="fast", calibration="percentile", percentile=99.0
    )
    found = examined(quantized, planted.data)
    cause = found.causes["first"][0]
    assert cause.kind == "outliers"
    assert "of the elements of 'x' lie beyond" in cause.evidence
    assert cause.action.command.endswith("--calibration mse -o DIR")


def test_samples_that_calibration_has_not_seen() -> None:
    planted = differences()
    quantized = tinsmith.quantize(planted.model, planted.data / 30, planted.target, effort="fast")
    found = examined(quantized, planted.data)
    assert found.causes["pairs"][0].kind == "outliers"
    assert found.causes["pairs"][0].action.title == "Calibrate with samples like these"


def test_calibration_samples_are_not_asked_for_again() -> None:
    planted = differences()
    quantized = tinsmith.quantize(planted.model, planted.data / 30, planted.target, effort="fast")
    (first,) = opened(quantized, planted.data, 1)
    found = examined(replace(quantized, sample=first), planted.data)
    assert found.causes["pairs"][0].kind == "outliers"
    assert "--int16" in found.causes["pairs"][0].action.command


def test_a_trial_is_what_quantizing_gives() -> None:
    quantized, data = coarse(effort="fast")
    samples = list(opened(quantized, data, None))
    trial = Int16Trial(quantized, samples)
    assert trial.count == len(data)
    direct, _ = coarse(effort="fast", int16=("pairs", "taking"))
    assert trial.noise(["pairs", "taking"]) == pytest.approx(Int16Trial(direct, samples).before, rel=0.02)
    assert trial.noise([]) == pytest.approx(trial.before, rel=1e-9)


def test_what_the_chip_refuses_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    quantized, data = coarse(effort="fast")
    trial = Int16Trial(quantized, list(opened(quantized, data, 2)))

    def none(*given: object, **more: object) -> None:
        raise tinsmith.errors.QuantizationError("no exponents.")

    monkeypatch.setattr("tinsmith.report.int16_trial.choose_formats", none)
    assert trial.noise(["pairs"]) is None


def test_commands_are_quoted_as_shells_need_it() -> None:
    quantized, _ = coarse(effort="fast")
    words = again(in_int16(quantized, ["a b", "/f/f.0/Conv"]), Places("my net.onnx", "d.npy", "r.espdl", "out"))
    assert words == (
        "tinsmith quantize 'my net.onnx' --data d.npy --recipe r.espdl --int16 'a b' --int16 /f/f.0/Conv -o out"
    )
    assert again(()) == "tinsmith quantize MODEL --data DATA --recipe MODEL.espdl -o DIR"
    assert Places() == PLACES


def test_large_networks_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    quantized, data = coarse()
    monkeypatch.setattr(module, "SMALL", 10.0)
    assert "Search longer" not in of(quantized, examined(quantized, data))


def test_chosen_widths_are_no_longer_free() -> None:
    quantized, _ = coarse(effort="fast")
    placement = {name: replace(decision, chosen=name == "taking") for name, decision in quantized.placement.items()}
    assert isinstance(placement["pairs"], Decision)
    assert Remedies(replace(quantized, placement=placement)).wide("pairs", "output", "a") == ("pairs",)
