"""What each option of a setting becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tinsmith.compat.esp_ppq.api import QuantizationSetting, QuantizationSettingFactory
from tinsmith.compat.esp_ppq.core import TargetPlatform
from tinsmith.compat.esp_ppq.layer_names import LayerNames
from tinsmith.compat.esp_ppq.mapping import OPTIONS, TRAINING_RELEASE, Mapped, choices_of
from tinsmith.errors import RecipeError
from tinsmith.recipe import Recipe

NAMES = LayerNames(
    ("conv1", "relu1", "shape", "conv2", "/conv/conv.0/conv.0.0/Conv", "gemm"),
    frozenset({"conv", "conv.0", "conv.0.0"}),
    frozenset({"shape"}),
)


def changed(change: Callable[[QuantizationSetting], Any], bits: int = 8) -> Mapped:
    """What a changed setting becomes; the recipe must take it."""
    setting = QuantizationSettingFactory.espdl_setting(bits)
    change(setting)
    mapped = choices_of(setting, NAMES, bits)
    Recipe.of(**mapped.choices)
    return mapped


def test_no_setting_and_the_default_are_the_default_effort() -> None:
    assert choices_of(None, NAMES, 8).choices == {"bits": 8}
    for bits in (8, 16):
        mapped = changed(lambda _: None, bits)
        assert (mapped.choices, mapped.notes) == ({"bits": bits}, [])
    assert choices_of(QuantizationSetting(), NAMES, 8).choices == {"bits": 8}


@pytest.mark.parametrize(
    ("given", "expected"),
    [("kl", "kl"), ("minmax", "minmax"), ("percentile", "percentile"), ("MSE", "mse"), (None, "mse")],
)
def test_calibration(given: str | None, expected: str) -> None:
    mapped = changed(lambda s: setattr(s.quantize_activation_setting, "calib_algorithm", given))
    assert mapped.choices == {"bits": 8, "calibration": expected}
    assert mapped.notes == []


def test_isotone_is_mse_with_a_note() -> None:
    mapped = changed(lambda s: setattr(s.quantize_activation_setting, "calib_algorithm", "isotone"))
    assert mapped.choices["calibration"] == "mse"
    assert len(mapped.notes) == 1
    assert "'isotone'" in mapped.notes[0]


def test_calibration_of_a_layer() -> None:
    layers = {"conv1": "minmax"}
    mapped = changed(lambda s: setattr(s.quantize_activation_setting, "calib_algorithm_per_layer", layers))
    assert mapped.choices["scopes"] == ({"layers": ("^conv1$",), "calibration": "minmax"},)


def test_scales_by_hand_are_powers_of_two() -> None:
    def change(scale: Any) -> Callable[[QuantizationSetting], None]:
        def set_it(setting: QuantizationSetting) -> None:
            setting.quant_config_modify = True
            setting.quant_config_modify_setting.custom_config = {"conv1": scale}

        return set_it

    assert changed(change(0.0625)).choices["scopes"] == ({"layers": ("^conv1$",), "exponent": -4},)
    for scale, message in ((0.1, r"0.1 is no power of 2.*0.0625 and 0.125"), (0, "is no power"), ("x", "is no power")):
        with pytest.raises(RecipeError, match=message):
            changed(change(scale))


def test_calibration_of_weights_is_noted() -> None:
    mapped = changed(lambda s: setattr(s.quantize_parameter_setting, "calib_algorithm", "minmax"))
    assert mapped.choices == {"bits": 8}
    assert "least error" in mapped.notes[0]


def test_plain_equalization_is_part_of_the_effort() -> None:
    def change(setting: QuantizationSetting) -> None:
        setting.equalization = True
        setting.equalization_setting.interested_layers = None

    assert changed(change).choices == {"bits": 8}


def test_equalization_with_options_is_exactly_that() -> None:
    def change(setting: QuantizationSetting) -> None:
        setting.equalization = True
        setting.equalization_setting.iterations = 4
        setting.equalization_setting.value_threshold = 0.4
        setting.equalization_setting.opt_level = 2
        setting.equalization_setting.including_bias = True
        setting.equalization_setting.interested_layers = ["conv1", "conv.0.0"]

    choices = changed(change).choices
    assert choices["algorithms"] == ("classic_equalize", "round")
    assert choices["equalization"] == {
        "iterations": 4,
        "value_threshold": 0.4,
        "opt_level": 2,
        "including_bias": True,
        "bias_multiplier": 0.5,
        "including_act": False,
        "interested_layers": ("^conv1$", r"^conv\.0\.0$"),
    }


def test_options_of_equalization_without_it_do_nothing() -> None:
    assert changed(lambda s: setattr(s.equalization_setting, "iterations", 4)).choices == {"bits": 8}


def test_weight_split() -> None:
    def change(setting: QuantizationSetting) -> None:
        setting.weight_split = True
        setting.weight_split_setting.interested_layers = ["conv2"]
        setting.weight_split_setting.value_threshold = 1
        setting.weight_split_setting.method = "random"

    expected = {"layers": ("^conv2$",), "method": "random", "value_threshold": 1.0}
    assert changed(change).choices["splits"] == (expected,)


def test_weight_split_of_no_layers_does_nothing_and_says_so() -> None:
    mapped = changed(lambda s: setattr(s, "weight_split", True))
    assert mapped.choices == {"bits": 8}
    assert "no layer is split" in mapped.notes[0]


def test_channel_split_is_of_all_layers_where_none_is_named() -> None:
    mapped = changed(lambda s: setattr(s, "channel_split", True))
    expected = {"layers": (".",), "method": "channels", "opt_level": 1, "value_threshold": 0.5}
    assert mapped.choices["splits"] == (expected,)


def test_bias_correction_is_part_of_the_effort() -> None:
    def change(setting: QuantizationSetting) -> None:
        setting.bias_correct = True
        setting.bias_correct_setting.interested_layers = ["gemm"]
        setting.bias_correct_setting.steps = 8

    mapped = changed(change)
    assert mapped.choices == {"bits": 8}
    assert ["biases of all layers" in mapped.notes[0], "steps has no effect" in mapped.notes[1]] == [True, True]


def test_ssd_equalization_is_the_effort() -> None:
    assert changed(lambda s: setattr(s, "ssd_equalization", True)).choices == {"bits": 8}


def test_dispatching() -> None:
    def change(setting: QuantizationSetting) -> None:
        setting.dispatching_table.append("conv1", TargetPlatform.ESPDL_S3_INT16)
        setting.dispatching_table.append("conv.0", TargetPlatform.ESPDL_INT16)
        setting.dispatching_table.append("gemm", TargetPlatform.ESPDL_INT8)
        setting.dispatching_table.append("relu1", TargetPlatform.SOI)

    assert changed(change).choices == {
        "bits": 8,
        "int16": ("^conv1$", r"^conv\.0$"),
    }
    assert changed(change, bits=16).choices == {"bits": 16, "scopes": ({"layers": ("^gemm$",), "bits": 8},)}


def test_dispatching_what_is_gone_is_noted() -> None:
    mapped = changed(lambda s: s.dispatching_table.append("shape", TargetPlatform.ESPDL_INT16))
    assert mapped.choices == {"bits": 8}
    assert "'shape' has no effect" in mapped.notes[0]
    assert changed(lambda s: s.dispatching_table.append("shape", TargetPlatform.ESPDL_INT8)).notes == []
    assert "to SOI has no effect" in changed(lambda s: s.dispatching_table.append("conv", TargetPlatform.SOI)).notes[0]


def test_alignment_is_noted() -> None:
    mapped = changed(lambda s: setattr(s.fusion_setting, "align_elementwise_to", "Align to Large"))
    assert mapped.choices == {"bits": 8}
    assert "fusion_setting.align_elementwise_to" in mapped.notes[0]


@pytest.mark.parametrize("option", ["tqt_optimization", "lsq_optimization", "blockwise_reconstruction"])
def test_training_names_the_release(option: str) -> None:
    with pytest.raises(RecipeError, match=rf"setting.{option}: .*tinsmith {TRAINING_RELEASE}.*Leave it out"):
        changed(lambda s: setattr(s, option, True))


REFUSED: list[tuple[Callable[[QuantizationSetting], Any], str]] = [
    (lambda s: setattr(s, "matrix_factorization", True), "setting.matrix_factorization: is not available"),
    (lambda s: setattr(s, "extension", True), "setting.extension: is not available"),
    (lambda s: setattr(s, "fusion", False), "setting.fusion: cannot be turned off"),
    (lambda s: setattr(s, "quantize_parameter", False), "setting.quantize_parameter: cannot be turned off"),
    (lambda s: setattr(s.graph_format_setting, "fuse_conv_bn", False), "graph_format_setting.fuse_conv_bn: False"),
    (lambda s: setattr(s.fusion_setting, "fuse_activation", False), "fusion_setting.fuse_activation: False"),
    (lambda s: setattr(s, "dispatcher", "allinn"), "there is no 'allinn'. Did you mean 'allin'"),
    (
        lambda s: setattr(s.quantize_activation_setting, "calib_algorithm", "minmx"),
        "there is no 'minmx'. Did you mean 'minmax'",
    ),
    (lambda s: s.dispatching_table.append("conv3", 552), "no operator 'conv3'. Did you mean 'conv"),
    (lambda s: s.dispatching_table.append("conv1", TargetPlatform.FP32), "FP32: layers run in int8 or int16"),
    (lambda s: s.dispatching_table.append("conv1", TargetPlatform.ESPDL_W8A16), "w8a16"),
    (lambda s: s.dispatching_table.append("conv1", TargetPlatform.TRT_INT8), "TRT_INT8 is no platform of ESP-DL"),
    (lambda s: s.dispatching_table.append("conv1", 12345), "there is no platform 12345"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_refusals(change: Callable[[QuantizationSetting], Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        changed(change)


def test_options_within_a_switch_are_refused_with_it() -> None:
    def ssd(setting: QuantizationSetting) -> None:
        setting.ssd_equalization = True
        setting.ssd_setting.iteration = 5

    def channels(setting: QuantizationSetting) -> None:
        setting.channel_split = True
        setting.channel_split_setting.including_bias = True

    def method(setting: QuantizationSetting) -> None:
        setting.weight_split = True
        setting.weight_split_setting.method = "balanced"

    for change, message in (
        (ssd, "ssd_setting.iteration: 5 has no counterpart.*Leave it at 3"),
        (channels, "channel_split_setting.including_bias"),
        (method, "Did you mean 'balance'"),
    ):
        with pytest.raises(RecipeError, match=message):
            changed(change)


def test_a_dictionary_is_no_setting() -> None:
    with pytest.raises(RecipeError, match=r"is a dict.*espdl_setting"):
        choices_of({}, NAMES, 8)  # type: ignore[arg-type]


def test_the_table_names_every_switch() -> None:
    text = " ".join(option for option, _ in OPTIONS)
    switches = [name for name, value in vars(QuantizationSetting()).items() if isinstance(value, bool)]
    aside = {"quantize_activation", "quantize_parameter", "espdl_attention_fusion", "convtranspose_decomposition"}
    assert [name for name in switches if name not in text and name not in aside] == []
