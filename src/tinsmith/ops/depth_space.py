"""DepthToSpace and SpaceToDepth, on NHWC tensors.

The runtime's SpaceToDepth orders channels (c, row, column), as PyTorch's ``pixel_unshuffle`` does, where ONNX has
(row, column, c). Found by comparing with the runtime's own outputs. A float network's node therefore becomes what ONNX
means, built from Reshape and Transpose, unless there is a single channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import Operator, Reuse, Shape, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import spatial
from tinsmith.ops.lowering import PLAIN, Lowering, lower_plain
from tinsmith.ops.movers import refuse, same_format
from tinsmith.ops.passage import moves
from tinsmith.program import Attribute
from tinsmith.targets import Target


def _block(call: Call) -> int:
    size = call.attr("blocksize", 0)
    if size < 1 or call.arg(0).data.ndim != 4:
        raise refuse(call, f"blocksize {size} of {call.arg(0).data.shape}: four dimensions and a block of 1 or more.")
    return size


def _depth_to_space(call: Call) -> Sequence[Array]:
    """(N, H, W, C) → (N, H·b, W·b, C/b²); channel = (row, column, c) in mode DCR, (c, row, column) in CRD."""
    x, b, mode = call.arg(0).data, _block(call), call.attr("mode", "DCR")
    n, h, w, channels = x.shape
    c = channels // (b * b)
    if channels % (b * b) or mode not in ("DCR", "CRD"):
        raise refuse(call, f"{channels} channels, blocksize {b} and mode {mode!r} do not fit.")
    if mode == "DCR":
        y = x.reshape(n, h, w, b, b, c).transpose(0, 1, 3, 2, 4, 5)
    else:
        y = x.reshape(n, h, w, c, b, b).transpose(0, 1, 4, 2, 5, 3)
    return [np.ascontiguousarray(y).reshape(n, h * b, w * b, c)]


def _space_to_depth(call: Call) -> Sequence[Array]:
    """(N, H, W, C) → (N, H/b, W/b, C·b²), channel = (c, row, column)."""
    x, b = call.arg(0).data, _block(call)
    n, height, width, c = x.shape
    if height % b or width % b:
        raise refuse(call, f"{height} × {width} is no multiple of blocksize {b}.")
    h, w = height // b, width // b
    y = x.reshape(n, h, b, w, b, c).transpose(0, 1, 3, 5, 2, 4)
    return [np.ascontiguousarray(y).reshape(n, h, w, c * b * b)]


def _emit_depth_to_space(emit: Emit) -> None:
    call, b = emit.call, _block(emit.call)
    n, h, w, channels = call.arg(0).data.shape
    c = channels // (b * b)
    if call.attr("mode", "DCR") == "DCR":
        _emit_blocks(emit, (n, b, b, c, h, w), (0, 3, 4, 1, 5, 2), (n, c, h * b, w * b))
    else:
        _emit_blocks(emit, (n, c, b, b, h, w), (0, 1, 4, 2, 5, 3), (n, c, h * b, w * b))


def _emit_space_to_depth(emit: Emit) -> None:
    b, (n, height, width, c) = _block(emit.call), emit.call.arg(0).data.shape
    h, w = height // b, width // b
    _emit_blocks(emit, (n, c, h, b, w, b), (0, 1, 3, 5, 2, 4), (n, c * b * b, h, w))


def _emit_blocks(emit: Emit, blocks: Shape, perm: Shape, result: Shape) -> None:
    """Channels-first, as Reshape, Transpose, Reshape: ONNX Runtime has those for every type."""
    apart = emit.op("Reshape", emit.x(0, "first"), emit.constant(blocks, np.int64))
    moved = emit.op("Transpose", apart, perm=perm)
    emit.give(emit.op("Reshape", moved, emit.constant(result, np.int64)), layout="first")


def _lower_space_to_depth(call: Lowering) -> None:
    """Channels in the order of ONNX: (N·H/b, b, W/b, b·C) with its middle dimensions swapped."""
    source, result, b = call.slot(0), call.outputs[0], call.node.integer("blocksize", 1)
    n, height, width, c = source.shape
    if c == 1:
        lower_plain(call)
        return
    h, w = height // b, width // b
    rows = _reshape(call, source.name, (n * h, b, w, b * c), "rows")
    blocks = call.sink.add_value(f"{call.node.name}_blocks", result.dtype, (n * h, w, b, b * c), result.exponents)
    attributes: dict[str, Attribute] = {"perm": (0, 2, 1, 3)}
    call.emit([rows], [blocks], attributes=attributes, op_type="Transpose", name=f"{call.node.name}_Transpose")
    _reshape(call, blocks, result.shape, "shape", result.name)


def _reshape(call: Lowering, source: str, shape: tuple[int, ...], suffix: str, name: str = "") -> str:
    like = call.outputs[0]
    result = name or call.sink.add_value(f"{call.node.name}_{suffix}", like.dtype, shape, like.exponents)
    dims = call.sink.add_constant(f"{result}_shape", np.asarray(shape, np.int64), (0,), PLAIN)
    call.emit([source, dims], [result], attributes={"allowzero": 0}, op_type="Reshape")
    return result


def _fits(node: FloatNode, target: Target) -> bool:
    """Channels (DepthToSpace) or height and width (SpaceToDepth) of a 4-D tensor must be multiples of the block.

    Pad the tensor first.
    """
    x, b = node.input(0), node.integer("blocksize", 1)
    if x.rank != 4:
        return False
    if node.op_type == "DepthToSpace":
        return x.shape[1] % (b * b) == 0
    return x.shape[2] % b == x.shape[3] % b == 0


OPERATORS = (
    Operator(
        "DepthToSpace",
        _depth_to_space,
        emit=_emit_depth_to_space,
        layout=spatial,
        constraints=(constraint(_fits),),
        rules=(same_format,),
        passive=True,
        passage=moves,
        reuse=Reuse.NONE,
    ),
    Operator(
        "SpaceToDepth",
        _space_to_depth,
        emit=_emit_space_to_depth,
        layout=spatial,
        lower=_lower_space_to_depth,
        constraints=(constraint(_fits),),
        rules=(same_format,),
        passive=True,
        passage=moves,
        reuse=Reuse.NONE,
    ),
)
