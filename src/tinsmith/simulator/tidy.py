"""Steps of an emitted graph that are one: ONNX Runtime computes one Clip along with a convolution, but not two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tinsmith.ops.emit import Builder, Step


def merged_clips(builder: Builder, kept: Sequence[str]) -> list[Step]:
    """The graph's steps, a Clip that nothing but another Clip reads being part of that one.

    Args:
        builder: The graph.
        kept: Tensors that it gives.
    """
    reads = Counter(name for step in builder.steps for name in step.inputs)
    reads.update(kept)
    made: dict[str, Step] = {}
    gone: set[str] = set()
    for step in builder.steps:
        before = made.get(step.inputs[0]) if step.op_type == "Clip" else None
        if before is not None and reads[before.outputs[0]] == 1:
            bounds = _common(before, step, builder)
            if bounds is not None:
                gone.add(before.outputs[0])
                step = replace(step, inputs=(before.inputs[0], *bounds))
        if step.op_type == "Clip":
            made[step.outputs[0]] = step
    return [made.get(step.outputs[0], step) for step in builder.steps if step.outputs[0] not in gone]


def _common(first: Step, second: Step, builder: Builder) -> tuple[str, str] | None:
    """Constants between which both clip; None where they are computed, or nothing is between."""
    names = (*first.inputs[1:], *second.inputs[1:])
    if len(names) < 4 or any(name not in builder.constants for name in names):
        return None
    values = [float(builder.constants[name]) for name in names]
    low = names[0] if values[0] >= values[2] else names[2]
    high = names[1] if values[1] <= values[3] else names[3]
    return (low, high) if max(values[0], values[2]) <= min(values[1], values[3]) else None
