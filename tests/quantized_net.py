"""The tiny classifier with pairs of QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import numpy as np
import onnx


def with_pairs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with a range for its input and its output."""
    helper, graph = onnx.helper, model.graph
    for name, scale in (("image", 0.03), ("scores", 0.2)):
        constants = {f"{name}_scale": np.float32(scale), f"{name}_zero": np.int8(0)}
        graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    for node in graph.node:
        node.input[:] = ["image_d" if name == "image" else name for name in node.input]
        node.output[:] = ["scores_f" if name == "scores" else name for name in node.output]
    for source, name, result in (("image", "image", "image_d"), ("scores_f", "scores", "scores")):
        pair = [
            helper.make_node("QuantizeLinear", [source, f"{name}_scale", f"{name}_zero"], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_scale", f"{name}_zero"], [result]),
        ]
        for index, node in enumerate(pair):
            graph.node.insert(index if name == "image" else len(graph.node), node)
    return model
