"""In which order of dimensions an element-wise node joins the compiled graph.

Convolutions leave their results channels-first. Nodes that do not care about the order go on in whichever order their
inputs are in, so that no Transpose comes between a convolution and the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.emit import Emit, Layout
from tinsmith.program import DType


def common_layout(emit: Emit, indices: Sequence[int] = (0,)) -> Layout:
    """The order for the inputs ``indices``, which are computed values or constants that broadcast.

    Channels-first where a computed input already is, and all computed inputs have the output's rank.
    """
    names = [emit.call.node.inputs[i] for i in indices if not emit.is_const(i)]
    ranks = {emit.call.arg(i).data.ndim for i in indices if not emit.is_const(i)}
    rank = max(emit.call.arg(i).data.ndim for i in indices)
    if ranks == {rank} and rank >= 3 and any((name, "first") in emit.builder.places for name in names):
        return "first"
    return "file"


def operand(emit: Emit, index: int, layout: Layout, rank: int) -> str:
    """Input ``index`` in ``layout``, ready to broadcast against tensors of ``rank`` dimensions."""
    if layout == "file" or not emit.is_const(index):
        return emit.x(index, layout)
    data = emit.call.arg(index).data
    carrier = data.astype(np.float32) if DType.of(data.dtype).quantized else data
    return emit.constant(np.moveaxis(carrier.reshape((1,) * (rank - data.ndim) + data.shape), -1, 1))


def placed_shape(emit: Emit, index: int, layout: Layout) -> tuple[int, ...]:
    """The shape of input ``index`` in ``layout``."""
    shape = emit.call.arg(index).data.shape
    return shape if layout == "file" or len(shape) < 3 else (shape[0], shape[-1], *shape[1:-1])
