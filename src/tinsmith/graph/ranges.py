"""Ranges that a model brings with it: what its author's quantizer found, or training chose, for some of its values.

An importer attaches them to the model under the names of its values (`attach`), in the model's metadata, so that they
survive copies and files. Rewrites keep names for what is the same value, up to the order of its elements; a range whose
value is gone is gone with it (`ranges_of`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import onnx_ir as ir

Range = tuple[float, float]
"""The smallest and the largest number a value takes, beyond which it saturates."""

Ranges = Mapping[str, Range]
"""Ranges by the name of the value."""

_KEY = "tinsmith.ranges"
_LARGEST = 1e30


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


def _read(model: ir.Model) -> dict[str, Range]:
    """What the metadata hold; anything that is not as `attach` writes it counts as absent."""
    try:
        parsed = json.loads(model.metadata_props.get(_KEY, "{}"))
        return {str(name): (float(low), float(high)) for name, (low, high) in parsed.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
