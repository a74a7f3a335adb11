"""The canonical form: what every later stage may rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from tinsmith.errors import ModelError, TinsmithError
from tinsmith.graph import passes, provenance, ranges
from tinsmith.graph.definitions import expand
from tinsmith.graph.edit import is_constant, operands
from tinsmith.graph.float32 import to_float32
from tinsmith.graph.fold import fold_with_runtime
from tinsmith.graph.freeze import freeze
from tinsmith.graph.head import AUTO, suggest_outputs
from tinsmith.graph.opset import IR_VERSION, OPSET, means_the_same, to_opset
from tinsmith.graph.prepare import check_outputs, name_nodes, prepare, refuse_infinity, refuse_nan, refuse_subgraphs
from tinsmith.graph.shapes import refuse_empty, settle
from tinsmith.ops import operators


def canonicalize(
    model: ir.Model,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
) -> ir.Model:
    """The same network in canonical form.

    - ONNX opset 24, operators of ONNX only, no functions, no control flow; operators that nothing here knows
      are written out by ONNX's own definition (`tinsmith.graph.definitions`) where that makes them deployable;
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
    _rewrite(result)
    if quantized is not None:
        ranges.check(quantized, result)
    provenance.recall(result.graph, known)
    check_outputs(result.graph)
    refuse_empty(result.graph)
    refuse_infinity(result.graph)
    return result


def _rewrite(model: ir.Model) -> None:
    """Runs the rewrites; writes out operators that nobody knows, where ONNX defines them by known ones."""
    known = provenance.remembered(model.graph)
    _run(model)
    while unknown := [node for node in model.graph if node.op_type not in operators() and _is_defined(node)]:
        expand(model, unknown, means_the_same)
        settle(model)
        provenance.recall(model.graph, known)
        _run(model)


def _run(model: ir.Model) -> None:
    """Runs the rewrites, which rely on shapes and attributes that ONNX's checker does not compare."""
    try:
        passes.run(model.graph)
        while fold_with_runtime(model):
            # What a rewrite put between constants: the Transpose of keys that are constants, for one.
            passes.run(model.graph)
    except (ValueError, IndexError, KeyError, TypeError, ArithmeticError) as error:
        raise ModelError(
            f"shapes and attributes of its nodes do not fit together: {error}.", subject=model.graph.name or ""
        ) from error


def _is_defined(node: ir.Node) -> bool:
    """Whether the definition of an operator, alone and rewritten, is made of operators of the chips."""
    values = {
        value: ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
        for value in operands(node)
    }
    inputs = [value and values[value] for value in node.inputs]
    outputs = [ir.Value(name=value.name) for value in node.outputs]
    alone = ir.Node(node.domain, node.op_type, inputs, node.attributes.values(), outputs=outputs, name=node.name)
    constants = [values[value] for value in values if is_constant(value)]
    graph = ir.Graph(
        [values[value] for value in values if not is_constant(value)],
        [value for value in outputs if value.name],
        nodes=[alone],
        initializers=constants,
        opset_imports={"": OPSET},
        name=node.name,
    )
    model = ir.Model(graph, ir_version=IR_VERSION)
    try:
        if expand(model, [alone], means_the_same):
            return False
        settle(model)
        _rewrite(model)
    except TinsmithError:
        return False
    return all(node.op_type in operators() for node in graph)
