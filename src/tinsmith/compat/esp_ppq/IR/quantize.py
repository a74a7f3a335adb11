"""Operators and variables of a quantized graph."""

from __future__ import annotations

from typing import Any

from tinsmith.compat.esp_ppq.core.config import OperationQuantizationConfig, TensorQuantizationConfig
from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.IR.base.graph import Operation, Variable
from tinsmith.errors import RecipeError


class QuantableOperation(Operation):
    """An operator in integers.

    Args:
        convert_from: The operator.
        quantize_config: The formats of its inputs and outputs.
        platform: Where it runs, and how wide.
    """

    def __init__(
        self, convert_from: Operation, quantize_config: OperationQuantizationConfig, platform: TargetPlatform
    ) -> None:
        super().__init__(
            convert_from.name,
            convert_from.type,
            convert_from.attributes,
            platform,
            convert_from.inputs,
            convert_from.outputs,
        )
        self.config = quantize_config

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute.

        Raises:
            RecipeError: It is the platform, which has been chosen.
        """
        if name == "platform" and "config" in self.__dict__ and value != self.platform:
            hint = "Say so before: setting.dispatching_table.append(name, platform), or dispatching_override."
            raise RecipeError(
                f"is quantized for {self.platform.name}.", subject=f"platform of {self.name!r}", hint=hint
            )
        super().__setattr__(name, value)

    @property
    def input_quant_config(self) -> list[TensorQuantizationConfig]:
        """Of the inputs, in order."""
        return self.config.input_quantization_config

    @property
    def output_quant_config(self) -> list[TensorQuantizationConfig]:
        """Of the outputs, in order."""
        return self.config.output_quantization_config

    @property
    def config_with_variable(self) -> list[tuple[TensorQuantizationConfig, Variable]]:
        """Each format beside the variable it is of."""
        return list(zip(self.config, (*self.inputs, *self.outputs), strict=True))


class QuantableVariable(Variable):
    """A variable that operators in integers read or compute."""

    @property
    def stored_value(self) -> Any:
        """The elements of a parameter before rounding."""
        return self.value

    @property
    def dest_op_configs(self) -> list[TensorQuantizationConfig | None]:
        """The format in which each operator behind takes it."""
        return [
            op.input_quant_config[op.inputs.index(self)] if isinstance(op, QuantableOperation) else None
            for op in self.dest_ops
        ]

    @property
    def source_op_config(self) -> TensorQuantizationConfig | None:
        """The format in which it is computed."""
        source = self.source_op
        if not isinstance(source, QuantableOperation):
            return None
        return source.output_quant_config[source.outputs.index(self)]
