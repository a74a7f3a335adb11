"""A tiny classifier with a known answer, for tests that need a whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Images = NDArray[np.float32]

CLASSES = 6


def classifier(seed: int = 0, batch: int | str = "N", size: int | str = 8) -> onnx.ModelProto:
    """image (N, 3, size, size) → Conv, Relu → GlobalAveragePool → Flatten → Gemm → scores (N, 6)."""
    rng = np.random.default_rng(seed)
    constants = {
        "w": rng.normal(0, 0.4, (8, 3, 3, 3)),
        "b": rng.normal(0, 0.2, 8),
        "v": rng.normal(0, 1.5, (CLASSES, 8)),
        "u": rng.normal(0, 0.1, CLASSES),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["features"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["active"], "relu"),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "v", "u"], ["scores"], "gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def images(count: int, seed: int = 1, size: int = 8) -> Images:
    """Noise of a different colour cast each, so that the classes differ."""
    rng = np.random.default_rng(seed)
    cast = rng.normal(0, 1, (count, 3, 1, 1))
    return (cast + rng.normal(0, 0.5, (count, 3, size, size))).astype(np.float32)


def saved(model: onnx.ModelProto, path: Path) -> Path:
    """The path, once the model is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def answers(model: onnx.ModelProto, samples: Images) -> NDArray[np.int64]:
    """The float model's classes."""
    import onnxruntime

    (scores,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": samples})
    return scores.argmax(1)
