"""A tensor's integer format: width and power-of-two exponent(s)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tinsmith.quant.rounding import FloatArray, IntArray, Rounding, qrange, scaled_by_power

FARTHEST_EXPONENT = 30
"""The runtime's float kernels make 2**e by shifting a 32-bit one: right from minus this to this (arithmetic §1)."""


@dataclass(frozen=True, slots=True)
class Format:
    """real = integer · 2**exponent, symmetric, ``bits`` wide.

    Attributes:
        bits: 8 or 16 for activations and weights; the bias has its own rules.
        exponents: One entry per tensor, or one per channel along ``axis``.
        axis: Channel axis in the ONNX order of the float tensor; None when per tensor.
    """

    bits: int
    exponents: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.axis is None and len(self.exponents) != 1:
            raise ValueError(f"a per-tensor format has one exponent, not {len(self.exponents)}")

    @property
    def exponent(self) -> int:
        """The exponent of a per-tensor format.

        Raises:
            ValueError: The format is per channel.
        """
        if self.axis is not None:
            raise ValueError("this format has one exponent per channel")
        return self.exponents[0]

    @property
    def largest(self) -> float:
        """The largest real number a per-tensor format holds."""
        return float(np.ldexp(float(qrange(self.bits)[1]), self.exponent))

    def _spread(self, ndim: int) -> IntArray:
        """Exponents shaped to broadcast against a tensor of ``ndim`` dimensions."""
        exponents = np.asarray(self.exponents, dtype=np.int64)
        if self.axis is None:
            return exponents.reshape(())
        return exponents.reshape([-1 if d == self.axis % ndim else 1 for d in range(ndim)])

    def quantize(self, values: FloatArray, rounding: Rounding) -> IntArray:
        """Integers of real ``values`` (ONNX order), int8 or int16."""
        return rounding.quantize(values, self._spread(np.ndim(values)), self.bits)

    def dequantize(self, integers: IntArray) -> FloatArray:
        """float32 real values of ``integers`` (ONNX order)."""
        return scaled_by_power(integers.astype(np.float32), self._spread(integers.ndim))


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats chosen for a network; lives beside the graph, never inside it.

    Attributes:
        values: Format of each quantized value or constant, by name. Absent means float (or raw, for indices).
        uses: Exceptions: the format an input of one node needs where it differs from the value's own,
            by (node name, input index). Lowering inserts a RequantizeLinear there (or quantizes the constant so).
    """

    values: Mapping[str, Format] = field(default_factory=dict)
    uses: Mapping[tuple[str, int], Format] = field(default_factory=dict)

    def at(self, node: str, index: int, value: str) -> Format | None:
        """The format in which input ``index`` of ``node`` must arrive."""
        return self.uses.get((node, index), self.values.get(value))

    def changed(self, use: tuple[str, int], format: Format) -> Formats:
        """The same with another format for one input of a node: (node name, input index)."""
        return Formats(self.values, {**self.uses, use: format})
