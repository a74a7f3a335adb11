"""An input that is only cast to float is a float input.

Cameras deliver bytes, and exporters write uint8 inputs with a Cast behind them. The chip's inputs are quantized floats
either way: the Cast goes, and the input takes its type. The same values; what the network is fed with changes type.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import replace


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = False
    for value in graph.inputs:
        users = tuple(value.consumers())
        if value.dtype in (ir.DataType.FLOAT, ir.DataType.STRING) or value.is_graph_output() or not users:
            continue
        if all(node.op_type == "Cast" and node.outputs[0].dtype == ir.DataType.FLOAT for node in users) and not any(
            node.outputs[0].is_graph_output() for node in users
        ):
            value.type = ir.TensorType(ir.DataType.FLOAT)
            for node in users:
                changed |= replace(node.outputs[0], value)
    return changed
