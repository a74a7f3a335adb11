"""PRelu with slopes that the runtime does not have becomes Relu(x) - slope · Relu(-x).

It has constant slopes that differ along one axis or not at all. Equal by definition, whatever the slopes' shape.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import each, insert, is_constant, present, shape_of, swap


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("PRelu",), _spell_out)


def _spell_out(node: ir.Node) -> bool:
    source, slope = present(node, 0), present(node, 1)
    shape = shape_of(source)
    if is_constant(slope) and sum(extent != 1 for extent in shape_of(slope)) < 2:
        return False
    above = insert(node, "Relu", [source], shape, name=f"{node.name}_above")
    turned = insert(node, "Neg", [source], shape, name=f"{node.name}_turned")
    below = insert(node, "Relu", [turned], shape, name=f"{node.name}_below")
    scaled = insert(node, "Mul", [below, slope], shape, name=f"{node.name}_scaled")
    swap(node, "Sub", [above, scaled])
    return True
