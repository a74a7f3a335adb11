"""ONNX's own definition, by operators that are known.

Many operators have a definition in ONNX itself, as a function of simpler ones, some of them one for the node at hand:
its attributes and the types of its inputs decide. Where nothing here knows an operator, its definition takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.graph.edit import forget_names
from tinsmith.graph.provenance import inherit
from tinsmith.graph.quiet import captured

ENABLES: tuple[str, ...] = (
    "CausalConvWithState",
    "CenterCropPad",
    "FlexAttention",
    "LinearAttention",
    "NegativeLogLikelihoodLoss",
    "SoftmaxCrossEntropyLoss",
    "SwiGLU",
)
"""For the manual: operators that become deployable so."""
Same = Callable[[ir.Node, int], bool]
_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def expand(model: ir.Model, nodes: Sequence[ir.Node], same: Same | None = None) -> list[ir.Node]:
    """Puts ONNX's own definition in the place of nodes.

    Args:
        model: Changed in place; has no functions of its own. ``opset_imports`` say of which versions its operators are.
        nodes: Any of its nodes.
        same: Whether a node of a definition, written for the version given, means the same in the model; None if it is
            enough that the versions are equal.

    Returns:
        Those of the nodes that have no definition, unchanged.
    """
    if not nodes:
        return []
    with captured():
        # Definitions may depend on types.
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=False)(model)
    left = []
    for index, node in enumerate(nodes):
        function = _definition(node, model.opset_imports, same, f"definition_{index}")
        if function is None:
            left.append(node)
        else:
            _call(node, function)
            model.functions[function.identifier()] = function
    common.InlinePass()(model)
    forget_names(model.graph)
    return left


def _definition(node: ir.Node, versions: dict[str, int], same: Same | None, label: str) -> ir.Function | None:
    """The definition of a node as a function that only this node calls, None if there is none that means the same."""
    proto = _body(node, versions.get(node.domain, 0))
    if proto is None:
        return None
    function = ir.serde.deserialize_function(proto)
    wanted = versions.get("", 0)
    written = function.opset_imports.get("", wanted)
    known = same if same is not None else lambda _, version: version == wanted
    if not all(inner.domain == "" and known(inner, written) for inner in function.all_nodes()):
        return None
    for inner in function.all_nodes():
        inherit(inner, node)
        inner.name = f"{node.name}.{inner.op_type}"
        for value in inner.outputs:
            value.name = f"{node.name}.{value.name}"
    function.opset_imports.clear()
    function.overload = label
    return function


def _body(node: ir.Node, version: int) -> onnx.FunctionProto | None:
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, max_inclusive_version=version, domain=node.domain)
    except onnx.defs.SchemaError:
        return None
    for name, attribute in schema.attributes.items():
        if name not in node.attributes and attribute.default_value.name:
            node.attributes.add(ir.from_proto(attribute.default_value))
    if schema.has_function:
        written = max(schema.function_opset_versions)
        text = schema.get_function_with_opset_version(written)
    elif schema.has_context_dependent_function:
        written = max(schema.context_dependent_function_opset_versions)
        types = [_type(value).SerializeToString() for value in node.inputs]
        try:
            text = schema.get_context_dependent_function_with_opset_version(
                written, ir.to_proto(node).SerializeToString(), types
            )
        except Exception:  # no definition for these types or attributes, whatever the library raises
            return None
    else:
        return None
    proto = onnx.FunctionProto.FromString(text)
    return proto if _completed(proto, node) else None


def _completed(proto: onnx.FunctionProto, node: ir.Node) -> bool:
    """Whether a definition has the results the node has; it may name others that it does not compute."""
    del proto.output[len(node.outputs) :]
    made = [name for inner in proto.node for name in inner.output]
    for name, value in zip(proto.output, node.outputs, strict=False):
        if name not in made:
            if value.name or not made:
                return False
            proto.node.append(onnx.helper.make_node("Identity", [made[-1]], [name]))
    return len(proto.output) == len(node.outputs)


def _type(value: ir.Value | None) -> onnx.TypeProto:
    if value is None or value.dtype is None or not isinstance(value.type, ir.TensorType):
        return onnx.TypeProto()
    shape = None if value.shape is None else [dim if isinstance(dim, int) else None for dim in value.shape]
    return onnx.helper.make_tensor_type_proto(value.dtype, shape)


def _call(node: ir.Node, function: ir.Function) -> None:
    """Makes a node a call of its definition."""
    node.overload = function.overload
    read = {
        attribute.ref_attr_name
        for inner in function.all_nodes()
        for attribute in inner.attributes.values()
        if attribute.is_ref()
    }
    for name in [name for name, attribute in node.attributes.items() if attribute.type in _GRAPHS]:
        if name not in read:  # the graphs have become part of the definition
            node.attributes.pop(name)
