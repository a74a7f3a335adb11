"""How the tensors of an operator are quantized."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinsmith.compat.esp_ppq.core.quant import (
    QuantizationPolicy,
    QuantizationProperty,
    QuantizationStates,
    QuantizationVisibility,
    RoundingPolicy,
)
from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.errors import RecipeError
from tinsmith.quant.rounding import qrange

PER_TENSOR = (
    QuantizationProperty.SYMMETRICAL
    + QuantizationProperty.LINEAR
    + QuantizationProperty.PER_TENSOR
    + QuantizationProperty.POWER_OF_2
)
PER_CHANNEL = PER_TENSOR - QuantizationProperty.PER_TENSOR.value + QuantizationProperty.PER_CHANNEL.value


@dataclass(eq=False)
class TensorQuantizationConfig:
    """The integer format of one input or output of an operator: what the file holds, to look at.

    Attributes:
        exponents: One, or one per channel; none where it stays float.
        num_of_bits: 8, 16 or, for what stays float, 32. A bias has the width the chip stores it in.
        channel_axis: Of the channels, in ONNX order.
        state: ``ACTIVATED``; ``OVERLAPPED`` where another operator's output decides; ``PASSIVE`` for a bias; ``FP32``.
        rounding: The chip's.
    """

    exponents: tuple[int, ...]
    num_of_bits: int
    channel_axis: int | None
    state: QuantizationStates
    rounding: RoundingPolicy
    visibility: QuantizationVisibility = QuantizationVisibility.EXPORT_WHEN_ACTIVE
    detail: dict[str, Any] = field(default_factory=dict)
    observer_algorithm: str = "mse"

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what is not set yet.

        Raises:
            RecipeError: It is; formats are those of the file.
        """
        if name in self.__dict__ or isinstance(getattr(type(self), name, None), property):
            hint = "Use setting.quant_config_modify for an exponent, setting.dispatching_table for a width."
            raise RecipeError("cannot be set: the graph is quantized.", subject=f"{name} of a format", hint=hint)
        super().__setattr__(name, value)

    @property
    def policy(self) -> QuantizationPolicy:
        """Symmetric, linear, power of 2; per tensor or per channel."""
        return QuantizationPolicy(PER_TENSOR if self.channel_axis is None else PER_CHANNEL)

    @property
    def quant_min(self) -> int:
        """The smallest integer."""
        return qrange(self.num_of_bits)[0]

    @property
    def quant_max(self) -> int:
        """The largest integer."""
        return qrange(self.num_of_bits)[1]

    @property
    def scale(self) -> Any:
        """``2**exponent`` as a float32 tensor: 0-d, or one per channel; None where it stays float."""
        return self._tensor(np.ldexp(np.float32(1), np.asarray(self.exponents, np.int32)).astype(np.float32))

    @property
    def offset(self) -> Any:
        """Zeros, shaped as the scale."""
        return self._tensor(np.zeros(len(self.exponents), np.float32))

    def _tensor(self, array: np.ndarray[Any, Any]) -> Any:
        if not self.exponents:
            return None
        return tensor(array if self.channel_axis is not None else array.reshape(()))

    @property
    def dominated_by(self) -> TensorQuantizationConfig:
        """Itself: formats are looked at here, not negotiated."""
        return self


class OperationQuantizationConfig:
    """The formats of an operator's inputs and outputs, in order."""

    def __init__(
        self,
        input_quantization_configs: Sequence[TensorQuantizationConfig],
        output_quantization_configs: Sequence[TensorQuantizationConfig],
    ) -> None:
        self.input_quantization_config = list(input_quantization_configs)
        self.output_quantization_config = list(output_quantization_configs)

    def __iter__(self) -> Iterator[TensorQuantizationConfig]:
        return iter((*self.input_quantization_config, *self.output_quantization_config))
