"""Drops what GRU, LSTM and RNN are given but have anyway.

Initial states of zeros are the default, and so are sequence lengths that span the whole sequence. Exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import constant, each, get_int, input_of, leave_out, present, shape_of


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("GRU", "LSTM", "RNN"), _simplify)


def _simplify(node: ir.Node) -> bool:
    steps = shape_of(present(node, 0))[get_int(node, "layout", 0)]
    changed = False
    for index, default in ((4, steps), (5, 0), (6, 0)):
        array = constant(input_of(node, index))
        if array is not None and np.all(array == default):
            changed |= leave_out(node, index, index + 1)
    return changed
