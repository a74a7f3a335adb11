"""A ConvTranspose whose pads cut off more than its kernel reaches keeps what it can and gets a Slice behind.

On the chip a ConvTranspose is a Conv with dilation · (kernel - 1) - pad elements of padding, which cannot be negative.
Exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    each,
    get_ints,
    graph_of,
    insert,
    name_after,
    present,
    shape_of,
    swap,
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("ConvTranspose",), _crop)


def _crop(node: ir.Node) -> bool:
    result = shape_of(node.outputs[0])
    count = len(result) - 2
    if "auto_pad" in node.attributes or "output_shape" in node.attributes:
        return False
    kernel, pads = shape_of(present(node, 1))[2:], get_ints(node, "pads", (0,) * (2 * count))
    reach = [d * (k - 1) for d, k in zip(get_ints(node, "dilations", (1,) * count), kernel, strict=True)] * 2
    cut = [max(0, pad - most) for pad, most in zip(pads, reach, strict=True)]
    if not any(cut):
        return False
    full = [out + before + after for out, before, after in zip(result[2:], cut[:count], cut[count:], strict=True)]
    kept = tuple(pad - more for pad, more in zip(pads, cut, strict=True))
    attributes = {name: attribute.value for name, attribute in node.attributes.items()} | {"pads": kept}
    whole = insert(node, "ConvTranspose", node.inputs, (*result[:2], *full), attributes, name=f"{node.name}.whole")
    stops = [before + out for before, out in zip(cut, result[2:], strict=False)]
    rows = (cut[:count], stops, range(2, 2 + count), [1] * count)
    bounds = [add_constant(graph_of(node), np.array(row, np.int64), f"{node.name}.crop") for row in rows]
    name_after(swap(node, "Slice", [whole, *bounds]), whole, "crop")
    return True
