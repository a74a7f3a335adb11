"""MatMul: matrix products with a constant or a computed right side."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.base import INTEGER, Cost, Operator, Reuse, constraint
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.linear import legal_shifts, linear_ports
from tinsmith.ops.linear_work import matrix_product
from tinsmith.ops.matmul_emit import emit
from tinsmith.ops.matmul_kernel import compute, shape
from tinsmith.ops.matmul_lower import layout, lower
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.ports import ACTIVATION, Ports
from tinsmith.targets import Target


def ports(node: FloatNode, target: Target) -> Ports:
    """A constant right side is weights with one exponent, on every chip."""
    if node.const(1) is None:
        return Ports((ACTIVATION, ACTIVATION), (ACTIVATION,), product=(0, 1))
    return linear_ports(node, axis=None)


def cost(node: FloatNode) -> Cost:
    """One multiply-accumulate per output element and inner element."""
    return Cost(int(np.prod(node.outputs[0].shape)) * node.input(0).shape[-1], "conv2d")


@constraint
def four_dimensions(node: FloatNode, target: Target) -> bool:
    """The runtime multiplies matrices of up to four dimensions. Merge the leading ones with a Reshape."""
    return all(operand is not None and 1 <= operand.rank <= 4 for operand in node.inputs)


def passage(node: FloatNode) -> Passage | Weighted:
    """A constant matrix on the right takes factors on both sides."""
    matrix = node.const(1)
    if matrix is None or matrix.ndim != 2:
        return Passage.STOPS
    return Weighted(channels=-1, rows=1, columns=0)


OPERATORS = (
    Operator(
        name="MatMul",
        compute=compute,
        emit=emit,
        shape=shape,
        types=INTEGER,
        ports=ports,
        layout=layout,
        lower=lower,
        constraints=(four_dimensions,),
        rules=(legal_shifts,),
        cost=cost,
        fuses_relu=True,
        passage=passage,
        reuse=Reuse.NONE,
        work=matrix_product,
    ),
)
