"""The canonical form: what every later stage may rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from tinsmith.errors import ModelError
from tinsmith.graph import passes, provenance, ranges
from tinsmith.graph.float32 import to_float32
from tinsmith.graph.fold import fold_with_runtime
from tinsmith.graph.freeze import freeze
from tinsmith.graph.head import AUTO, suggest_outputs
from tinsmith.graph.opset import to_opset
from tinsmith.graph.prepare import check_outputs, name_nodes, prepare, refuse_infinity, refuse_nan, refuse_subgraphs
from tinsmith.graph.shapes import refuse_empty, settle


def canonicalize(
    model: ir.Model,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
) -> ir.Model:
    """The same network in canonical form.

    - ONNX opset 24, operators of ONNX only, no functions, no control flow;
    - float32 where the file has another float type; inputs that are cast to float first are float inputs;
    - static shapes: the batch is 1, other open dimensions come from ``input_shapes``; every value has a shape and a
      type, none is without elements;
    - constants are folded, and are initializers; weights are finite;
    - the rewrites of `tinsmith.graph.passes` are applied to a fixed point, with the same results up to float rounding;
    - only what leads to an output is left: an input that does not is gone;
    - inputs and outputs keep their names and order, and so does every node that is still there; every node has a
      unique name, and so has every value; `tinsmith.graph.provenance` knows what became of the user's nodes.

    Args:
        model: From `tinsmith.importers.load`; not modified, its weights are shared where they need no change.
        input_shapes: Shapes of inputs by name, for those the file leaves open (other than the batch) or to change them.
        outputs: Names of the values to end at, in the order wanted; None ends where the file does, and the one name
            ``auto`` before the heads of detectors (`tinsmith.graph.head`).

    Returns:
        A new model.

    Raises:
        ModelError: The model cannot be brought into this form; names the input, node or initializer and the way out.
        UnsupportedError: A node belongs to another operator set, or decides at run time what to compute.
    """
    if outputs is not None and tuple(outputs) == (AUTO,):
        outputs = suggest_outputs(model) or None
    result = prepare(model, outputs)
    known = provenance.remembered(result.graph)
    freeze(result.graph, input_shapes or {})
    to_float32(result.graph)
    refuse_nan(result.graph)
    result = to_opset(result)
    settle(result)
    refuse_subgraphs(result.graph)
    check_outputs(result.graph)
    name_nodes(result.graph)
    provenance.recall(result.graph, known)
    quantized = result.clone() if ranges.ranges_of(result) else None
    _rewrite(result.graph)
    while fold_with_runtime(result):
        # What a rewrite put between constants: the Transpose of keys that are constants, for one.
        _rewrite(result.graph)
    if quantized is not None:
        ranges.check(quantized, result)
    provenance.recall(result.graph, known)
    check_outputs(result.graph)
    refuse_empty(result.graph)
    refuse_infinity(result.graph)
    return result


def _rewrite(graph: ir.Graph) -> None:
    """Runs the rewrites, which rely on shapes and attributes that ONNX's checker does not compare."""
    try:
        passes.run(graph)
    except (ValueError, IndexError, KeyError, TypeError, ArithmeticError) as error:
        raise ModelError(
            f"shapes and attributes of its nodes do not fit together: {error}.", subject=graph.name or ""
        ) from error
