"""From any valid ONNX model to one that rewrites can start from: a copy, cut, inlined, constants as initializers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph.definitions import expand
from tinsmith.graph.dequantize import dequantize
from tinsmith.graph.edit import constant, forget_names, fresh, get_int, input_of, operands
from tinsmith.graph.foreign import refuse
from tinsmith.graph.head import AUTO
from tinsmith.graph.provenance import remember


def prepare(source: ir.Model, outputs: Sequence[str] | None) -> ir.Model:
    """A private copy of a model, ready to be changed.

    Functions are inlined, Constant nodes become initializers, initializers are no longer inputs, nodes are sorted, what
    does not lead to an output is gone (inputs too), every node has a unique name, and a quantized model is the float
    model it stands for, with its ranges (`tinsmith.graph.dequantize`). The nodes before that are the user's
    (`tinsmith.graph.provenance`).

    Args:
        source: The model; it shares its weights with the copy and is not modified.
        outputs: Names of the values that become the outputs; None keeps the model's.

    Raises:
        ModelError: An output is unknown, or depends on no input; nothing is left.
        UnsupportedError: A node comes from an operator set other than ONNX's own.
    """
    try:
        model = source.clone()
    except Exception as error:  # the library finds a use in front of its value
        raise ModelError("the nodes are not in order.", subject=source.graph.name or "") from error
    graph = model.graph
    for value in graph.initializers.values():
        value.const_value = None if value.const_value is None else _own(value.const_value)
    # Node names by their place in the user's graph: they must not change when a rewrite changes.
    name_nodes(graph)
    _apply(common.InlinePass(), model, "its functions cannot be inlined")
    _apply(common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0), model)
    common.RemoveInitializersFromInputsPass()(model)
    if outputs is not None:
        _cut(graph, outputs)
    # The next pass takes the switch off where nobody uses the statistics.
    training = [node for node in graph if get_int(node, "training_mode", 0) or _drops(node)]
    _apply(common.RemoveUnusedNodesPass(), model)
    _refuse_training(training)
    check_outputs(graph)
    name_nodes(graph)
    remember(graph, recorded=model.producer_name == "pytorch")
    refuse(graph)
    dequantize(model)
    expand(model, [node for node in graph.all_nodes() if not _is_own(node)])
    _refuse_other_domains(graph)
    _drop_dead_inputs(graph)
    name_nodes(graph)
    return model


def _apply(change: ir.passes.InPlacePass, model: ir.Model, problem: str = "its nodes do not fit together") -> None:
    """Applies a pass of the library, which raises whatever it trips over."""
    try:
        change(model)
    except Exception as error:
        cause = error.__cause__ or error
        raise ModelError(f"{problem}: {cause}.", subject=model.graph.name or "") from error


def _own(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """The same elements under a name of its own (renaming a value renames its tensor), copied from protobufs only."""
    if isinstance(tensor, (ir.StringTensor, ir.PackedTensor)) or tensor.dtype == ir.DataType.STRING:
        return tensor
    shape = ir.Shape(int(dim) for dim in tensor.shape)  # type: ignore[arg-type]
    if isinstance(tensor, (ir.ExternalTensor, ir.LazyTensor)):
        return ir.LazyTensor(lambda: tensor, dtype=tensor.dtype, shape=shape, name=tensor.name)
    return ir.Tensor(tensor.numpy(), dtype=tensor.dtype, shape=shape, name=tensor.name)


def name_nodes(graph: ir.Graph) -> None:
    """Names nodes that have no name ``<op_type>_<index>``, and repeated names ``<name>_<count>``."""
    taken = {node.name for node in graph}
    seen: set[str] = set()
    for index, node in enumerate(graph):
        if node.name and node.name not in seen:
            seen.add(node.name)
            continue
        base, count = (node.name, 1) if node.name else (f"{node.op_type}_{index}", 0)
        name = base if not count else f"{base}_{count}"
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        node.name = name
        taken.add(name)
        seen.add(name)


def name_absent_outputs(graph: ir.Graph) -> None:
    """Drops outputs that are left out at the end of a node's list, and names those left out before others."""
    for node in graph:
        while len(node.outputs) > 1 and not node.outputs[-1].name:
            node.resize_outputs(len(node.outputs) - 1)
        for index, value in enumerate(node.outputs):
            if not value.name:
                value.name = fresh(graph, f"{node.name}_output_{index}")
    forget_names(graph)


def _cut(graph: ir.Graph, outputs: Sequence[str]) -> None:
    values = ir.convenience.create_value_mapping(graph, include_subgraphs=False)
    if not outputs:
        raise ModelError("no output is left.", subject="outputs", hint="Name at least one.")
    chosen: list[ir.Value] = []
    for name in outputs:
        value = values.get(name)
        if value is None:
            raise ModelError(f"no value is named {name!r}.", subject="outputs", hint=_meant(name, graph, values))
        if value in chosen:
            raise ModelError(f"{name!r} is named twice.", subject="outputs")
        chosen.append(value)
    graph.outputs.clear()
    graph.outputs.extend(chosen)


def _meant(name: str, graph: ir.Graph, values: Mapping[str, ir.Value]) -> str:
    """What a name that no value has may have been meant for."""
    if name == AUTO:
        return f"{AUTO!r} finds all outputs by itself: give no others."
    results = [value.name or "" for node in graph if node.name == name for value in node.outputs]
    if results:
        return f"It is a node, which gives {' and '.join(map(repr, results))}."
    close = " or ".join(map(repr, difflib.get_close_matches(name, values, n=3)))
    return f"Did you mean {close}?" if close else "Values are named as in the ONNX file."


def check_outputs(graph: ir.Graph) -> None:
    """Makes every output the result of a node of its own, or says why it cannot be one."""
    if not graph.outputs:
        raise ModelError("the graph has no outputs.", subject=graph.name or "")
    for index, value in enumerate(graph.outputs):
        if any(value is earlier for earlier in graph.outputs[:index]):
            raise ModelError(f"the output {value.name!r} is listed twice.", subject=graph.name or "")
        if value.is_graph_input():
            raise ModelError(
                "the output is an input: there is nothing to compute.",
                subject=repr(value.name),
                hint="Choose other outputs.",
            )
        node = value.producer()
        if node is None or node.op_type == "Constant":
            raise ModelError(
                "the output is a constant: there is nothing to compute.",
                subject=repr(value.name),
                hint="Choose other outputs.",
            )


def _drops(node: ir.Node) -> bool:
    """Whether a Dropout is not known to do nothing."""
    if node.op_type != "Dropout":
        return False
    mode, ratio = input_of(node, 2), constant(input_of(node, 1))
    given = constant(mode)
    return mode is not None and (given is None or bool(given.any())) and (ratio is None or bool(ratio.any()))


def _refuse_training(nodes: Sequence[ir.Node]) -> None:
    for node in nodes:
        if node.graph is not None:
            random = node.op_type == "Dropout"
            does = "drops elements at random" if random else "normalizes with the statistics of the batch"
            raise ModelError(
                f"{node.op_type} {does}.",
                subject=repr(node.name),
                hint="Export the model for inference (model.eval()).",
            )


def _is_own(node: ir.Node) -> bool:
    """Whether a node is of ONNX's own operator set."""
    return node.domain in ("", "ai.onnx")


def _refuse_other_domains(graph: ir.Graph) -> None:
    for node in graph.all_nodes():
        if not _is_own(node):
            fused = node.domain.startswith("com.microsoft")
            raise UnsupportedError(
                f"{node.op_type} of the operator set {node.domain!r} is not part of ONNX.",
                subject=repr(node.name),
                hint="Give the model as it was before ONNX Runtime optimized it."
                if fused
                else "Export the model with standard operators, or cut the graph before this node (--outputs).",
            )


def _drop_dead_inputs(graph: ir.Graph) -> None:
    used = {value for node in graph.all_nodes() for value in operands(node)}
    kept = [value for value in graph.inputs if value in used]
    if not kept:
        raise ModelError("the outputs depend on no input.", subject=graph.name or "")
    graph.inputs.clear()
    graph.inputs.extend(kept)


def refuse_nan(graph: ir.Graph) -> None:
    """Refuses weights that are not numbers.

    Raises:
        ModelError: An initializer holds NaN.
    """
    for name, value in graph.initializers.items():
        array = constant(value) if value.dtype == ir.DataType.FLOAT else None
        if array is not None and array.size and np.isnan(array.min()):
            raise ModelError(
                "the weights hold NaN.", subject=repr(name), hint="Training diverged, or the file is damaged."
            )


def refuse_infinity(graph: ir.Graph) -> None:
    """Refuses weights without bounds.

    Raises:
        ModelError: An initializer holds an infinity or, by folding, NaN.
    """
    for name, value in graph.initializers.items():
        array = constant(value) if value.dtype == ir.DataType.FLOAT else None
        if array is not None and array.size and not np.isfinite([array.min(), array.max()]).all():
            users = ", ".join(sorted({f"{node.op_type} {node.name!r}" for node in value.consumers()}))
            raise ModelError("the weights hold infinite values.", subject=repr(name), hint=f"Used by {users}.")


def refuse_subgraphs(graph: ir.Graph) -> None:
    """Refuses control flow that constants do not decide.

    Raises:
        UnsupportedError: A node carries a graph (If, Loop, Scan).
    """
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    for node in graph:
        if any(attribute.type in kinds for attribute in node.attributes.values()):
            raise UnsupportedError(
                f"{node.op_type} chooses or repeats computations at run time.",
                subject=repr(node.name),
                hint="Export the model without control flow that depends on data.",
            )
