"""Quantizers: which chip, which width, and which operators differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.layer_names import LayerNames
from tinsmith.compat.esp_ppq.platforms import bits_of, known, target_of
from tinsmith.compat.esp_ppq.quantization.optim.base import (
    QuantizationOptimizationPass,
    QuantizationOptimizationPipeline,
)
from tinsmith.compat.esp_ppq.quantization.optim.running import remember, run
from tinsmith.compat.esp_ppq.stand_ins import FORMATS, HINTS
from tinsmith.errors import RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph, Operation


class BaseQuantizer:
    """Says for which chip a graph is to be quantized; a pipeline does it.

    Args:
        graph: A float one, from `load_onnx_graph`.
        platform: The chip and the width; by default that of the class.
        verbose: Of no effect.

    Raises:
        RecipeError: The platform is none of ESP-DL's, the graph is quantized already, or the class sets formats.
    """

    platform: TargetPlatform | None = None

    def __init__(self, graph: BaseGraph, platform: TargetPlatform | int | None = None, verbose: bool = True) -> None:
        if type(self).init_quantize_config is not BaseQuantizer.init_quantize_config:
            raise RecipeError(FORMATS, subject=f"{type(self).__name__}.init_quantize_config", hint=HINTS[FORMATS])
        chosen = self.platform if platform is None else platform
        if chosen is None:
            hint = "Use PFL.Quantizer(platform, graph)."
            raise RecipeError("says nothing of the chip.", subject=type(self).__name__, hint=hint)
        self._graph = graph
        self._platform = known(chosen)
        target_of(self._platform)
        remember(graph, platform=self._platform)

    @property
    def target_platform(self) -> TargetPlatform:
        """The chip, and the width of what nothing else is said about."""
        return self._platform

    @property
    def quant_operation_types(self) -> set[str]:
        """The operators that the chip has in integers."""
        from tinsmith.ops import operators

        target, bits = target_of(self._platform)
        wanted = "int8" if bits == 8 else "int16"
        return {name for name, one in operators().items() if one.importable and wanted in one.available(target)}

    @property
    def activation_fusion_types(self) -> set[str]:
        """The functions that are computed in one step with a layer before them."""
        return {"Relu"}

    def quantize_operation(self, op_name: str, platform: TargetPlatform | int | None = None) -> Operation:
        """Say how wide an operator is to run.

        Args:
            op_name: Its name in the float graph.
            platform: The chip with another width; by default that of the quantizer.

        Returns:
            The operator, which is a quantized one after the pipeline has run.

        Raises:
            RecipeError: There is no such operator, or the platform cannot be had.
        """
        if op_name not in self._graph.operations:
            LayerNames(tuple(self._graph.operations)).pattern(op_name, "quantize_operation")
        operation = self._graph.operations[op_name]
        chosen = known(operation.platform if platform is None else platform, f"platform of {op_name!r}")
        bits_of(chosen, f"platform of {op_name!r}")
        operation.platform = self._platform if chosen is TargetPlatform.UNSPECIFIED else chosen
        return operation

    def init_quantize_config(self, operation: Operation) -> Any:
        """Refused: formats are chosen all together.

        Raises:
            RecipeError: Always.
        """
        raise RecipeError(FORMATS, subject="init_quantize_config", hint=HINTS[FORMATS])

    def build_quant_pipeline(self, setting: QuantizationSetting) -> QuantizationOptimizationPipeline:
        """The one step that a setting stands for."""
        return QuantizationOptimizationPipeline([_Whole(setting)])

    def build_prequant_pipeline(self, setting: QuantizationSetting, **options: Any) -> QuantizationOptimizationPipeline:
        """Nothing: the pipeline of `build_quant_pipeline` does it all."""
        return QuantizationOptimizationPipeline([])

    def quantize(
        self,
        inputs: Any,
        calib_dataloader: Any,
        executor: Any = None,
        setting: QuantizationSetting | None = None,
        calib_steps: int = 32,
        collate_fn: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        """Quantize the graph, which is changed in place.

        Args:
            inputs: Of no effect: shapes are the model's.
            calib_dataloader: Batches of samples.
            executor: Runs the changed graph from then on.
            setting: What becomes of it is in `tinsmith.compat.esp_ppq.mapping`.
            calib_steps: How many batches to use.
            collate_fn: Applied to each batch.
            **options: Of no effect.

        Raises:
            RecipeError: The setting cannot be had.
            DataError: The data do not fit.
        """
        steps = [] if setting is None else [_Whole(setting)]
        calibration = (calib_dataloader, calib_steps, collate_fn)
        run(self._graph, [*steps, _Calibrate()], calibration, executor, verbose=True)

    def report(self) -> str:
        """How many operators run how wide."""
        from collections import Counter

        counts = Counter(known(op.platform).name for op in self._graph.operations.values())
        return "".join(f"{name}: {count} operations\n" for name, count in sorted(counts.items()))


class _Calibrate(QuantizationOptimizationPass):
    """Nothing but that the graph is quantized."""

    calibrates = True


class _Whole(_Calibrate):
    """A setting as it is."""

    def __init__(self, setting: QuantizationSetting) -> None:
        super().__init__("setting")
        self._setting = setting

    def choose(self, setting: QuantizationSetting) -> None:
        """All of its choices."""
        setting.take(self._setting.plain())
        setting.mark(self._setting.all_given())
