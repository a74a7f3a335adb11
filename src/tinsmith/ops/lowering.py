"""What an operator sees while it is turned into nodes of a `Program`.

`tinsmith.lower` decides layouts, brings computed inputs into the wanted layout and format (Transpose,
RequantizeLinear), and then calls the operator's ``lower`` with a `Lowering`. The operator emits nodes and constants
through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops.floatnode import Array, FloatNode
from tinsmith.ops.layouts import Perm
from tinsmith.program import Attribute, DType
from tinsmith.quant.format import Format
from tinsmith.quant.rounding import qrange
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """An input or output of the node being lowered, as the program will have it.

    Attributes:
        name: Program name: of the value in the right layout and format, or of the constant in the float network.
        shape: Shape in the file's layout.
        perm: ``shape[i] = onnx_shape[perm[i]]``.
        dtype: Element type in the program.
        format: Integer format; None where float or raw.
        const: Float (or raw) elements in ONNX order where it is a constant, else None.
    """

    name: str
    shape: tuple[int, ...]
    perm: Perm
    dtype: DType
    format: Format | None = None
    const: Array | None = None

    @property
    def exponents(self) -> tuple[int, ...]:
        """The exponents the file records."""
        return (0,) if self.format is None else self.format.exponents

    def laid_out(self) -> Array:
        """The constant's float elements in the file's layout: rank padded with ones on the left, then permuted."""
        assert self.const is not None
        padded = self.const.reshape((1,) * (len(self.perm) - self.const.ndim) + self.const.shape)
        return np.asarray(padded.transpose(self.perm), order="C")

    def integers(self, target: Target) -> NDArray[Any]:
        """The constant's quantized elements in the file's layout."""
        assert self.format is not None
        values = self.laid_out()
        if self.format.axis is None:
            return self.format.quantize(values, target.rounding)
        raise NotImplementedError("per-channel constants are packed by their operator")


class Sink(Protocol):
    """Where lowered nodes and constants go (implemented by `tinsmith.lower`)."""

    def add_node(
        self, op_type: str, name: str, inputs: list[str], outputs: list[str], attributes: dict[str, Attribute]
    ) -> None:
        """Append a node."""

    def add_constant(self, name: str, data: Array, exponents: tuple[int, ...], doc: str) -> str:
        """Add an initializer; an equal one already there is reused. Returns the name to refer to."""

    def add_table(self, op_type: str, data: Array, exponents: tuple[int, ...]) -> str:
        """Add a look-up table ``<OpType>_lut_<k>``; equal tables are shared. Returns its name."""

    def add_value(self, name: str, dtype: DType, shape: tuple[int, ...], exponents: tuple[int, ...]) -> str:
        """Declare an intermediate value; returns a unique name derived from ``name``."""


@dataclass(frozen=True, slots=True, eq=False)
class Lowering:
    """One float node on its way into the program.

    Attributes:
        node: The float node.
        inputs: Slots in order; None where an optional input is absent. Computed inputs already exist in the program
            with exactly this name, layout and format.
        outputs: Slots the operator must produce.
        quant_type: ``S8``, ``S16`` or ``F32``.
        activation: ``Linear``, or ``Relu`` where a following activation was fused into this node.
        target: The chip.
        sink: Receives nodes and constants.
    """

    node: FloatNode
    inputs: tuple[Slot | None, ...]
    outputs: tuple[Slot, ...]
    quant_type: str
    activation: str
    target: Target
    sink: Sink

    @property
    def bits(self) -> int:
        """Width of the node's integers: 8, 16, or 32 for float."""
        return {"S8": 8, "S16": 16}.get(self.quant_type, 32)

    def slot(self, index: int) -> Slot:
        """Input ``index``, which must be present."""
        found = self.inputs[index]
        assert found is not None, f"input {index} of {self.node.name} is absent"
        return found

    def name(self, index: int) -> str:
        """Program name of input ``index``, adding a constant input as an initializer; "" where absent.

        Quantized constants are quantized and laid out like the activation, raw and float ones written as they are.
        """
        slot = self.inputs[index] if index < len(self.inputs) else None
        if slot is None:
            return ""
        if slot.const is None:
            return slot.name
        data = slot.laid_out() if slot.format is None else slot.integers(self.target)
        return self.sink.add_constant(slot.name, data, slot.exponents, layout_doc(slot.perm))

    def names(self) -> list[str]:
        """Program names of all inputs, without absent ones at the end."""
        found = [self.name(index) for index in range(len(self.inputs))]
        while found and not found[-1]:
            found.pop()
        return found

    def emit(
        self,
        inputs: list[str],
        outputs: list[str] | None = None,
        *,
        attributes: Mapping[str, Attribute] | None = None,
        op_type: str | None = None,
        name: str | None = None,
    ) -> None:
        """Append a node with `quant_type` and the given attributes; by default the float node's own type and name.

        Real numbers become what the file holds, single precision.
        """
        self.sink.add_node(
            op_type or self.node.op_type,
            name or self.node.name,
            inputs,
            outputs if outputs is not None else [slot.name for slot in self.outputs],
            {**{key: _single(value) for key, value in (attributes or {}).items()}, "quant_type": self.quant_type},
        )


def _single(value: Attribute) -> Attribute:
    return float(np.float32(value)) if isinstance(value, float) else value


_FAR = 2.0**64
"""Beyond every integer format."""
PLAIN = "layout ==> UNK"
"""The doc string of constants whose order of dimensions has no name: biases, scales, shapes, axes."""


def layout_doc(perm: Perm) -> str:
    """The doc string of a constant laid out by ``perm``."""
    names = {(0, 2, 3, 1): "NHWC", (0, 2, 1): "NWC"}
    return f"layout ==> {names[perm]}" if perm in names else PLAIN


def plain_attributes(node: FloatNode) -> dict[str, Attribute]:
    """The float node's attributes as program attributes (arrays are left out)."""
    return {key: value for key, value in node.attributes.items() if not isinstance(value, np.ndarray)}


def lower_plain(call: Lowering) -> None:
    """The default: one node of the same type with the same attributes, constants as initializers."""
    call.emit(call.names(), attributes=plain_attributes(call.node))


def lower_with_axis(call: Lowering) -> None:
    """As `lower_plain`, with attribute ``axis`` moved to where the layout has it; -1 by default."""
    attributes = plain_attributes(call.node)
    axis = call.node.integer("axis", -1)
    attributes["axis"] = call.slot(0).perm.index(axis % len(call.slot(0).perm))
    call.emit(call.names(), attributes=attributes)


def lower_unary(call: Lowering, function: Callable[[Array], Array]) -> None:
    """An activation: int8 becomes a look-up table of ``function`` (file format §7), int16 and float stay the operator.

    Args:
        call: The lowering; input 0 and output 0 quantized alike or float.
        function: Maps a float64 array to a float64 array.
    """
    attributes = plain_attributes(call.node)
    if call.quant_type == "S8":
        source, result = call.slot(0).format, call.outputs[0].format
        assert source is not None
        assert result is not None
        attributes["lut"] = call.sink.add_table(
            call.node.op_type, unary_table(function, source, result, call.target), result.exponents
        )
    call.emit([call.name(0)], attributes=attributes)


def unary_table(function: Callable[[Array], Array], source: Format, result: Format, target: Target) -> Array:
    """``quantize(function(q · 2**e))`` for all 256 values q = -128 … 127, as int8."""
    return function_table(function, source, result, target)


def function_table(
    function: Callable[[Array], Array], source: Format, result: Format, target: Target, step: int = 1
) -> Array:
    """``quantize(function(q · 2**e))`` for one in ``step`` of the integers q of a format, beginning at the smallest.

    With steps, one entry beyond the largest integer ends the table (file format §7). What is no number becomes 0.
    """
    low, high = qrange(source.bits)
    with np.errstate(all="ignore"):
        reals = np.ldexp(np.arange(low, high + 1 + (step > 1), step, dtype=np.float64), source.exponent)
        outputs = np.asarray(function(reals), dtype=np.float64)
    return result.quantize(np.nan_to_num(outputs, nan=0.0, posinf=_FAR, neginf=-_FAR), target.rounding)
