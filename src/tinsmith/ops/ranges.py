"""What is known about the values of a tensor in the graph under construction: proofs get sharper with it."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.emit import MAGIC, Builder, Step
from tinsmith.quant.rounding import qrange

Range = tuple[float, float]
_SAME = frozenset(
    (
        "Identity",
        "Transpose",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Cast",
        "MaxPool",
        "Expand",
    )
)
"""Operators whose outputs hold nothing but elements of input 0."""
_ROUND = frozenset(("Round", "Floor", "Ceil"))


def known_range(builder: Builder, tensor: str, bits: int) -> Range:
    """Bounds of ``tensor``'s elements as far as the steps that compute it show, at most those of its integer type.

    Args:
        builder: The graph.
        tensor: The carrier of integers of ``bits`` bits.
        bits: 8 or 16.
    """
    lowest, highest = qrange(bits)
    outer = (float(lowest), float(highest))
    low, high = _range(builder, tensor, outer, 0)
    return max(low, outer[0]), min(high, outer[1])


def _range(builder: Builder, tensor: str, outer: Range, depth: int) -> Range:
    if tensor in builder.constants:
        data = builder.constants[tensor]
        return (float(np.min(data)), float(np.max(data))) if data.size else outer
    step = builder.producer(tensor)
    if step is None or depth > 64:
        return outer

    def of(name: str) -> Range:
        return _range(builder, name, outer, depth + 1)

    if step.op_type == "Clip":
        return of(step.inputs[1])[0], of(step.inputs[2])[1]
    if step.op_type == "Relu":
        return 0.0, max(0.0, of(step.inputs[0])[1])
    rounds = step.inputs[0] if step.op_type in _ROUND else _rounded_by_addition(builder, step)
    if rounds is not None:
        low, high = of(rounds)
        return float(np.floor(low)), float(np.ceil(high))
    if step.op_type in _SAME or step.op_type == "Gather":
        return of(step.inputs[0])
    if step.op_type == "Concat":
        parts = [of(name) for name in step.inputs]
        return min(low for low, _ in parts), max(high for _, high in parts)
    return outer


def _rounded_by_addition(builder: Builder, step: Step) -> str | None:
    """What ``step`` rounds where it takes back the constant that the step before it added; see `Emit.rounded_small`."""
    before = builder.producer(step.inputs[0])
    if before is None or (before.op_type, step.op_type) != ("Add", "Sub"):
        return None
    added, taken = (builder.constants.get(name) for name in (before.inputs[-1], step.inputs[-1]))
    if added is None or taken is None or not np.all(added == MAGIC) or not np.all(taken == MAGIC):
        return None
    return before.inputs[0]
