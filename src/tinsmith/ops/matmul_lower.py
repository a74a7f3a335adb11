"""From a float MatMul to a MatMul node whose right side is in packed order (file format §6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import Perm, identity, original
from tinsmith.ops.linear import quantized_weights
from tinsmith.ops.lowering import PLAIN, Lowering
from tinsmith.ops.packing import layout_doc, pack_matrices, vector_filters

_SMALLEST_BLOCK = 8
"""Filters per vector in int16; in int8 a multiple of that."""


def lower(call: Lowering) -> None:
    """One MatMul; a constant right side is packed, a computed one brought into that order by nodes in front."""
    right = _constant(call) if call.slot(1).const is not None else _packed(call)
    call.emit([call.name(0), right], attributes={"activation": call.activation})


def _constant(call: Lowering) -> str:
    integers, chosen = quantized_weights(call)
    block = call.target.linear[call.bits].block
    filters = 1 if integers.ndim == 1 else integers.shape[-1]
    packed = integers if integers.ndim == 1 else pack_matrices(integers, block)
    return call.sink.add_constant(
        call.slot(1).name, packed, chosen.exponents, layout_doc(filters, block, depthwise=False)
    )


def layout(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """The ONNX order, but a computed right side (…, C, N) as (…, N, C) where that saves moving it twice.

    It does where the right side is there in that order, and where packing starts from it and the right side has to be
    moved anyway.
    """
    wanted, given = original(node, available)
    right, perm = node.input(1), available[1]
    if right.const is None and perm is not None and right.rank >= 2 and perm != identity(right.rank):
        turned = _turned(right.rank)
        unaligned = right.shape[-1] > 1 and right.shape[-1] % _SMALLEST_BLOCK != 0
        if perm == turned or unaligned:
            wanted[1] = turned
    return wanted, given


def _turned(rank: int) -> Perm:
    return (*range(rank - 2), rank - 1, rank - 2)


def _packed(call: Lowering) -> str:
    """The computed right side (…, C, N) in packed order."""
    source, block = call.slot(1), call.target.linear[call.bits].block
    if len(source.shape) == 1:
        return source.name
    steps = _Steps(call)
    is_turned = source.perm == _turned(len(source.shape))
    *batch, channels, filters = source.shape
    matrices = math.prod(batch)
    if is_turned:
        channels, filters = filters, channels
    if filters in (1, block):
        return steps.swap(source.name, -2, -1) if is_turned else source.name
    split = vector_filters(filters, block)
    if split == filters and not is_turned:
        blocked = steps.reshape(source.name, (matrices, channels, filters // block, block))
        return steps.reshape(steps.swap(blocked, -3, -2), source.shape)
    turned = source.name if is_turned else steps.swap(source.name, -2, -1)
    if split:
        first = turned if split == filters else steps.slice(turned, 0, split)
        blocked = steps.reshape(first, (matrices, split // block, block, channels))
        vectors = steps.swap(blocked, -2, -1)
        if split < filters:
            vectors = steps.reshape(vectors, (*batch, split, channels))
            vectors = steps.concat([vectors, steps.slice(turned, split, filters)])
        turned = vectors
    return steps.reshape(turned, (*batch, channels, filters))


class _Steps:
    """Data movers in front of a MatMul, on values of the right side's type and exponent."""

    def __init__(self, call: Lowering) -> None:
        self.call = call
        self.shapes = {call.slot(1).name: call.slot(1).shape}

    def reshape(self, value: str, shape: tuple[int, ...]) -> str:
        return self._step("Reshape", [value, self._integers(shape)], shape, {"allowzero": 0})

    def swap(self, value: str, first: int, second: int) -> str:
        """Exchange two dimensions."""
        shape = list(self.shapes[value])
        perm = list(range(len(shape)))
        perm[first], perm[second] = perm[second], perm[first]
        return self._step("Transpose", [value], tuple(shape[axis] for axis in perm), {"perm": tuple(perm)})

    def slice(self, value: str, start: int, stop: int) -> str:
        """Some of the last dimension but one."""
        shape = self.shapes[value]
        axis = len(shape) - 2
        parameters = [self._integers((number,)) for number in (start, stop, axis, 1)]
        return self._step("Slice", [value, *parameters], (*shape[:-2], stop - start, shape[-1]), {})

    def concat(self, values: list[str]) -> str:
        """Along the last dimension but one."""
        shape = self.shapes[values[0]]
        total = sum(self.shapes[value][-2] for value in values)
        return self._step("Concat", values, (*shape[:-2], total, shape[-1]), {"axis": len(shape) - 2})

    def _integers(self, numbers: tuple[int, ...]) -> str:
        name = f"{self.call.node.name}_{'x'.join(map(str, numbers))}"
        return self.call.sink.add_constant(name, np.asarray(numbers, np.int64), (0,), PLAIN)

    def _step(
        self, op_type: str, inputs: list[str], shape: tuple[int, ...], attributes: dict[str, int | tuple[int, ...]]
    ) -> str:
        source = self.call.slot(1)
        name = self.call.sink.add_value(f"{source.name}_packed", source.dtype, shape, source.exponents)
        self.shapes[name] = shape
        self.call.emit(inputs, [name], attributes=attributes, op_type=op_type, name=f"{name}_{op_type}")
        return name
