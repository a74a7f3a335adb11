"""Settings: defaults, what they refuse, and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.compat.esp_ppq.api import DispatchingTable, QuantizationSetting, QuantizationSettingFactory
from tinsmith.compat.esp_ppq.api.setting import EqualizationSetting
from tinsmith.compat.esp_ppq.core import QuantizationVisibility, TargetPlatform
from tinsmith.errors import RecipeError

EQUALIZATION = {
    "iterations": 10,
    "value_threshold": 0.5,
    "opt_level": 1,
    "including_bias": False,
    "bias_multiplier": 0.5,
    "including_act": False,
    "act_multiplier": 0.5,
    "interested_layers": [],
}
TRAINING = {
    "interested_layers": [],
    "lr": 1e-5,
    "steps": 500,
    "block_size": 4,
    "is_scale_trainable": True,
    "gamma": 0,
    "int_lambda": 0,
    "collecting_device": "cpu",
}
DEFAULTS: dict[str, Any] = {
    "dispatcher": "allin",
    "equalization": False,
    "equalization_setting": EQUALIZATION,
    "weight_split": False,
    "weight_split_setting": {"interested_layers": [], "value_threshold": 2.0, "method": "balance"},
    "channel_split": False,
    "channel_split_setting": EQUALIZATION,
    "ssd_equalization": False,
    "bias_correct": False,
    "bias_correct_setting": {"interested_layers": [], "block_size": 4, "steps": 32},
    "lsq_optimization": False,
    "lsq_optimization_setting": TRAINING,
    "tqt_optimization": False,
    "tqt_optimization_setting": TRAINING,
    "blockwise_reconstruction": False,
    "blockwise_reconstruction_setting": {
        "lr": 1e-3,
        "steps": 5000,
        "gamma": 1.0,
        "block_size": 4,
        "is_scale_trainable": False,
    },
    "quantize_activation_setting": {"calib_algorithm": "kl"},
    "quantize_parameter_setting": {
        "calib_algorithm": None,
        "baking_parameter": False,
        "clip_visiblity": QuantizationVisibility.EXPORT_WHEN_ACTIVE,
    },
    "fusion_setting": {
        "align_elementwise_to": "Align to Output",
        "align_concat_to": "Align to Output",
        "align_avgpooling_to": "None",
        "align_resize_to": "Align to Output",
        "force_alignment_overlap": False,
    },
    "quant_config_modify": False,
    "quant_config_modify_setting": {"custom_config": {}},
    "dispatching_table": {"dispatchings": {}},
}


@pytest.mark.parametrize("option", DEFAULTS)
def test_defaults(option: str) -> None:
    found, expected = getattr(QuantizationSettingFactory.espdl_setting(), option), DEFAULTS[option]
    if isinstance(expected, dict):
        assert {name: getattr(found, name) for name in expected} == expected
    else:
        assert found == expected


def test_sixteen_bits_start_from_the_extremes() -> None:
    setting = QuantizationSettingFactory.espdl_setting(num_of_bits=16)
    assert setting.quantize_activation_setting.calib_algorithm == "minmax"
    assert setting.quantize_parameter_setting.calib_algorithm == "minmax"


def test_unknown_options_are_told_the_closest_one() -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    with pytest.raises(RecipeError, match=r"no option 'equalisation'. Did you mean 'equalization'"):
        setting.equalisation = True
    with pytest.raises(RecipeError, match=r"EqualizationSetting: there is no option 'iteration'.*'iterations'"):
        setting.equalization_setting.iteration = 4
    with pytest.raises(RecipeError, match=r"there is no option 'x'. Options: dispatchings"):
        setting.dispatching_table.x = 1


def test_a_part_is_replaced_by_its_like_only() -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    setting.equalization_setting = EqualizationSetting(iterations=3)
    assert setting.equalization_setting.iterations == 3
    with pytest.raises(RecipeError, match="equalization_setting is a bool, not a EqualizationSetting"):
        setting.equalization_setting = True


def test_what_was_set_is_known() -> None:
    setting = QuantizationSettingFactory.espdl_setting().quantize_activation_setting
    assert not setting.given("calib_algorithm")
    setting.calib_algorithm = "kl"
    assert setting.given("calib_algorithm")


def test_dispatching_takes_platforms_and_their_numbers() -> None:
    table = DispatchingTable()
    table.append("a", TargetPlatform.ESPDL_INT16)
    table.append("b", 553)
    assert table.dispatchings == {"a": 552, "b": 553}
    with pytest.raises(RecipeError, match=r"'int16' is no platform.*get_target_platform"):
        table.append("c", "int16")


def test_json_goes_around() -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    setting.equalization = True
    setting.equalization_setting.iterations = 4
    setting.equalization_setting.interested_layers = ["conv"]
    setting.dispatching_table.append("conv", TargetPlatform.ESPDL_S3_INT16)
    setting.quantize_parameter_setting.clip_visiblity = QuantizationVisibility.FORCE_EXPORT
    again = QuantizationSettingFactory.from_json(setting.to_json())
    assert isinstance(again, QuantizationSetting)
    assert again.plain() == setting.plain()
    assert again.equalization_setting.given("iterations")
    assert not again.quantize_activation_setting.given("calib_algorithm")
    setting.quantize_activation_setting.calib_algorithm = "kl"
    again = QuantizationSettingFactory.from_json(setting.to_json())
    assert again.quantize_activation_setting.given("calib_algorithm")


_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda n: "OPERATION NAME" not in n)


@given(
    dispatchings=st.dictionaries(_NAMES, st.sampled_from(TargetPlatform), max_size=4),
    layers=st.none() | st.lists(_NAMES, max_size=3),
    threshold=st.floats(0, 100, allow_nan=False),
    method=st.sampled_from(["kl", "mse", None]),
)
def test_any_json_goes_around(
    dispatchings: dict[str, TargetPlatform], layers: list[str] | None, threshold: float, method: str | None
) -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    for name, platform in dispatchings.items():
        setting.dispatching_table.append(name, platform)
    setting.equalization_setting.interested_layers = layers
    setting.equalization_setting.value_threshold = threshold
    setting.quantize_activation_setting.calib_algorithm = method
    again = QuantizationSettingFactory.from_json(setting.to_json())
    assert again.plain() == setting.plain()
    assert set(setting.all_given()) <= set(again.all_given())
    assert again.quantize_activation_setting.given("calib_algorithm"), "be it to its default"


def test_json_of_the_other_tool_is_read() -> None:
    theirs = {
        "equalization": True,
        "version": "0.6.6",
        "signature": "PPL Quantization Tool",
        "quantize_parameter_setting": {"pad_visiblity": {"__ppq_enum__": "QuantizationVisibility", "name": "INTERNAL"}},
        "dispatching_table": {
            "intro_0": "text",
            "attention": "text",
            "dispatchings": {
                "YOUR OEPRATION NAME": "TARGET PLATFORM(INT)",
                "FP32 OPERATION NAME": 0,
                "conv": 552,
            },
        },
    }
    setting = QuantizationSettingFactory.from_json(json.dumps(theirs))
    assert setting.equalization is True
    assert setting.quantize_parameter_setting.pad_visiblity is QuantizationVisibility.INTERNAL
    assert setting.dispatching_table.dispatchings == {"conv": 552}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "is a list, not an object"),
        ('{"equalisation": true}', "Did you mean 'equalization'"),
        ('{"equalization_setting": {"iteration": 1}}', "Did you mean 'iterations'"),
        (
            '{"quantize_parameter_setting": {"pad_visiblity": {"__ppq_enum__": "X", "name": "Y"}}}',
            "there is no X.Y",
        ),
    ],
)
def test_json_that_is_wrong_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        QuantizationSettingFactory.from_json(text)
