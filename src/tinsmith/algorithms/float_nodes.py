"""Running a few nodes of the float network in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tinsmith.ops.floatnode import Array, FloatAttribute, FloatNode, Operand
from tinsmith.simulator.weights import initializers, lend

OPSET = 24


class FloatNodes:
    """Some nodes as a model of their own.

    Args:
        nodes: In topological order.
        outputs: The values to compute.
        threads: Threads within an operator.

    Attributes:
        inputs: The computed values it takes.
    """

    def __init__(self, nodes: Sequence[FloatNode], outputs: Sequence[Operand], threads: int = 1) -> None:
        import onnxruntime

        nodes = [part for node in nodes for part in (node.body or (node,))]
        made = {output.name for node in nodes for output in node.outputs}
        read = {i.name: i for node in nodes for i in node.inputs if i is not None and i.name not in made}
        self.inputs = tuple(name for name, operand in read.items() if operand.const is None)
        self._outputs = tuple(operand.name for operand in outputs)
        constants = {name: operand.const for name, operand in read.items() if operand.const is not None}
        graph = helper.make_graph(
            [_node(node) for node in nodes],
            "nodes",
            [_info(read[name]) for name in self.inputs],
            [_info(operand) for operand in outputs],
            list(initializers(constants)),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 10
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        self._weights = lend(options, constants)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=["Pad_Fusion"]
        )

    def __call__(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """One run; ``values`` may hold more than is needed."""
        found = self._session.run(list(self._outputs), {name: values[name] for name in self.inputs})
        return dict(zip(self._outputs, found, strict=True))


def _info(operand: Operand) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(operand.name, helper.np_dtype_to_tensor_dtype(operand.dtype), operand.shape)


def _node(node: FloatNode) -> onnx.NodeProto:
    names = ["" if operand is None else operand.name for operand in node.inputs]
    attributes = {key: _attribute(value) for key, value in node.attributes.items()}
    made = helper.make_node(node.op_type, names, [operand.name for operand in node.outputs])
    made.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return made


def _attribute(value: FloatAttribute) -> FloatAttribute | onnx.TensorProto:
    return numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
