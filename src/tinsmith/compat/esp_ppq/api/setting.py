"""`QuantizationSetting` and its parts, under the names and with the defaults of esp-ppq.

What each option leads to is in `tinsmith.compat.esp_ppq.mapping`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinsmith import __version__
from tinsmith.compat.esp_ppq.api.settings_base import Settings
from tinsmith.compat.esp_ppq.core.quant import QuantizationVisibility, TargetPlatform
from tinsmith.errors import RecipeError

_GIVEN = "given"
"""Under which JSON has the names of the options that were set."""


@dataclass(eq=False)
class GraphFormatSetting(Settings):
    """How the graph is brought into form."""

    format_constant_op: bool = True
    fuse_conv_bn: bool = True
    fuse_swish: bool = True
    format_paramters: bool = True
    format_cast: bool = True
    delete_isolate: bool = True


@dataclass(eq=False)
class _ChannelSetting(Settings):
    """What the methods have in common that compare the ranges of channels."""

    opt_level: int = 1
    iterations: int = 10
    value_threshold: float = 0.5
    including_bias: bool = False
    bias_multiplier: float = 0.5
    including_act: bool = False
    act_multiplier: float = 0.5
    interested_layers: list[str] | None = field(default_factory=list)


@dataclass(eq=False)
class EqualizationSetting(_ChannelSetting):
    """Of equalization between layers."""


@dataclass(eq=False)
class SSDEqualizationSetting(Settings):
    """Of equalization that is kept where a loss falls."""

    opt_level: int = 1
    channel_ratio: float = 0.5
    loss_threshold: float = 0.8
    layer_norm: bool = False
    iteration: int = 3


@dataclass(eq=False)
class WeightSplitSetting(Settings):
    """Of the horizontal layer split."""

    interested_layers: list[str] | None = field(default_factory=list)
    value_threshold: float = 2.0
    method: str = "balance"


@dataclass(eq=False)
class ChannelSplitSetting(_ChannelSetting):
    """Of the channel split."""


@dataclass(eq=False)
class MatrixFactorizationSetting(Settings):
    """Of matrix factorization."""

    interested_layers: list[str] | None = field(default_factory=list)
    method: str = "svd"


@dataclass(eq=False)
class BiasCorrectionSetting(Settings):
    """Of bias correction."""

    interested_layers: list[str] | None = field(default_factory=list)
    block_size: int = 4
    steps: int = 32
    collecting_device: str = "executor"


@dataclass(eq=False)
class ActivationQuantizationSetting(Settings):
    """How exponents of activations are chosen."""

    calib_algorithm: str | None = None
    calib_algorithm_per_layer: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class ParameterQuantizationSetting(Settings):
    """How exponents of weights are chosen."""

    calib_algorithm: str | None = None
    calib_algorithm_per_layer: dict[str, str] = field(default_factory=dict)
    quantize_passive_parameter: bool = True
    clip_visiblity: QuantizationVisibility = QuantizationVisibility.INTERNAL
    pad_visiblity: QuantizationVisibility = QuantizationVisibility.INTERNAL
    baking_parameter: bool = True


@dataclass(eq=False)
class QuantConfigModifySetting(Settings):
    """Scales of outputs by hand: by operator name."""

    custom_config: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class QuantizationFusionSetting(Settings):
    """What is computed in one step, and who shares an exponent with whom."""

    remove_useless_quantization: bool = True
    fuse_activation: bool = True
    fuse_passive_op: bool = True
    align_quantization: bool = True
    align_avgpooling_to: str = "None"
    align_elementwise_to: str = "Align to Large"
    align_concat_to: str = "Align to Output"
    align_resize_to: str = "Align to Output"
    force_alignment_overlap: bool = True


@dataclass(eq=False)
class LUTOptimizationSetting(Settings):
    """Of the tables of int16 functions."""

    step: int = 32
    target_ops: list[str] | None = None


@dataclass(eq=False)
class TQTSetting(Settings):
    """Of trained thresholds, and of learned steps."""

    interested_layers: list[str] | None = field(default_factory=list)
    lr: float = 1e-5
    collecting_device: str = "cpu"
    steps: int = 500
    is_scale_trainable: bool = True
    gamma: float = 0.0
    block_size: int = 4
    int_lambda: float = 0.0


@dataclass(eq=False)
class LSQSetting(TQTSetting):
    """Of learned steps."""


@dataclass(eq=False)
class BlockwiseReconstructionSetting(Settings):
    """Of the reconstruction of blocks."""

    interested_layers: list[str] | None = field(default_factory=list)
    is_scale_trainable: bool = False
    lr: float = 1e-3
    steps: int = 5000
    gamma: float = 1.0
    collecting_device: str = "cpu"
    block_size: int = 4


@dataclass(eq=False)
class TemplateSetting(Settings):
    """Of extensions."""

    my_first_parameter: str = ""


@dataclass(eq=False)
class DispatchingTable(Settings):
    """Which operators run elsewhere, or wider, than the rest.

    Attributes:
        dispatchings: Numbers of platforms by operator name.
    """

    dispatchings: dict[str, int] = field(default_factory=dict)

    def append(self, operation: str, platform: int | TargetPlatform) -> None:
        """Choose the platform of an operator.

        Args:
            operation: Its name in the ONNX graph, or a module path.
            platform: From `get_target_platform`.

        Raises:
            RecipeError: It is no platform.
        """
        if isinstance(platform, bool) or not isinstance(platform, (int, TargetPlatform)):
            reason = f"{platform!r} is no platform."
            hint = "Use get_target_platform(target, 8) or get_target_platform(target, 16)."
            raise RecipeError(reason, subject=f"dispatching of {operation!r}", hint=hint)
        self.dispatchings[operation] = platform.value if isinstance(platform, TargetPlatform) else platform

    def take(self, options: Mapping[str, Any], where: str = "setting") -> None:
        """As of all settings; the examples that esp-ppq writes into its own files are left out."""
        found = options.get("dispatchings", {})
        self.dispatchings = {name: value for name, value in found.items() if isinstance(value, int)}
        for name in [name for name in self.dispatchings if name.endswith("OPERATION NAME")]:
            del self.dispatchings[name]


@dataclass(eq=False)
class QuantizationSetting(Settings):
    """Everything that can be chosen."""

    dispatcher: str = "conservative"
    graph_format_setting: GraphFormatSetting = field(default_factory=GraphFormatSetting)
    ssd_equalization: bool = False
    ssd_setting: SSDEqualizationSetting = field(default_factory=SSDEqualizationSetting)
    equalization: bool = False
    equalization_setting: EqualizationSetting = field(default_factory=EqualizationSetting)
    weight_split: bool = False
    weight_split_setting: WeightSplitSetting = field(default_factory=WeightSplitSetting)
    channel_split: bool = False
    channel_split_setting: ChannelSplitSetting = field(default_factory=ChannelSplitSetting)
    matrix_factorization: bool = False
    matrix_factorization_setting: MatrixFactorizationSetting = field(default_factory=MatrixFactorizationSetting)
    quantize_activation: bool = True
    quantize_activation_setting: ActivationQuantizationSetting = field(default_factory=ActivationQuantizationSetting)
    quant_config_modify: bool = False
    quant_config_modify_setting: QuantConfigModifySetting = field(default_factory=QuantConfigModifySetting)
    quantize_parameter: bool = True
    quantize_parameter_setting: ParameterQuantizationSetting = field(default_factory=ParameterQuantizationSetting)
    lsq_optimization: bool = False
    lsq_optimization_setting: LSQSetting = field(default_factory=LSQSetting)
    tqt_optimization: bool = False
    tqt_optimization_setting: TQTSetting = field(default_factory=TQTSetting)
    blockwise_reconstruction: bool = False
    blockwise_reconstruction_setting: BlockwiseReconstructionSetting = field(
        default_factory=BlockwiseReconstructionSetting
    )
    bias_correct: bool = False
    bias_correct_setting: BiasCorrectionSetting = field(default_factory=BiasCorrectionSetting)
    fusion: bool = True
    fusion_setting: QuantizationFusionSetting = field(default_factory=QuantizationFusionSetting)
    espdl_attention_fusion: bool = True
    lut_optimization: bool = True
    lut_optimization_setting: LUTOptimizationSetting = field(default_factory=LUTOptimizationSetting)
    extension: bool = False
    extension_setting: TemplateSetting = field(default_factory=TemplateSetting)
    convtranspose_decomposition: bool = True
    version: str = __version__
    signature: str = "tinsmith"
    dispatching_table: DispatchingTable = field(default_factory=DispatchingTable)

    def to_json(self) -> str:
        """Every option as JSON text, and which were set rather than left at their defaults."""
        text = {**self.plain(), _GIVEN: self.all_given()}
        return json.dumps(text, sort_keys=True, indent=4, ensure_ascii=False)


class QuantizationSettingFactory:
    """Settings to start from."""

    @staticmethod
    def default_setting() -> QuantizationSetting:
        """The plain defaults."""
        return QuantizationSetting()

    @staticmethod
    def espdl_setting(num_of_bits: int = 8) -> QuantizationSetting:
        """The defaults for ESP-DL.

        Args:
            num_of_bits: 8 or 16.
        """
        setting = QuantizationSetting()
        setting.quantize_parameter_setting.clip_visiblity = QuantizationVisibility.EXPORT_WHEN_ACTIVE
        setting.quantize_parameter_setting.pad_visiblity = QuantizationVisibility.EXPORT_WHEN_ACTIVE
        setting.quantize_parameter_setting.baking_parameter = False
        setting.quantize_activation_setting.calib_algorithm = "kl"
        setting.fusion_setting.align_elementwise_to = "Align to Output"
        setting.fusion_setting.force_alignment_overlap = False
        setting.dispatcher = "allin"
        if num_of_bits == 16:
            setting.quantize_parameter_setting.calib_algorithm = "minmax"
            setting.quantize_activation_setting.calib_algorithm = "minmax"
        setting.settle()
        return setting

    @staticmethod
    def from_json(json_obj: str | Mapping[str, Any]) -> QuantizationSetting:
        """A setting from what `QuantizationSetting.to_json` gave, here or in esp-ppq.

        Raises:
            RecipeError: It is no JSON object, or there is no such option.
        """
        try:
            options = json.loads(json_obj) if isinstance(json_obj, str) else json_obj
        except ValueError as error:
            raise RecipeError(f"is no JSON: {error}.", subject="setting") from error
        if not isinstance(options, Mapping):
            raise RecipeError(f"is a {type(options).__name__}, not an object.", subject="setting")
        setting = QuantizationSettingFactory.espdl_setting()
        setting.take({name: value for name, value in options.items() if name != _GIVEN})
        given = options.get(_GIVEN, [])
        setting.mark(name for name in given if isinstance(name, str))
        return setting
