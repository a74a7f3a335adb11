"""What each option of esp-ppq leads to: the only place that knows.

`OPTIONS` is the table that the manual prints; `choices_of` does what it says.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import frexp, ldexp
from typing import Any

from tinsmith.compat.esp_ppq.api.setting import (
    BiasCorrectionSetting,
    ChannelSplitSetting,
    EqualizationSetting,
    GraphFormatSetting,
    QuantizationSetting,
    QuantizationSettingFactory,
    SSDEqualizationSetting,
)
from tinsmith.compat.esp_ppq.api.settings_base import Settings
from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.layer_names import LayerNames
from tinsmith.compat.esp_ppq.platforms import bits_of, known
from tinsmith.errors import RecipeError

TRAINING_RELEASE = "0.3"
"""The release that brings the training extra."""

OPTIONS: tuple[tuple[str, str], ...] = (
    ("no `setting`, or `espdl_setting()` as it is", 'effort `default` and `calibration = "mse"`'),
    ("`equalization`, its options at their defaults", "effort `default`, of which equalization is a part"),
    (
        "`equalization`, some of its options changed",
        "algorithms `classic_equalize` with exactly these options, then `round`",
    ),
    ("`ssd_equalization`", "effort `default`, which keeps equalization where the outputs gain; no options"),
    ("`weight_split`", "`[[split]]` with `layers`, `method` and `value_threshold`"),
    ("`channel_split`", '`[[split]]` with `method = "channels"`, `opt_level` and `value_threshold`'),
    ("`bias_correct`", "part of the effort, for all layers; names of layers are checked"),
    ("`calib_algorithm` left alone, `None`, `isotone`", '`calibration = "mse"`'),
    ("`calib_algorithm` `kl`, `minmax`, `percentile`, `mse`", "`calibration` of that name"),
    ("`calib_algorithm_per_layer`", "`[[scope]]` of the layer with its `calibration`"),
    ("`quantize_parameter_setting`", "none: weights have the exponents of least error"),
    ("`dispatching_table`, INT16 and INT8", "`int16`; `[[scope]]` with `bits = 8`"),
    ("`dispatching_table`, FP32", "refused"),
    ("`dispatcher`", "none: every layer runs in integers where the chip has a kernel"),
    ("`quant_config_modify`", "`[[scope]]` of the layer with its `exponent`; scales are powers of 2"),
    ("`fusion_setting.align_…`, `force_alignment_overlap`", "none: who shares an exponent has the one of least error"),
    ("`fusion`, others of `fusion_setting`", "refused where changed: the chip computes it this way"),
    ("`graph_format_setting`", "refused where changed"),
    ("`lut_optimization`, `convtranspose_decomposition`", "none: what is simulated is what the chip computes"),
    ("`tqt_optimization`, `lsq_optimization`", f"refused until release {TRAINING_RELEASE}"),
    ("`blockwise_reconstruction`", f"refused until release {TRAINING_RELEASE}"),
    ("`matrix_factorization`, `extension`", "refused"),
)
"""Option of esp-ppq, and what it leads to here: choices of a recipe."""

_CALIBRATIONS = ("kl", "minmax", "percentile", "mse")
_DISPATCHERS = ("allin", "conservative", "aggressive", "pointwise", "pplnn", "perseus", "pursus")
_TRAINED = {
    "tqt_optimization": "trained thresholds",
    "lsq_optimization": "learned steps",
    "blockwise_reconstruction": "reconstructed blocks",
}


@dataclass(slots=True)
class Mapped:
    """Arguments of `tinsmith.quantize`, and what to tell the user.

    Attributes:
        choices: By argument.
        notes: One line each.
    """

    choices: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, items: Sequence[Any]) -> None:
        """Append to an argument that takes several."""
        if items:
            self.choices[name] = (*self.choices.get(name, ()), *items)


def choices_of(setting: QuantizationSetting | None, names: LayerNames, bits: int) -> Mapped:
    """The arguments of `tinsmith.quantize` that a setting stands for.

    Args:
        setting: None for the defaults.
        names: Of the operators in the user's graph.
        bits: Of layers nothing else is said about.

    Raises:
        RecipeError: An option has a value that is unknown, names a layer that is not there, or cannot be had.
    """
    chosen: Any = setting if setting is not None else QuantizationSettingFactory.espdl_setting(bits)
    if not isinstance(chosen, QuantizationSetting):
        hint = "Start from QuantizationSettingFactory.espdl_setting()."
        raise RecipeError(f"is a {type(chosen).__name__}.", subject="setting", hint=hint)
    mapped = Mapped({"bits": bits})
    _refuse(chosen)
    _calibration(chosen, names, mapped)
    _equalization(chosen, names, mapped)
    _splits(chosen, names, mapped)
    _biases(chosen, names, mapped)
    dispatch(chosen.dispatching_table.dispatchings, names, mapped, bits)
    _fusion(chosen, mapped)
    dispatcher(chosen.dispatcher, mapped)
    return mapped


def _refuse(setting: QuantizationSetting) -> None:
    for option, what in _TRAINED.items():
        if getattr(setting, option):
            reason = f"{what} need gradients, which come with the training extra of tinsmith {TRAINING_RELEASE}."
            hint = "Leave it out: the default effort fits weights to the data without any."
            raise RecipeError(reason, subject=f"setting.{option}", hint=hint)
    for option in ("matrix_factorization", "extension"):
        if getattr(setting, option):
            raise RecipeError("is not available.", subject=f"setting.{option}", hint="Leave it out.")
    for option in ("quantize_activation", "quantize_parameter", "fusion", "espdl_attention_fusion"):
        if not getattr(setting, option):
            raise RecipeError("cannot be turned off: the chip computes it this way.", subject=f"setting.{option}")
    _unchanged(setting.graph_format_setting, GraphFormatSetting(), "graph_format_setting")


def _unchanged(given: Settings, default: Settings, where: str, *, but: Sequence[str] = ()) -> None:
    for name, value in given.changed(default).items():
        if name not in but:
            reason = f"{value!r} has no counterpart here."
            raise RecipeError(
                reason, subject=f"setting.{where}.{name}", hint=f"Leave it at {getattr(default, name)!r}."
            )


def _calibration(setting: QuantizationSetting, names: LayerNames, mapped: Mapped) -> None:
    activations, weights = setting.quantize_activation_setting, setting.quantize_parameter_setting
    if activations.given("calib_algorithm"):
        mapped.choices["calibration"] = _method(activations.calib_algorithm, "quantize_activation_setting", mapped)
    for layer, method in activations.calib_algorithm_per_layer.items():
        where = "quantize_activation_setting.calib_algorithm_per_layer"
        pattern = names.pattern(layer, f"setting.{where}")
        mapped.add("scopes", [{"layers": (pattern,), "calibration": _method(method, where, mapped)}])
    if setting.quant_config_modify:
        for layer, scale in setting.quant_config_modify_setting.custom_config.items():
            subject = f"custom_config of {layer!r}"
            pattern = names.pattern(layer, subject)
            mapped.add("scopes", [{"layers": (pattern,), "exponent": _exponent(scale, subject)}])
    if weights.given("calib_algorithm") or weights.calib_algorithm_per_layer:
        _method(weights.calib_algorithm, "quantize_parameter_setting", Mapped())
        names.patterns(weights.calib_algorithm_per_layer, "setting.quantize_parameter_setting")
        mapped.notes.append("quantize_parameter_setting: weights have the exponents of least error, whatever it says.")


def _method(method: str | None, where: str, mapped: Mapped) -> str:
    name = "mse" if method is None else str(method).lower()
    if name == "isotone":
        mapped.notes.append(f"{where}: 'isotone' is calibrated as 'mse'.")
        return "mse"
    if name not in _CALIBRATIONS:
        raise _unknown(method, (*_CALIBRATIONS, "isotone"), f"setting.{where}.calib_algorithm")
    return name


def _exponent(scale: Any, subject: str) -> int:
    """Of a scale that is a power of 2."""
    try:
        mantissa, exponent = frexp(float(scale))
    except (TypeError, ValueError):
        mantissa, exponent = 0.0, 0
    if mantissa != 0.5:
        nearest = "" if mantissa <= 0 else f" Near are {ldexp(0.5, exponent)!r} and {ldexp(1.0, exponent)!r}."
        raise RecipeError(
            f"{scale!r} is no power of 2.", subject=subject, hint=f"The chip has no other scales.{nearest}"
        )
    return exponent - 1


def _unknown(value: Any, known: Sequence[str], subject: str) -> RecipeError:
    close = difflib.get_close_matches(str(value).lower(), known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Choose one of {', '.join(map(repr, known))}."
    return RecipeError(f"there is no {value!r}.", subject=subject, hint=hint)


def _equalization(setting: QuantizationSetting, names: LayerNames, mapped: Mapped) -> None:
    if setting.ssd_equalization:
        _unchanged(setting.ssd_setting, SSDEqualizationSetting(), "ssd_setting")
    given = setting.equalization_setting
    changed = given.changed(EqualizationSetting())
    if changed.get("interested_layers", ()) is None:
        changed.pop("interested_layers")
    if not setting.equalization or not changed:
        return
    options: dict[str, Any] = {
        "iterations": given.iterations,
        "value_threshold": float(given.value_threshold),
        "opt_level": given.opt_level,
        "including_bias": given.including_bias,
        "including_act": given.including_act,
        "interested_layers": names.patterns(given.interested_layers, "setting.equalization_setting.interested_layers"),
    }
    options |= {"bias_multiplier": float(given.bias_multiplier)} if given.including_bias else {}
    options |= {"act_multiplier": float(given.act_multiplier)} if given.including_act else {}
    mapped.choices |= {"algorithms": ("classic_equalize", "round"), "equalization": options}


def _splits(setting: QuantizationSetting, names: LayerNames, mapped: Mapped) -> None:
    if setting.weight_split:
        split = setting.weight_split_setting
        layers = names.patterns(split.interested_layers, "setting.weight_split_setting.interested_layers")
        if split.method not in ("balance", "random"):
            raise _unknown(split.method, ("balance", "random"), "setting.weight_split_setting.method")
        if layers:
            table = {"layers": layers, "method": split.method, "value_threshold": float(split.value_threshold)}
            mapped.add("splits", [table])
        else:
            mapped.notes.append("weight_split: no layer is split; name some in weight_split_setting.interested_layers.")
    if setting.channel_split:
        channels = setting.channel_split_setting
        allowed = ("opt_level", "value_threshold", "interested_layers")
        _unchanged(channels, ChannelSplitSetting(), "channel_split_setting", but=allowed)
        layers = names.patterns(channels.interested_layers, "setting.channel_split_setting.interested_layers")
        table = {"layers": layers or (".",), "method": "channels", "opt_level": channels.opt_level}
        mapped.add("splits", [{**table, "value_threshold": float(channels.value_threshold)}])


def _biases(setting: QuantizationSetting, names: LayerNames, mapped: Mapped) -> None:
    if not setting.bias_correct:
        return
    given = setting.bias_correct_setting
    if names.patterns(given.interested_layers, "setting.bias_correct_setting.interested_layers"):
        mapped.notes.append("bias_correct: biases of all layers are corrected, those named and the others.")
    for name in given.changed(BiasCorrectionSetting()):
        if name in ("block_size", "steps"):
            mapped.notes.append(f"bias_correct_setting.{name} has no effect: biases are fitted to all samples at once.")


def dispatch(platforms: Mapping[str, Any], names: LayerNames, mapped: Mapped, bits: int) -> None:
    """Widths of layers by name.

    Args:
        platforms: By operator name.
        names: Of the operators in the user's graph.
        mapped: What to add to.
        bits: Of all other layers.
    """
    for name, platform in platforms.items():
        subject = f"dispatching of {name!r}"
        width = bits_of(platform, subject)
        pattern = names.pattern(name, subject)
        if known(platform) is TargetPlatform.SOI:
            mapped.notes.append(f"{subject} to SOI has no effect: what computes shapes is computed beforehand.")
        if width is None or width == bits:
            continue
        if name in names.gone:
            mapped.notes.append(f"{subject} has no effect: nothing is left of it in the network that runs.")
        else:
            mapped.add("int16", [pattern]) if width == 16 else mapped.add("scopes", [{"layers": (pattern,), "bits": 8}])


def _fusion(setting: QuantizationSetting, mapped: Mapped) -> None:
    given, default = setting.fusion_setting, QuantizationSettingFactory.espdl_setting().fusion_setting
    aligned = [name for name in vars(given) if name.startswith("align_") and name != "align_quantization"]
    noted = (*aligned, "force_alignment_overlap")
    _unchanged(given, default, "fusion_setting", but=noted)
    for name in (name for name in given.changed(default) if given.given(name)):
        mapped.notes.append(f"fusion_setting.{name}: values that must share an exponent take the one of least error.")
    for name in ("lut_optimization", "convtranspose_decomposition"):
        if setting.given(name):
            mapped.notes.append(f"{name} has no effect: what is simulated is what the chip computes.")
    for name in ("step", "target_ops"):
        if setting.lut_optimization_setting.given(name):
            mapped.notes.append(
                f"lut_optimization_setting.{name}: int16 functions are computed as the chip does, always."
            )


def dispatcher(name: Any, mapped: Mapped) -> None:
    """Check the name of a dispatcher, none of which has an effect.

    Raises:
        RecipeError: There is none of that name.
    """
    if str(name).lower() not in _DISPATCHERS:
        raise _unknown(name, _DISPATCHERS, "dispatching_method")
    if str(name).lower() not in ("allin", "conservative"):
        mapped.notes.append(f"dispatching_method {name!r}: every layer runs in integers where the chip has a kernel.")
