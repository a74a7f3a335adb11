"""A model that somebody has quantized becomes the float model it stands for, with the ranges of its values.

Two ways of writing such models are read: pairs of QuantizeLinear and DequantizeLinear around float operators, and
operators on integers (`tinsmith.graph.qoperators`), which become float operators between such pairs. Then each integer
value is taken for the real numbers it stands for:

- what a pair encloses are the real numbers themselves; the integers' limits, as real numbers, are their range;
- constants are what their integers mean: the weights keep the rounding they were trained or calibrated with;
- where the range starts at zero and nothing says that the numbers do, saturation was the model's Relu (or its Clip
  from 0 to 6): quantizers leave those out. It is put back;
- an input of integers becomes the float input that those integers mean.

Equal up to the rounding and saturation that the chip's own formats replace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.errors import UnsupportedError
from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    discard,
    fresh,
    get_int,
    input_of,
    only_user,
    operands,
    present,
    producer,
    replace,
    set_constant,
    swap,
)
from tinsmith.graph.nonnegative import is_nonnegative
from tinsmith.graph.qoperators import DOMAINS, expand, fitting
from tinsmith.graph.ranges import Range, attach

_SIX = 6.0
_MOVERS = (
    *("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather", "Concat"),
    *("MaxPool", "DepthToSpace", "SpaceToDepth", "Expand", "Tile", "Pad", "Resize", "Upsample"),
)
"""What is applied to integers and means the same for the numbers they stand for."""


@dataclass(frozen=True, slots=True, eq=False)
class _Meaning:
    """What an integer value stands for: ``real = (integer - zero) * scale``.

    Attributes:
        real: The value that holds the real numbers.
        scale: Scalar, or one per element of `axis`.
        zero: Likewise.
        axis: Of several scales.
    """

    real: ir.Value
    scale: Array
    zero: Array
    axis: int

    def agrees(self, scale: Array, zero: Array, axis: int) -> bool:
        """Whether other numbers mean the same."""
        single = self.scale.size == scale.size == 1
        same = self.scale.size == scale.size and np.array_equal(self.scale.reshape(-1), scale.reshape(-1))
        return same and np.array_equal(self.zero.reshape(-1), zero.reshape(-1)) and (single or self.axis == axis)


def dequantize(model: ir.Model) -> bool:
    """Turns a quantized model into the float model it stands for and attaches its ranges; tells whether it was one.

    Args:
        model: Sorted, with constants as initializers; changed in place.

    Raises:
        UnsupportedError: Integers are used in a way that has no float counterpart here; names the node.
    """
    changed = expand(model.graph)
    graph = model.graph
    if not any(_is(node, "QuantizeLinear", "DequantizeLinear") for node in graph):
        return changed
    walk = _Walk(graph)
    for node in tuple(graph):
        if node.graph is graph:
            with fitting(node):
                walk.visit(node)
    walk.finish()
    _refuse_rest(graph)
    attach(model, walk.ranges)
    return True


class _Walk:
    """One pass over the nodes in order; each integer value has its meaning before anyone reads it."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.meanings: dict[ir.Value, _Meaning] = {}
        self.ranges: dict[str, Range] = {}
        self.emptied: list[ir.Node] = []

    def visit(self, node: ir.Node) -> None:
        if _is(node, "QuantizeLinear"):
            self._quantize(node)
        elif _is(node, "DequantizeLinear"):
            self._dequantize(node)
        elif node.op_type in _MOVERS and any(value in self.meanings for value in operands(node)):
            self._move(node)

    def _quantize(self, node: ir.Node) -> None:
        numbers = _numbers(node)
        source = input_of(node, 0)
        if numbers is None or source is None:
            return
        scale, zero, axis = numbers
        low, high = _integers(node, zero)
        result = node.outputs[0]
        clip = only_user(result)
        if clip is not None and clip.op_type == "Clip":
            bounds = [constant(input_of(clip, index)) for index in (1, 2)]
            low, high = _narrowed(low, bounds[0], high, bounds[1])
            result = clip.outputs[0]
        data = constant(source)
        if data is not None:
            steps = np.rint(data.astype(np.float64) / _along(scale, axis, data.ndim)) + _along(zero, axis, data.ndim)
            set_constant(node, 0, _real(np.clip(steps, low, high), scale, zero, axis), source.name or "")
            self.meanings[result] = _Meaning(present(node, 0), scale, zero, axis)
        else:
            limits = _limits(scale, zero, low, high)
            self.meanings[result] = _Meaning(self._saturated(node, source, limits, scale), scale, zero, axis)
        self.emptied.append(node)

    def _saturated(self, node: ir.Node, source: ir.Value, limits: Range, scale: Array) -> ir.Value:
        """The value within its range, where its lower end is an activation; notes the range."""
        low, high = limits
        if low == 0 < high and not is_nonnegative(source):
            six = abs(high - _SIX) <= float(scale.max())
            before = producer(source)
            base = fresh(
                self.graph, f"{before.name if before is not None else source.name}_{'clip' if six else 'relu'}"
            )
            inputs: list[ir.Value | None] = [source]
            if six:
                inputs += [add_constant(self.graph, np.array(bound, np.float32), base) for bound in (0.0, _SIX)]
            activation = ir.Node("", "Clip" if six else "Relu", inputs, name=base)
            source, activation.outputs[0].name = activation.outputs[0], base
            activation.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
            self.graph.insert_before(node, activation)
        self._note(source, limits)
        return source

    def finish(self) -> None:
        """Gives real numbers where the model gave integers, and drops what nobody reads any more."""
        for value in tuple(self.graph.outputs):
            meaning = self.meanings.get(value)
            if meaning is not None and meaning.real is not value:
                self._give(value, meaning)
        for node in self.emptied:
            discard(node)

    def _give(self, result: ir.Value, meaning: _Meaning) -> None:
        """Puts real numbers in the place of a value; they keep its name where it is an output of the graph."""
        if result.name and meaning.real.name in self.ranges:
            self.ranges[result.name] = self.ranges[meaning.real.name]
        node = result.producer()
        result.type = meaning.real.type = ir.TensorType(ir.DataType.FLOAT)
        if not replace(result, meaning.real) and node is not None:
            swap(node, "Identity", [meaning.real])

    def _note(self, value: ir.Value, limits: Range) -> None:
        low, high = self.ranges.get(value.name or "", limits)
        self.ranges[value.name or ""] = (min(low, limits[0]), max(high, limits[1]))

    def _dequantize(self, node: ir.Node) -> None:
        numbers = _numbers(node)
        source = input_of(node, 0)
        if numbers is None or source is None:
            return
        scale, zero, axis = numbers
        meaning = self.meanings.get(source)
        integers = constant(source)
        if integers is not None:
            meaning = self._constant(node, integers, scale, zero, axis)
        elif meaning is None and source.is_graph_input():
            meaning = self._input(source, scale, zero, axis)
        if meaning is None:
            return
        if not meaning.agrees(scale, zero, axis):
            raise UnsupportedError(
                "the integers were written with another scale or zero point than they are read with.",
                subject=f"DequantizeLinear {node.name!r}",
                hint="Export the float model, or quantize it again.",
            )
        self._give(node.outputs[0], meaning)

    def _constant(self, node: ir.Node, integers: Array, scale: Array, zero: Array, axis: int) -> _Meaning:
        """What constant integers mean; the name is theirs, without what ONNX Runtime's quantizer appends."""
        source = present(node, 0)
        known = self.meanings.get(source)
        block = get_int(node, "block_size", 0)
        if known is not None and not block and known.agrees(scale, zero, axis):
            return known
        name = (source.name or "").removesuffix("_quantized")
        real = _real(integers, scale, zero, axis, block)
        if name == source.name and only_user(source) is node:
            set_constant(node, 0, real)
            return _Meaning(present(node, 0), scale, zero, axis)
        meaning = _Meaning(add_constant(self.graph, real, name), scale, zero, axis)
        if not block:
            self.meanings[source] = meaning
        return meaning

    def _input(self, value: ir.Value, scale: Array, zero: Array, axis: int) -> _Meaning:
        """An input of integers becomes one of the real numbers they stand for."""
        low, high = _type_limits(value.dtype)
        self._note(value, _limits(scale, zero, low, high))
        value.type = ir.TensorType(ir.DataType.FLOAT)
        self.meanings[value] = _Meaning(value, scale, zero, axis)
        return self.meanings[value]

    def _move(self, node: ir.Node) -> None:
        """The node moves the real numbers; its outputs, integers before, hold them."""
        known = [self.meanings[value] for value in operands(node) if value in self.meanings]
        first = known[0]
        if first.scale.size != 1 or not all(other.agrees(first.scale, first.zero, 0) for other in known[1:]):
            return
        if node.op_type == "Pad":
            filling = constant(input_of(node, 2))
            filled = (0.0 if filling is None or not filling.size else float(filling.reshape(-1)[0])) - first.zero
            set_constant(node, 2, (filled * first.scale).reshape(()).astype(np.float32), f"{node.name}_filling")
        for index, value in enumerate(node.inputs):
            if value in self.meanings:
                node.replace_input_with(index, self.meanings[value].real)
        for result in node.outputs:
            result.type = ir.TensorType(ir.DataType.FLOAT)
            self.meanings[result] = _Meaning(result, first.scale, first.zero, 0)
            limits = [self.ranges[one.real.name] for one in known if one.real.name in self.ranges]
            for found in limits:
                self._note(result, found)


def _numbers(node: ir.Node) -> tuple[Array, Array, int] | None:
    """Scale, zero point and axis; None where they are not constant."""
    scale = constant(input_of(node, 1))
    third = input_of(node, 2)
    zero = np.zeros_like(scale, dtype=np.int64) if third is None else constant(third)
    if scale is None or zero is None or not scale.size:
        return None
    wide = zero.astype(np.float64) if zero.dtype.kind not in "iu" else zero.astype(np.int64)
    return scale.astype(np.float64), wide, get_int(node, "axis", 1)


def _integers(node: ir.Node, zero: Array) -> tuple[float, float]:
    """Smallest and largest integer that a QuantizeLinear gives."""
    third = input_of(node, 2)
    dtype = third.dtype if third is not None else ir.DataType(get_int(node, "output_dtype", 0) or ir.DataType.UINT8)
    return _type_limits(dtype)


def _type_limits(dtype: ir.DataType | None) -> tuple[float, float]:
    if dtype in (ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E4M3FNUZ):
        return (-448.0, 448.0) if dtype == ir.DataType.FLOAT8E4M3FN else (-240.0, 240.0)
    if dtype is None or not dtype.is_integer():
        return -57344.0, 57344.0
    bits = dtype.bitwidth
    return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if dtype.is_signed() else (0.0, 2.0**bits - 1)


def _narrowed(low: float, lower: Array | None, high: float, upper: Array | None) -> tuple[float, float]:
    if lower is not None and lower.size == 1:
        low = max(low, float(lower.reshape(())))
    if upper is not None and upper.size == 1:
        high = min(high, float(upper.reshape(())))
    return low, high


def _limits(scale: Array, zero: Array, low: float, high: float) -> Range:
    ends = [float(np.min((low - zero) * scale)), float(np.max((high - zero) * scale))]
    return min(ends), max(ends)


def _along(numbers: Array, axis: int, rank: int) -> Array:
    """Scales or zero points, ready to broadcast with the elements."""
    if numbers.size == 1:
        return numbers.reshape(())
    shape = [1] * rank
    shape[axis if -rank <= axis < rank else 0] = numbers.size
    return numbers.reshape(shape)


def _real(integers: Array, scale: Array, zero: Array, axis: int, block: int = 0) -> Array:
    wide = integers.astype(np.float64)
    if block and scale.ndim == wide.ndim:
        places = np.arange(wide.shape[axis]) // block
        return np.asarray((wide - np.take(zero, places, axis)) * np.take(scale, places, axis), dtype=np.float32)
    return np.asarray((wide - _along(zero, axis, wide.ndim)) * _along(scale, axis, wide.ndim), dtype=np.float32)


def _is(node: ir.Node, *op_types: str) -> bool:
    return node.op_type in op_types and node.domain in DOMAINS


def _refuse_rest(graph: ir.Graph) -> None:
    for node in graph:
        if _is(node, "QuantizeLinear", "DequantizeLinear"):
            raise UnsupportedError(
                "its scale or zero point is not constant, or something computes with its integers.",
                subject=f"{node.op_type} {node.name!r}",
                hint="Export the float model, or quantize it in QDQ format with static scales.",
            )
