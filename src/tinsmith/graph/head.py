"""Where a detector's learned part ends.

Behind the last weights of a detector stands arithmetic without any: distributions become distances, distances and
anchors become boxes, and boxes in pixels stand beside scores from 0 to 1 in one tensor. In integers that one tensor has
one exponent, and nothing is left of the scores. So detectors run on chips up to their last weights, and the few numbers
that are left are decoded in floats.

The *head* of an output is what leads to it and has no weights itself nor any behind it. It is cut where there is any of
this in it:

- an expected value: a layer with one output channel that weighs a Softmax (the box distances of YOLOv8 to YOLO11);
- arithmetic with a constant that differs from place to place (anchors, grids);
- a Concat of values of which some, but not all, are made by Sigmoid or Softmax;
- an operator that chooses (ArgMax, TopK, NonMaxSuppression) or comes from another operator set.

A classifier's Softmax, a last Reshape, a last residual Add are none of these: such outputs stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import onnx_ir.passes.common as common
from numpy.typing import NDArray

from tinsmith.errors import UnsupportedError

AUTO = "auto"
"""What users name instead of outputs to have them found."""

Nodes = dict[ir.Node, None]

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "Gather", "PRelu")
"""They have weights where an operand is constant (Gather: the table of an embedding)."""
_ALWAYS = (
    "GRU",
    "LSTM",
    "RNN",
    "BatchNormalization",
    "LayerNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "RMSNormalization",
)
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow")
_GATES = ("Sigmoid", "Softmax", "HardSigmoid")
_CHOICES = ("ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "NonZero", "Hardmax")
_MOVERS = (
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Split",
    "Slice",
    "Gather",
    "Identity",
    "Cast",
    "Dropout",
)


def suggest_outputs(model: ir.Model) -> tuple[str, ...]:
    """The values to end at, so that the heads of detectors are left to the application.

    Args:
        model: Any ONNX model, as it was imported.

    Returns:
        Names for ``outputs=``, in the order of the graph: what the heads read, and the outputs without one. Empty
        where no output has a head to cut.
    """
    if model.functions:
        model = model.clone()
        common.InlinePass()(model)
    return tuple(value.name or "" for value in head_inputs(model.graph))


def head_notes(model: ir.Model) -> tuple[str, ...]:
    """What to tell about a model that keeps the heads it has; nothing where it has none."""
    names = suggest_outputs(model)
    if not names:
        return ()
    return (
        f"the model ends with arithmetic without weights that needs floats; outputs = {AUTO!r} (--outputs {AUTO}) "
        f"leaves it to the application and ends at {', '.join(names)}.",
    )


@contextmanager
def way_out(model: ir.Model, cut: bool) -> Iterator[None]:
    """Where the chip cannot run a model that keeps its heads, the error says that they can be cut.

    Args:
        model: The model, as it was imported.
        cut: Whether the user chose where to end it.
    """
    try:
        yield
    except UnsupportedError as error:
        if cut or not suggest_outputs(model):
            raise
        hint = (
            f"The model ends with arithmetic without weights; outputs = {AUTO!r} (--outputs {AUTO}) leaves that to the "
            "application."
        )
        raise UnsupportedError(error.reason, subject=error.subject, hint=f"{error.hint} {hint}".strip()) from error


def head_inputs(graph: ir.Graph) -> tuple[ir.Value, ...]:
    """As `suggest_outputs`, the values themselves."""
    constants = _constants(graph)
    tail = _without_weights(graph, constants)
    ends: dict[ir.Value, None] = {}
    cut = False
    for output in graph.outputs:
        head = _head(output, tail)
        read = _read(head, constants)
        if read and any(_decodes(node, constants) for node in head):
            ends.update(read)
            cut = True
        else:
            ends[output] = None
    if not cut:
        return ()
    place = {value: index for index, node in enumerate(graph) for value in node.outputs}
    return tuple(sorted(ends, key=lambda value: place.get(value, -1)))


def _constants(graph: ir.Graph) -> dict[ir.Value, None]:
    """Values that depend on no input's elements."""
    found: dict[ir.Value, None] = dict.fromkeys(graph.initializers.values())
    for node in graph:
        if node.op_type in ("Shape", "Size") or all(value is None or value in found for value in node.inputs):
            found.update(dict.fromkeys(node.outputs))
    return found


def _without_weights(graph: ir.Graph, constants: dict[ir.Value, None]) -> Nodes:
    """Nodes that have no weights, and none behind them."""
    before_weights: Nodes = {}
    weighted = {node for node in graph if _has_weights(node, constants)}
    for node in reversed(tuple(graph)):
        readers = (user for value in node.outputs for user in value.consumers())
        if node in weighted or any(user in before_weights for user in readers):
            before_weights[node] = None
    return {node: None for node in graph if node not in before_weights and not _is_constant(node, constants)}


def _is_constant(node: ir.Node, constants: dict[ir.Value, None]) -> bool:
    return all(value in constants for value in node.outputs)


def _has_weights(node: ir.Node, constants: dict[ir.Value, None]) -> bool:
    if node.op_type in _ALWAYS:
        return True
    constant = [value for value in node.inputs if value in constants]
    if node.op_type in _LAYERS:
        table = node.op_type == "Gather" and (not node.inputs or node.inputs[0] not in constants)
        return bool(constant) and not table and not _is_constant(node, constants) and not _expects(node, constants)
    if node.op_type in _ARITHMETIC and constant:
        # The bias or the scale of a layer that is spelled out.
        computed = [value for value in node.inputs if value is not None and value not in constants]
        before = computed[0].producer() if len(computed) == 1 else None
        return before is not None and _is_layer(before, constants) and not _differs(constant[0])
    return False


def _is_layer(node: ir.Node, constants: dict[ir.Value, None]) -> bool:
    return node.op_type in _LAYERS and _has_weights(node, constants)


def _array(value: ir.Value | None) -> NDArray[Any] | None:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def _expects(node: ir.Node, constants: dict[ir.Value, None]) -> bool:
    """Whether the node weighs a Softmax to one number."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.inputs) < 2:
        return False
    weights = _array(node.inputs[1])
    single = weights is not None and weights.size == max(weights.shape, default=0)
    return single and any(before.op_type == "Softmax" for before in _origins(node.inputs[0]))


def _origins(value: ir.Value | None) -> Iterator[ir.Node]:
    """The node whose results a value holds, wherever they were moved."""
    node = None if value is None else value.producer()
    while node is not None and node.op_type in _MOVERS:
        source = node.inputs[0]
        node = None if source is None else source.producer()
    if node is not None:
        yield node


def _differs(value: ir.Value | None) -> bool:
    """Whether a constant has more than one element along more than one axis: more than numbers per channel."""
    array = _array(value)
    return array is not None and sum(size > 1 for size in array.shape) > 1


def _decodes(node: ir.Node, constants: dict[ir.Value, None]) -> bool:
    """Whether a node of a head is a reason to cut it."""
    if node.domain not in ("", "ai.onnx") or node.op_type in _CHOICES or _expects(node, constants):
        return True
    if node.op_type in _ARITHMETIC:
        return any(_differs(value) for value in node.inputs if value in constants)
    if node.op_type != "Concat":
        return False
    gated = [any(before.op_type in _GATES for before in _origins(value)) for value in node.inputs]
    return any(gated) and not all(gated)


def _head(output: ir.Value, tail: Nodes) -> Nodes:
    """What of the tail leads to an output."""
    found: Nodes = {}
    pending = [output.producer()]
    while pending:
        node = pending.pop()
        if node is not None and node in tail and node not in found:
            found[node] = None
            pending.extend(value.producer() for value in node.inputs if value is not None)
    return found


def _read(head: Nodes, constants: dict[ir.Value, None]) -> dict[ir.Value, None]:
    """The computed values that enter a head; inputs of the graph are left to the application."""
    read: dict[ir.Value, None] = {}
    for node in head:
        for value in node.inputs:
            before = None if value is None or value in constants else value.producer()
            if value is not None and before is not None and before not in head:
                read[value] = None
    return read
