"""Exponents of the weights of linear operators, with room for the bias and the shift (file format §4 rules 1, 3, 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.calibrate.candidates import BELOW, fit_exponents
from tinsmith.calibrate.constants import fill_dead
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.ports import Kind, Ports
from tinsmith.quant.rounding import qrange
from tinsmith.targets import Saturation, Target


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A linear node's weights and bias, and the exponents chosen from the weights alone.

    Attributes:
        node: The node.
        index: Input index of the weights.
        axis: Channel axis, None where the target has one exponent per tensor.
        exponents: (channels,) or (1,): the exponents of least error; dead channels have their neighbours'.
        bias: |bias| per channel (or its maximum), float64, shape of `exponents`; zeros where there is none.
        sums: Σ|w| per channel (or its maximum), likewise.
        products: How many products one accumulator adds up.
        bits: Width of the weights.
    """

    node: FloatNode
    index: int
    axis: int | None
    exponents: NDArray[np.int64]
    bias: NDArray[np.float64]
    sums: NDArray[np.float64]
    products: int
    bits: int

    def fitted(self, input_exponent: int, target: Target) -> NDArray[np.int64]:
        """The exponents, raised where the accumulator would not hold the bias at ``input_exponent + e_w``.

        An accumulator that wraps must hold the bias and the largest sum of products together. One that saturates keeps
        a quarter of its range for the products.
        """
        exponents = self.exponents.copy()
        while True:
            full = self._full(exponents, input_exponent, target)
            if not np.any(full):
                return exponents
            exponents = np.where(full, exponents + 1, exponents)

    def hold(self, exponents: NDArray[np.int64], input_exponent: int, target: Target) -> bool:
        """Whether the accumulator holds the bias at these exponents."""
        return not np.any(self._full(exponents, input_exponent, target))

    def _full(self, exponents: NDArray[np.int64], input_exponent: int, target: Target) -> NDArray[np.bool_]:
        """Which accumulators have too little room, as `fitted` says."""
        unit = target.linear[self.bits]
        most = float(2 ** (unit.bias_bits - 1) - 1)
        bias = np.ldexp(self.bias, -(exponents + input_exponent)) + 0.5
        # Rounding moves each weight by at most half a step.
        products = np.ldexp(np.ldexp(self.sums, -exponents) + self.products / 2, self.bits - 1)
        saturates = unit.vector.saturation is not Saturation.NEVER
        taken = np.where(self.bias > 0, bias * 4 / 3, 0.0) if saturates else bias + products
        found: NDArray[np.bool_] = taken > most
        return found


def weights_of(node: FloatNode, ports: Ports, target: Target, bits: int) -> Weights | None:
    """The node's constant weights, or None where it has none."""
    for index, (operand, port) in enumerate(zip(node.inputs, ports.inputs, strict=True)):
        if port.kind is Kind.WEIGHT and operand is not None and operand.const is not None:
            axis = port.axis if target.per_channel else None
            exponents = least_error(operand.const, axis, bits)
            heavy = np.abs(operand.const.astype(np.float64))
            sums = _sums(heavy, port.axis)
            per_channel = sums if axis is not None else sums.max(initial=0.0, keepdims=True)
            products = max(1, operand.const.size // max(1, len(sums)))
            return Weights(
                node, index, axis, exponents, _bias(node, ports, len(exponents)), per_channel, products, bits
            )
    return None


def least_error(values: NDArray[Any], axis: int | None, bits: int) -> NDArray[np.int64]:
    """The exponents of least squared error, per channel along ``axis`` or one for the whole tensor.

    A channel of zeros takes the exponent of the nearest channel that is not, so that no floor value forces a shift out
    of range; a tensor of zeros takes that of the range [-1, 1).

    Args:
        values: Float weights, ONNX order.
        axis: Channel axis, None for one exponent.
        bits: 8 or 16.

    Returns:
        int64, (channels,) or (1,).
    """
    rows = values.reshape(1, -1) if axis is None else np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    fitting = fit_exponents(rows.min(axis=1), rows.max(axis=1), bits)
    candidates = np.stack([fitting - finer for finer in range(BELOW[bits] + 1)])
    errors = np.stack([_row_errors(rows, exponents, bits) for exponents in candidates])
    best: NDArray[np.int64] = np.take_along_axis(candidates, errors.argmin(axis=0)[None], axis=0)[0]
    return fill_dead(best, np.abs(rows).max(axis=1) == 0, bits)


def _row_errors(rows: NDArray[np.float32], exponents: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
    """Squared error of each row at its own exponent; the same for every chip, since it does not depend on ties."""
    low, high = qrange(bits)
    steps = np.ldexp(rows, -exponents.astype(np.int32)[:, None])
    steps -= np.clip(np.rint(steps), low, high)
    squares = np.einsum("ij,ij->i", steps, steps, dtype=np.float64)
    result: NDArray[np.float64] = np.ldexp(squares, 2 * exponents.astype(np.int32))
    return result


def _sums(magnitudes: NDArray[np.float64], axis: int | None) -> NDArray[np.float64]:
    """Σ|w| of each accumulator: per channel along ``axis``, or per column where a MatMul has no channel axis."""
    if axis is not None:
        rows = np.moveaxis(magnitudes, axis, 0).reshape(magnitudes.shape[axis], -1)
    else:
        rows = (
            np.moveaxis(magnitudes, -2, -1).reshape(-1, magnitudes.shape[-2])
            if magnitudes.ndim > 1
            else magnitudes[None]
        )
    sums: NDArray[np.float64] = rows.sum(axis=1)
    return sums


def _bias(node: FloatNode, ports: Ports, channels: int) -> NDArray[np.float64]:
    for operand, port in zip(node.inputs, ports.inputs, strict=True):
        if port.kind is Kind.BIAS and operand is not None and operand.const is not None:
            magnitude = np.abs(operand.const.astype(np.float64)).reshape(-1)
            if channels == 1:
                return np.asarray([magnitude.max(initial=0.0)])
            return np.broadcast_to(magnitude, (channels,)).copy()
    return np.zeros(channels)
