"""Gemm: the fully connected layer (arithmetic §2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops.base import INTEGER, Cost, Operator, Reuse, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.linear import (
    add_bias,
    bias_fits,
    constant_bias,
    constant_weights,
    execute,
    legal_shifts,
    linear_ports,
    packing_block,
    quantized_weights,
    sums_fit,
    unit_of,
)
from tinsmith.ops.linear_emit import product
from tinsmith.ops.linear_plan import need_constants
from tinsmith.ops.linear_work import matrix_product
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.packing import layout_doc, pack, unpack
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.ports import Ports
from tinsmith.quant.linear import Sums
from tinsmith.targets import Target


def matrix_of(call: Call) -> Array:
    """The weights (C, N), unpacked from dims (1, 1, C, N).

    Raises:
        ProgramError: They have other dims, or the node transposes or scales.
    """
    weights = call.arg(1).data
    if weights.ndim != 4 or weights.shape[:2] != (1, 1):
        raise ProgramError(f"weights {weights.shape} are not packed as (1, 1, C, N).", subject=call.node.subject)
    if call.attr("transA", 0) or call.attr("transB", 0) or (call.attr("alpha", 1.0), call.attr("beta", 1.0)) != (1, 1):
        raise ProgramError("the runtime ignores transA, transB, alpha and beta.", subject=call.node.subject)
    channels, filters = weights.shape[2:]
    flat = unpack(weights, (filters, channels, 1, 1), packing_block(call), depthwise=False)
    return flat[:, :, 0, 0].T


def compute(call: Call) -> Sequence[Array]:
    """The output sat(act(rshift(x·W + bias, s))) for every row of x (…, C)."""
    unit_of(call)
    x = call.arg(0).data
    sums = Sums.product(x.reshape(-1, x.shape[-1]), matrix_of(call))
    return [execute(call, sums).reshape(*x.shape[:-1], sums.channels)]


def shape(call: Call) -> list[tuple[int, ...]]:
    """(…, N)."""
    return [(*call.arg(0).data.shape[:-1], call.arg(1).data.shape[-1])]


def emit(e: Emit) -> None:
    """Append the node."""
    unit_of(e.call)
    need_constants(e)
    e.give(product(e, matrix_of(e.call)))


def ports(node: FloatNode, target: Target) -> Ports:
    """Weights have one exponent per output channel where the chip has them."""
    return linear_ports(node, axis=0 if node.integer("transB", 0) else 1)


def sums_fit_in(call: Call) -> str | None:
    """Accumulators that do not saturate must hold every sum."""
    return sums_fit(call, matrix_of(call).T, depthwise=False)


def lower(call: Lowering) -> None:
    """One Gemm with transB resolved to 0 and weights of dims (1, 1, C, N)."""
    weights, chosen = quantized_weights(call)
    if not call.node.integer("transB", 0):
        weights = weights.T
    filters, channels = weights.shape
    block = call.target.linear[call.bits].block
    packed = pack(weights[:, :, None, None], block, depthwise=False).reshape(1, 1, channels, filters)
    doc = layout_doc(filters, block, depthwise=False)
    names = [call.name(0), call.sink.add_constant(call.slot(1).name, packed, chosen.exponents, doc)]
    names += add_bias(call, call.inputs[2] if len(call.inputs) > 2 else None, filters, chosen)
    call.emit(names, attributes={"activation": call.activation, "alpha": 1.0, "beta": 1.0, "transB": 0})


def cost(node: FloatNode) -> Cost:
    """One multiply-accumulate per weight and row."""
    rows = int(np.prod(node.outputs[0].shape[:-1]))
    return Cost(rows * int(np.prod(node.input(1).shape)), "conv2d")


@constraint
def plain(node: FloatNode, target: Target) -> bool:
    """The runtime has no transA, alpha or beta.

    Transpose the input first, and multiply the factors into the weights.
    """
    factors = (node.real("alpha", 1.0), node.real("beta", 1.0) if node.has(2) else 1.0)
    return node.integer("transA", 0) == 0 and factors == (1.0, 1.0)


def passage(node: FloatNode) -> Passage | Weighted:
    """Both sides of the matrix take factors."""
    if node.const(1) is None or node.integer("transA", 0):
        return Passage.STOPS
    rows = 0 if node.integer("transB", 0) else 1
    return Weighted(channels=-1, rows=rows, columns=1 - rows)


OPERATORS = (
    Operator(
        name="Gemm",
        compute=compute,
        emit=emit,
        shape=shape,
        types=INTEGER,
        ports=ports,
        lower=lower,
        constraints=(constant_weights, constant_bias, plain),
        rules=(legal_shifts, bias_fits, sums_fit_in),
        cost=cost,
        fuses_relu=True,
        passage=passage,
        reuse=Reuse.NONE,
        work=matrix_product,
    ),
)
