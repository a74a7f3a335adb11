"""Resize where the runtime's own does not run: int16, and on vector chips nearest over few channels (arithmetic §12).

One dimension after the other, the one that shrinks most first. Elements picked are moved: by Slice where they lie at
regular steps, by Concat with itself and Reshape where each is repeated, else by Gather. Interpolation is a depthwise
Conv for each position between two elements, or a MatMul (`tinsmith.ops.resampling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinsmith.ops import conv, matmul_lower
from tinsmith.ops.floatnode import FloatNode, Operand
from tinsmith.ops.layouts import identity
from tinsmith.ops.lowering import PLAIN, Lowering, Slot
from tinsmith.ops.resampling import Matrix, Phases, phases
from tinsmith.ops.resize_positions import Index, Stretch
from tinsmith.program import Array, Attribute, DType
from tinsmith.quant.format import Format

FRACTION = -14
"""Exponent of interpolation weights in 16 bits: a weight of 1 fits."""


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """Elements of a dimension, by index."""

    axis: int
    index: Index

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result."""
        return (*shape[: self.axis], self.index.size, *shape[self.axis + 1 :])

    def lower(self, call: Lowering, source: Slot, result: Slot) -> None:
        """A Slice, a Concat and a Reshape, or a Gather."""
        length, count = source.shape[self.axis], self.index.size
        steps = np.unique(np.diff(self.index))
        if steps.size <= 1 and (not steps.size or steps[0] > 0):
            step = int(steps[0]) if steps.size else 1
            bounds = [(int(self.index[0]),), (int(self.index[-1]) + 1,), (self.axis,), (step,)]
            call.emit([source.name, *(_integers(call, row) for row in bounds)], [result.name], op_type="Slice")
        elif count % length == 0 and np.array_equal(self.index, np.arange(count) // (count // length)):
            self._repeat(call, source, result, count // length)
        else:
            attributes: dict[str, Attribute] = {"axis": self.axis}
            indices = call.sink.add_constant(f"{call.node.name}_indices", self.index, (0,), PLAIN)
            call.emit([source.name, indices], [result.name], attributes=attributes, op_type="Gather")

    def _repeat(self, call: Lowering, source: Slot, result: Slot, factor: int) -> None:
        """Side by side in the next dimension, copies of a row or an element come one behind the other."""
        joined = _concat(call, [source] * factor, self.axis + 1)
        _reshape(call, joined, result)


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """Weighted sums of the elements of a dimension."""

    axis: int
    weights: Matrix

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result."""
        return (*shape[: self.axis], len(self.weights), *shape[self.axis + 1 :])

    def lower(self, call: Lowering, source: Slot, result: Slot) -> None:
        """Convolutions whose results alternate, or a matrix product."""
        found = phases(self.weights)
        if found is None:
            self._multiply(call, source, result)
        else:
            self._alternate(call, source, result, found)

    def _alternate(self, call: Lowering, source: Slot, result: Slot, found: Phases) -> None:
        like = replace(result, shape=source.shape)
        padded = self._padded(call, source, found)
        parts = [self._phase(call, padded, like, kernel) for kernel in found.kernels]
        _reshape(call, _concat(call, parts, self.axis + 1), result)

    def _padded(self, call: Lowering, source: Slot, found: Phases) -> Slot:
        """The edge repeated as far as kernels reach."""
        if not found.before and not found.after:
            return source
        rank = len(source.shape)
        amounts = [0] * (2 * rank)
        amounts[self.axis], amounts[self.axis + rank] = found.before, found.after
        shape = list(source.shape)
        shape[self.axis] += found.before + found.after
        wide = _between(call, source, tuple(shape))
        attributes: dict[str, Attribute] = {"mode": "edge"}
        call.emit([source.name, _integers(call, amounts)], [wide.name], attributes=attributes, op_type="Pad")
        return wide

    def _phase(self, call: Lowering, source: Slot, like: Slot, kernel: Matrix) -> Slot:
        """A depthwise Conv along the dimension."""
        result = _between(call, like, like.shape)
        channels, spatial = source.shape[-1], len(source.shape) - 2
        window = [1] * spatial
        window[self.axis - 1] = len(kernel)
        weights = np.tile(kernel.astype(np.float32).reshape(1, 1, *window), (channels, 1, *([1] * spatial)))
        exponents = (FRACTION,) * channels if call.target.per_channel else (FRACTION,)
        chosen = Format(call.bits, exponents, 0 if call.target.per_channel else None)
        conv.lower(_inner(call, "Conv", source, weights, chosen, result, {"group": channels}))
        return result

    def _multiply(self, call: Lowering, source: Slot, result: Slot) -> None:
        """The dimension last, times the matrix."""
        perm = list(identity(len(source.shape)))
        perm[self.axis], perm[-1] = perm[-1], perm[self.axis]
        turned = _between(call, source, tuple(source.shape[at] for at in perm))
        attributes: dict[str, Attribute] = {"perm": tuple(perm)}
        call.emit([source.name], [turned.name], attributes=attributes, op_type="Transpose")
        product = _between(call, result, (*turned.shape[:-1], len(self.weights)))
        matrix = self.weights.T.astype(np.float32)
        matmul_lower.lower(_inner(call, "MatMul", turned, matrix, Format(call.bits, (FRACTION,)), product, {}))
        call.emit([product.name], [result.name], attributes=attributes, op_type="Transpose")


Step = Pick | Blend


def picks(stretches: Sequence[Stretch]) -> list[Step]:
    """Nearest, for the spatial dimensions of a channels-last tensor."""
    found = [(axis, s.nearest(), s.length) for axis, s in enumerate(stretches, 1)]
    return [Pick(axis, index) for axis, index, n in found if not np.array_equal(index, np.arange(n))]


def blends(stretches: Sequence[Stretch], *, aligned: bool) -> list[Step]:
    """Linear, likewise."""
    found: list[Step] = []
    for axis, stretch in enumerate(stretches, 1):
        left, weight = stretch.linear(aligned)
        rows, weights = np.arange(stretch.result), np.zeros((stretch.result, stretch.length))
        np.add.at(weights, (rows, left), 1 - weight.astype(np.float64))
        np.add.at(weights, (rows, np.minimum(left + 1, stretch.length - 1)), weight)
        if weights.shape[0] != weights.shape[1] or np.any(weights != np.eye(len(weights))):
            found.append(Blend(axis, weights))
    return found


def lower_steps(call: Lowering, steps: Sequence[Step]) -> None:
    """Append the steps; intermediate results have the input's exponent, which no average exceeds."""
    source, last = call.slot(0), call.outputs[0]
    ordered = sorted(steps, key=lambda step: step.shape(source.shape)[step.axis] / source.shape[step.axis])
    for step in ordered[:-1]:
        result = _between(call, source, step.shape(source.shape))
        step.lower(call, source, result)
        source = result
    ordered[-1].lower(call, source, last)


def _between(call: Lowering, like: Slot, shape: tuple[int, ...]) -> Slot:
    """A new value in the format of another."""
    name = call.sink.add_value(f"{call.node.name}_part", like.dtype, shape, like.exponents)
    return replace(like, name=name, shape=shape, perm=identity(len(shape)))


def _integers(call: Lowering, numbers: Sequence[int]) -> str:
    data = np.asarray(numbers, np.int64)
    return call.sink.add_constant(f"{call.node.name}_{'x'.join(map(str, numbers))}", data, (0,), PLAIN)


def _concat(call: Lowering, parts: Sequence[Slot], axis: int) -> Slot:
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    joined = _between(call, parts[0], tuple(shape))
    attributes: dict[str, Attribute] = {"axis": axis}
    call.emit([part.name for part in parts], [joined.name], attributes=attributes, op_type="Concat")
    return joined


def _reshape(call: Lowering, source: Slot, result: Slot) -> None:
    attributes: dict[str, Attribute] = {"allowzero": 0}
    call.emit([source.name, _integers(call, result.shape)], [result.name], attributes=attributes, op_type="Reshape")


def _inner(
    call: Lowering,
    op_type: str,
    source: Slot,
    weights: Array,
    chosen: Format,
    result: Slot,
    attributes: dict[str, int],
) -> Lowering:
    """The lowering of a Conv or MatMul with these weights."""
    name = f"{call.node.name}_{'kernel' if op_type == 'Conv' else 'matrix'}"
    kind = np.dtype(np.float32)
    spatial = source.shape[1:-1] if op_type == "Conv" else ()
    onnx_shape = (source.shape[0], source.shape[-1], *spatial) if op_type == "Conv" else source.shape
    operands = (Operand(source.name, onnx_shape, kind), Operand(name, weights.shape, kind, weights))
    node = FloatNode(op_type, call.node.name, operands, (Operand(result.name, result.shape, kind),), attributes)
    dtype = DType.INT16 if call.bits == 16 else DType.INT8
    right = Slot(name, weights.shape, identity(weights.ndim), dtype, chosen, weights)
    return replace(call, node=node, inputs=(source, right), outputs=(result,), activation="Linear")
