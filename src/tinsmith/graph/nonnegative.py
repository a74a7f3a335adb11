"""Which values are known not to be negative, by the operators that compute them."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import constant, input_of, operands, scalar

_RESULTS = frozenset(
    ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Exp", "Abs", "Sqrt", "ReduceL1", "ReduceL2")
)
"""Operators whose results never are."""
_DATA = {
    **dict.fromkeys(("Add", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Concat"), None),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax"), 1),
    **dict.fromkeys(("ReduceSum", "Identity", "Cast", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"), 1),
    **dict.fromkeys(("Transpose", "Slice", "Split", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth"), 1),
    **dict.fromkeys(("Resize", "Upsample"), 1),
}
"""Operators whose results are not where their first so many inputs (None: all) are not."""
_DEPTH = 40


def is_nonnegative(value: ir.Value, depth: int = _DEPTH) -> bool:
    """Whether a value is known to have no negative element; what the model is fed with counts as such.

    Args:
        value: Any value of a graph.
        depth: How far to look back.
    """
    if value.is_initializer():
        array = constant(value)
        return array is not None and array.dtype.kind in "fiu" and bool((array >= 0).all())
    node = value.producer()
    if node is None or node.op_type in _RESULTS:
        return True
    if node.op_type == "Clip":
        low = scalar(input_of(node, 1))
        attribute = node.attributes.get("min")
        return (low is not None and low >= 0) or (attribute is not None and attribute.as_float() >= 0)
    if depth == 0 or node.op_type not in _DATA:
        return False
    return all(is_nonnegative(source, depth - 1) for source in operands(node)[: _DATA[node.op_type]])
