"""Ranges that a model brings with it: what its author's quantizer found, or training chose, for some of its values.

An importer attaches them to the model under the names of its values (`attach`), in the model's metadata, so that they
survive copies and files. Rewrites keep names for what is the same value, up to the order of its elements, but for a
factor that moves from one side of a value to the other; `check` finds those by running both networks once. A range
whose value is gone is gone with it (`ranges_of`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from tinsmith.errors import ModelError
from tinsmith.graph.edit import Array, shape_of

Range = tuple[float, float]
"""The smallest and the largest number a value takes, beyond which it saturates."""

Ranges = Mapping[str, Range]
"""Ranges by the name of the value."""

_KEY = "tinsmith.ranges"
_LARGEST = 1e30
_CLOSE = 1e-3


def attach(model: ir.Model, ranges: Ranges) -> None:
    """Gives a model ranges, beside those it has; where a value has one already, both are within the new one.

    Args:
        model: Changed in place.
        ranges: Ranges of graph inputs and results of nodes, as real numbers; what is no range is left out.
    """
    found = _read(model)
    for name, (low, high) in ranges.items():
        if max(abs(low), abs(high)) < _LARGEST and low <= high:
            before = found.get(name, (low, high))
            found[name] = (min(low, before[0]), max(high, before[1]))
    if found:
        model.metadata_props[_KEY] = json.dumps(found)


def ranges_of(model: ir.Model) -> dict[str, Range]:
    """The ranges of values that the model still computes, or is fed with."""
    found = _read(model)
    if not found:
        return {}
    graph = model.graph
    names = [value.name or "" for value in (*graph.inputs, *(value for node in graph for value in node.outputs))]
    return {name: found[name] for name in names if name in found}


def check(before: ir.Model, after: ir.Model) -> None:
    """Corrects the ranges of values that hold other numbers after rewrites: scaled, or none where nothing relates them.

    Args:
        before: Static shapes, opset 24.
        after: The same network rewritten; its metadata are changed in place.
    """
    from tinsmith.graph.execute import Runner

    names = [name for name in ranges_of(before) if name in ranges_of(after)]
    inputs = {value.name or "": value for value in before.graph.inputs}
    computed = [name for name in names if name not in inputs]
    if not computed:
        return
    dice = np.random.default_rng(0)
    feeds = {name: dice.normal(size=shape_of(value)) for name, value in inputs.items()}
    try:
        old, new = (
            Runner(model, computed)({v.name or "": _typed(feeds[v.name or ""], v) for v in model.graph.inputs})
            for model in (before, after)
        )
    except ModelError:  # it will be told when the network runs on data
        return
    found = _read(after)
    for name in computed:
        factor = _factor(old[name], new[name])
        if factor is None:
            del found[name]
        elif factor != 1.0:
            found[name] = (found[name][0] * factor, found[name][1] * factor)
    after.metadata_props[_KEY] = json.dumps(found)


def _typed(noise: Array, value: ir.Value) -> Array:
    dtype = np.dtype(np.float32 if value.dtype is None else value.dtype.numpy())
    return noise.astype(dtype) if dtype.kind == "f" else (noise > 0).astype(dtype)


def _factor(old: Array, new: Array) -> float | None:
    """What turns the elements of one value into another's, in any order; None where nothing positive does."""
    if old.size != new.size:
        return None
    first, second = (np.sort(array.astype(np.float64).reshape(-1)) for array in (old, new))
    largest = np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0)
    if not all(np.isfinite(largest)) or (largest[0] == 0) != (largest[1] == 0):
        return None
    factor = 1.0 if largest[0] == 0 else largest[1] / largest[0]
    factor = 1.0 if abs(factor - 1) < _CLOSE else factor
    return float(factor) if np.allclose(second, factor * first, rtol=0, atol=_CLOSE * largest[1]) else None


def _read(model: ir.Model) -> dict[str, Range]:
    """What the metadata hold; anything that is not as `attach` writes it counts as absent."""
    try:
        parsed = json.loads(model.metadata_props.get(_KEY, "{}"))
        return {str(name): (float(low), float(high)) for name, (low, high) in parsed.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
