"""esp-ppq's passes: each says what it stands for in a `QuantizationSetting`, which says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting
from tinsmith.compat.esp_ppq.core.quant import QuantizationVisibility
from tinsmith.compat.esp_ppq.quantization.optim.base import QuantizationOptimizationPass
from tinsmith.errors import RecipeError

Layers = Sequence[str] | None


@dataclass(eq=False)
class _Pass(QuantizationOptimizationPass):
    """A pass with options."""

    def __post_init__(self) -> None:
        self.name = type(self).__name__

    def _changed(self, *names: str) -> dict[str, Any]:
        """Of these options, those that are not at their defaults."""
        plain = {one.name: one.default for one in fields(self) if one.default is not MISSING}
        return {name: getattr(self, name) for name in names if getattr(self, name) != plain.get(name)}

    def _refuse(self, *names: str) -> None:
        for name, value in self._changed(*names).items():
            raise RecipeError(
                f"{value!r} has no counterpart here.", subject=f"{self.name}.{name}", hint="Leave it out."
            )


class _ByItself(QuantizationOptimizationPass):
    """What tinsmith does in any case."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(type(self).__name__)


class QuantizeSimplifyPass(_ByItself):
    """Of no effect: formats are chosen per value, so that none is useless."""


class QuantizeFusionPass(_ByItself):
    """Of no effect: what the chip computes in one step is rounded once."""


class PassiveParameterQuantizePass(_ByItself):
    """Of no effect: biases follow from inputs and weights."""

    process_clip = process_bias = process_pad = True
    clip_visiblity = pad_visiblity = QuantizationVisibility.INTERNAL


class ParameterBakingPass(_ByItself):
    """Of no effect: files hold integers."""


class ConvTransposeDecompositionPass(_ByItself):
    """Of no effect: transposed convolutions run as the chip has them."""


class GRUSplitPass(_ByItself):
    """Of no effect: recurrent layers run as the chip has them."""


class MishFusionPass(_ByItself):
    """Of no effect: functions of one variable are found by value."""


class SwishFusionPass(_ByItself):
    """Of no effect: functions of one variable are found by value."""


class EspdlAttentionFusionPass(_ByItself):
    """Of no effect: attention is computed from the operators the chip has."""


class EspdlAttentionLegalizePass(_ByItself):
    """Of no effect: attention is computed from the operators the chip has."""


@dataclass(eq=False)
class ParameterQuantizePass(_Pass):
    """Exponents of weights: `quantize_parameter_setting`."""

    method: str | None = None
    method_per_layer: Mapping[str, str] | None = None

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        if self.method is not None:
            setting.quantize_parameter_setting.calib_algorithm = self.method
        if self.method_per_layer:
            setting.quantize_parameter_setting.calib_algorithm_per_layer = dict(self.method_per_layer)


@dataclass(eq=False)
class RuntimeCalibrationPass(_Pass):
    """Exponents of activations: `quantize_activation_setting`. The graph is quantized with it."""

    method: str | None = None
    override: bool = False
    calib_steps: int = 32
    method_per_layer: Mapping[str, str] | None = None
    calibrates = True

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        if self.method is not None:
            setting.quantize_activation_setting.calib_algorithm = self.method
        if self.method_per_layer:
            setting.quantize_activation_setting.calib_algorithm_per_layer = dict(self.method_per_layer)


@dataclass(eq=False)
class IsotoneCalibrationPass(_Pass):
    """`calib_algorithm = "isotone"`. The graph is quantized with it."""

    variables: Layers = None
    axis: int = -1
    verbose: bool = True
    calib_steps: int = 32
    calibrates = True

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        setting.quantize_activation_setting.calib_algorithm = "isotone"


@dataclass(eq=False)
class QuantAlignmentPass(_Pass):
    """Which values share an exponent: `fusion_setting`."""

    elementwise_alignment: str = "Align to Large"
    concat_alignment: str = "Align to Output"
    pooling_alignment: str = "None"
    resize_alignment: str = "None"
    logical_elementwise_alignment: str = "Align to Large"
    force_overlap: bool = False
    rnn_alignment: str = "RNN Align to First"

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        options = {
            "elementwise_alignment": "align_elementwise_to",
            "concat_alignment": "align_concat_to",
            "pooling_alignment": "align_avgpooling_to",
            "resize_alignment": "align_resize_to",
            "force_overlap": "force_alignment_overlap",
        }
        for name, value in self._changed(*options).items():
            setattr(setting.fusion_setting, options[name], value)


@dataclass(eq=False)
class LayerwiseEqualizationPass(_Pass):
    """`equalization`."""

    iterations: int
    value_threshold: float = 0.5
    including_weight: bool = True
    weight_multiplier: float = 1.0
    including_bias: bool = False
    including_act: bool = False
    bias_multiplier: float = 0.5
    act_multiplier: float = 0.5
    interested_layers: Layers = None
    optimize_level: int = 2
    verbose: bool = False

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        self._refuse("including_weight", "weight_multiplier")
        setting.equalization = True
        chosen = setting.equalization_setting
        chosen.opt_level, chosen.interested_layers = self.optimize_level, list(self.interested_layers or ())
        for name in ("iterations", "value_threshold", "including_bias", "including_act"):
            setattr(chosen, name, getattr(self, name))
        chosen.bias_multiplier, chosen.act_multiplier = self.bias_multiplier, self.act_multiplier


@dataclass(eq=False)
class SSDEqualizationPass(_Pass):
    """`ssd_equalization`."""

    optimize_level: int = 1
    channel_ratio: float = 0.5
    loss_threshold: float = 0.8
    layer_norm: bool = False
    quant_func: Callable[..., Any] | None = None
    iteration: int = 3

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        self._refuse("quant_func")
        setting.ssd_equalization = True
        setting.ssd_setting.opt_level = self.optimize_level
        for name in ("channel_ratio", "loss_threshold", "layer_norm", "iteration"):
            setattr(setting.ssd_setting, name, getattr(self, name))


@dataclass(eq=False)
class HorizontalLayerSplitPass(_Pass):
    """`weight_split`."""

    interested_layers: Layers = None
    value_threshold: float = 1
    method: str = "balance"
    verbose: bool = True

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        setting.weight_split = True
        chosen = setting.weight_split_setting
        chosen.interested_layers = list(self.interested_layers or ())
        chosen.value_threshold, chosen.method = self.value_threshold, self.method


@dataclass(eq=False)
class ChannelwiseSplitPass(_Pass):
    """`channel_split`."""

    iterations: int
    threshold: float = 2
    including_bias: bool = False
    bias_multiplier: float = 0.5
    including_act: bool = False
    act_multiplier: float = 0.5
    interested_layers: Layers = None
    optimize_level: int = 2
    verbose: bool = False

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        self._refuse("including_bias", "including_act")
        setting.channel_split = True
        chosen = setting.channel_split_setting
        chosen.opt_level, chosen.value_threshold = self.optimize_level, self.threshold
        chosen.interested_layers = list(self.interested_layers or ())


@dataclass(eq=False)
class BiasCorrectionPass(_Pass):
    """`bias_correct`."""

    interested_layers: Layers = ()
    collecting_device: str = "cuda"
    steps: int = 32
    block_size: int = 1

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        setting.bias_correct = True
        setting.bias_correct_setting.interested_layers = list(self.interested_layers or ())
        if self._changed("steps"):
            setting.bias_correct_setting.steps = self.steps


@dataclass(eq=False)
class QuantConfigModifyPass(_Pass):
    """`quant_config_modify`."""

    custom_config: Mapping[str, float]
    verbose: bool = True

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        setting.quant_config_modify = True
        setting.quant_config_modify_setting.custom_config = dict(self.custom_config)


@dataclass(eq=False)
class EspdlLUTFusionPass(_Pass):
    """`lut_optimization`."""

    target_ops: Layers = None
    lut_step: int = 32
    verbose: bool = False

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        setting.lut_optimization = True
        if self._changed("lut_step"):
            setting.lut_optimization_setting.step = self.lut_step


class _Trained(QuantizationOptimizationPass):
    """What needs gradients: refused, with the reason, when the graph is quantized."""

    option = ""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(type(self).__name__)

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for."""
        setattr(setting, self.option, True)


class TrainedQuantizationThresholdPass(_Trained):
    """`tqt_optimization`."""

    option = "tqt_optimization"


class LearnedStepSizePass(_Trained):
    """`lsq_optimization`."""

    option = "lsq_optimization"


class RoundTuningPass(_Trained):
    """`blockwise_reconstruction`."""

    option = "blockwise_reconstruction"


class AdaroundPass(_Trained):
    """`blockwise_reconstruction`."""

    option = "blockwise_reconstruction"


class ExtensionPass(_Trained):
    """`extension`."""

    option = "extension"
