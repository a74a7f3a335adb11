"""From a frozen graph to ONNX, by tf2onnx."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from tinsmith.errors import ModelError
from tinsmith.importers.reasons import sentence

WAY_OUT = "If it is a Keras model, save it as .keras and give that file: its layers arrive whole."
_CUT = "Leave out of the model what the chip is not to run, for example lookups of texts."


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """A graph whose variables are constants.

    Attributes:
        graph: A `GraphDef`.
        inputs: Names of its input tensors (``x:0``), in order.
        outputs: Names of its output tensors.
        names: What tensors are called for the user, by name.
        shapes: Shapes of inputs where others are wanted than the graph's, by name.
    """

    graph: Any
    inputs: Sequence[str]
    outputs: Sequence[str]
    names: Mapping[str, str]
    shapes: Mapping[str, Sequence[int]]


def to_onnx(frozen: Frozen, subject: str) -> onnx.ModelProto:
    """Converts a frozen graph.

    Args:
        frozen: The graph.
        subject: What it comes from, for messages.

    Raises:
        ModelError: Operations have no counterpart in ONNX, all of them named; or the converter fails.
    """
    tf = importlib.import_module("tensorflow")
    loader = importlib.import_module("tf2onnx.tf_loader")
    converter = importlib.import_module("tf2onnx.tfonnx")
    optimizer = importlib.import_module("tf2onnx.optimizer")
    inputs, outputs = list(frozen.inputs), list(frozen.outputs)
    try:
        with tf.device("/cpu:0"):
            with tf.Graph().as_default():
                tf.import_graph_def(frozen.graph, name="")
                simplified = loader.tf_optimize(inputs, outputs, frozen.graph)
            with tf.Graph().as_default() as graph:
                tf.import_graph_def(simplified, name="")
                converted = converter.process_tf_graph(
                    graph,
                    input_names=inputs,
                    output_names=outputs,
                    shape_override={name: list(shape) for name, shape in frozen.shapes.items()},
                    tensors_to_rename=dict(frozen.names),
                )
                proto: onnx.ModelProto = optimizer.optimize_graph(converted).make_model(subject)
    except Exception as error:  # whatever TensorFlow or the converter trips over
        raise ModelError(f"tf2onnx cannot convert it: {sentence(error)}", subject=subject, hint=WAY_OUT) from error
    _write_out_erfc(proto.graph)
    _refuse_unconverted(proto, subject)
    return proto


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _write_out_erfc(graph: onnx.GraphProto) -> None:
    """Puts 1 + Erf(-x) in the place of Erfc(x), which ONNX lacks and tf2onnx leaves: the gelu of Keras has one."""
    for part in _graphs(graph):
        nodes = list(part.node)
        if not any(node.op_type == "Erfc" for node in nodes):
            continue
        del part.node[:]
        for node in nodes:
            part.node.extend(_erfc(node) if node.op_type == "Erfc" else (node,))


def _erfc(node: onnx.NodeProto) -> tuple[onnx.NodeProto, ...]:
    (source,), (result,) = node.input, node.output
    minus, erf, one = (f"{result}/{name}" for name in ("minus", "erf", "one"))
    return (
        helper.make_node("Neg", [source], [minus], name=minus),
        helper.make_node("Erf", [minus], [erf], name=erf),
        helper.make_node("Constant", [], [one], name=one, value_float=1.0),
        helper.make_node("Add", [one, erf], [result], name=node.name),
    )


def _refuse_unconverted(proto: onnx.ModelProto, subject: str) -> None:
    """The converter leaves in place what it does not know."""
    left: dict[str, str] = {}
    for graph in _graphs(proto.graph):
        for node in graph.node:
            if not onnx.defs.has(node.op_type, node.domain):
                left.setdefault(node.op_type, node.name)
    if left:
        what = ", ".join(f"{op_type} ({name!r})" for op_type, name in sorted(left.items()))
        raise ModelError(f"ONNX has no counterpart of {what}.", subject=subject, hint=_CUT)
