"""Takes a Pad of height and width into the Conv or pool behind it.

- Conv pads with zeros itself.
- AveragePool without padding of its own: with pads and count_include_pad = 1 the zeros count as before. Only with at
  least as much in front as behind.
- MaxPool ignores its padding. That is the same as zeros where the input has no negative value (behind Relu, Sigmoid and
  their like) and every window sees an element, and the same as a Pad with the lowest float.

Exact. Pads that cut, or that pad other dimensions, stay, and so do those without which the runtime would walk wrongly.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    discard,
    each,
    get_int,
    get_ints,
    get_string,
    input_of,
    integers,
    present,
    producer,
    scalar,
    set_attributes,
    shape_of,
)
from tinsmith.graph.passes.clip import bounds
from tinsmith.ops.windows import Walk, trouble

_NOT_NEGATIVE = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "Softmax", "Exp", "Sqrt")
_CHOOSING = ("MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape", "Transpose", "Slice")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Conv", "MaxPool", "AveragePool"), _fuse)


def _fuse(node: ir.Node) -> bool:
    pad = producer(present(node, 0), "Pad")
    if pad is None or get_string(pad, "mode", "constant") != "constant":
        return False
    rank, amounts = len(shape_of(present(pad, 0))), integers(input_of(pad, 1))
    value = 0.0 if input_of(pad, 2) is None else scalar(input_of(pad, 2))
    own = get_ints(node, "pads", (0,) * (2 * (rank - 2)))
    if amounts is None or len(amounts) != 2 * rank or value is None or min(amounts) < 0:
        return False
    if any(amounts[axis] for axis in (0, 1, rank, rank + 1)):
        return False
    added = amounts[2:rank] + amounts[rank + 2 :]
    pads = tuple(a + b for a, b in zip(own, added, strict=True))
    if not _same(node, pad, value, own, pads):
        return False
    if node.op_type == "AveragePool":
        set_attributes(node, {"count_include_pad": 1})
    set_attributes(node, {"pads": pads})
    node.replace_input_with(0, present(pad, 0))
    discard(pad)
    return True


def _same(node: ir.Node, pad: ir.Node, value: float, own: tuple[int, ...], pads: tuple[int, ...]) -> bool:
    if node.op_type == "Conv":
        return value == 0
    kernel = get_ints(node, "kernel_shape", ())
    if get_int(node, "ceil_mode", 0) or any(p >= k for p, k in zip(pads, (*kernel, *kernel), strict=True)):
        return False
    lengths, strides = shape_of(present(pad, 0))[2:], get_ints(node, "strides", (1,) * len(kernel))
    if trouble(lengths, Walk(kernel, strides, pads[: len(kernel)], pads[len(kernel) :])) is not None:
        return False
    if node.op_type == "AveragePool":
        # Older ONNX Runtimes (1.24) average wrongly where more padding counts behind the data than in front of it.
        half = len(kernel)
        if any(behind > front for front, behind in zip(pads[:half], pads[half:], strict=True)):
            return False
        return value == 0 and (not any(own) or get_int(node, "count_include_pad", 0) == 1)
    lowest = value == -math.inf or value <= float(np.finfo(np.float32).min)
    return len(node.outputs) == 1 and (lowest or (value == 0 and _not_negative(present(pad, 0))))


def _not_negative(value: ir.Value, depth: int = 8) -> bool:
    """Whether a value is known to be at least 0."""
    node = producer(value, *_NOT_NEGATIVE, *_CHOOSING)
    if node is None or depth == 0:
        return False
    if node.op_type in _CHOOSING:
        inputs = [operand for operand in node.inputs[: None if node.op_type == "Concat" else 1] if operand is not None]
        return all(_not_negative(operand, depth - 1) for operand in inputs)
    limits = bounds(node) if node.op_type in ("Relu", "Clip") else (0.0, math.inf)
    return limits is not None and limits[0] >= 0
