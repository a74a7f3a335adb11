"""MatMul: matrix products with a constant or a computed right side, both in packed order (FORMAT §6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import INTEGER, Cost, Operator, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.linear import execute, legal_shifts, linear_ports, packing_block, quantized_weights, unit_of
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.packing import layout_doc, pack_matrices, unpack_matrices, vector_filters
from tinsmith.ops.ports import ACTIVATION, Ports
from tinsmith.quant.linear import Sums
from tinsmith.targets import Target


def sides(call: Call) -> tuple[Array, Array]:
    """Left (…, M, C) and right (…, C, N) side, the right one unpacked, both with at least two dimensions."""
    left, right = call.arg(0).data, call.arg(1).data
    left = left[None] if left.ndim == 1 else left
    right = right[:, None] if right.ndim == 1 else right
    return left, unpack_matrices(right, packing_block(call))


def shape(call: Call) -> list[tuple[int, ...]]:
    """As numpy's matmul.

    Raises:
        ValueError: The shapes do not multiply.
    """
    left, right = call.arg(0).data, call.arg(1).data
    rows, columns = left.shape[-2:-1], right.shape[-1:] if right.ndim > 1 else ()
    if left.shape[-1] != right.shape[max(0, right.ndim - 2)]:
        raise ValueError(f"shapes {left.shape} and {right.shape} do not multiply")
    return [(*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), *rows, *columns)]


def compute(call: Call) -> Sequence[Array]:
    """The output sat(act(rshift(a·b, s))), batch dimensions broadcast."""
    unit_of(call)
    left, right = sides(call)
    (result,) = shape(call)
    if right.size == right.shape[-1] * right.shape[-2]:
        matrix = right.reshape(right.shape[-2:])
        return [execute(call, Sums.product(left.reshape(-1, left.shape[-1]), matrix)).reshape(result)]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    lefts = np.broadcast_to(left, batch + left.shape[-2:]).reshape(-1, *left.shape[-2:])
    rights = np.broadcast_to(right, batch + right.shape[-2:]).reshape(-1, *right.shape[-2:])
    products = [execute(call, Sums.product(a, b)) for a, b in zip(lefts, rights, strict=True)]
    return [np.stack(products).reshape(result)]


def ports(node: FloatNode, target: Target) -> Ports:
    """A constant right side is weights with one exponent, on every chip."""
    if node.const(1) is None:
        return Ports((ACTIVATION, ACTIVATION), (ACTIVATION,), product=(0, 1))
    return linear_ports(node, axis=None)


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


def _packed(call: Lowering) -> str:
    """The computed right side (…, C, N) in packed order."""
    source, block = call.slot(1), call.target.linear[call.bits].block
    if len(source.shape) == 1 or source.shape[-1] in (1, block):
        return source.name
    steps = _Steps(call)
    *batch, channels, filters = source.shape
    split = vector_filters(filters, block)
    if split == filters:
        blocked = steps.reshape(source.name, (*batch, channels, filters // block, block))
        return steps.reshape(steps.swap(blocked, -3, -2), source.shape)
    turned = steps.swap(source.name, -2, -1)
    if split:
        blocked = steps.reshape(steps.slice(turned, 0, split), (*batch, split // block, block, channels))
        vectors = steps.reshape(steps.swap(blocked, -2, -1), (*batch, split, channels))
        turned = steps.concat([vectors, steps.slice(turned, split, filters)])
    return steps.reshape(turned, source.shape)


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
        return self.call.sink.add_constant(name, np.asarray(numbers, np.int64), (0,), "layout ==> UNK")

    def _step(
        self, op_type: str, inputs: list[str], shape: tuple[int, ...], attributes: dict[str, int | tuple[int, ...]]
    ) -> str:
        source = self.call.slot(1)
        name = self.call.sink.add_value(f"{source.name}_packed", source.dtype, shape, source.exponents)
        self.shapes[name] = shape
        self.call.emit(inputs, [name], attributes=attributes, op_type=op_type, name=f"{name}_{op_type}")
        return name


def cost(node: FloatNode) -> Cost:
    """One multiply-accumulate per output element and inner element."""
    return Cost(int(np.prod(node.outputs[0].shape)) * node.input(0).shape[-1], "conv2d")


@constraint
def four_dimensions(node: FloatNode, target: Target) -> bool:
    """The runtime multiplies matrices of up to four dimensions. Merge the leading ones with a Reshape."""
    return all(operand is not None and 1 <= operand.rank <= 4 for operand in node.inputs)


OPERATORS = (
    Operator(
        name="MatMul",
        compute=compute,
        shape=shape,
        types=INTEGER,
        ports=ports,
        lower=lower,
        constraints=(four_dimensions,),
        rules=(legal_shifts,),
        cost=cost,
        fuses_relu=True,
    ),
)
