"""Stores equal constants once: steps of a layer spelled out come with a copy of the weights each. Exact."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import constant, drop_unused

_LEAST_BYTES = 64
_LOOK = 64
"""Smaller constants are not worth a look; of larger ones so many elements tell most apart."""


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    known: dict[Hashable, list[ir.Value]] = {}
    changed = False
    for value in tuple(graph.initializers.values()):
        array = constant(value)
        if array is None or array.dtype.kind not in "fi" or array.nbytes < _LEAST_BYTES or value.is_graph_output():
            continue
        key = (array.dtype.str, array.shape, array.reshape(-1)[:_LOOK].tobytes())
        others = known.setdefault(key, [])
        same = next((other for other in others if np.array_equal(constant(other), array)), None)  # type: ignore[arg-type]
        if same is None:
            others.append(value)
            continue
        value.replace_all_uses_with(same)
        drop_unused(value)
        changed = True
    return changed
