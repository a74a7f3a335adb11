"""Small float networks under construction; `MODELS` lists those of the modules beside this one."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
Shape = tuple[int, ...]


class Net:
    """A network under construction; `x` is the input of that name."""

    def __init__(self, name: str, **inputs: Shape) -> None:
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.name = name
        self.inputs = inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """A constant of those values."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.const(values, np.int64)

    def weights(self, *shape: int, spread: float | None = None) -> str:
        """Random weights that keep the size of what passes through."""
        scale = spread if spread is not None else 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        return self.const(self.rng.standard_normal(shape) * scale)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; the name of its output, or of all of them."""
        count = len(self.nodes)
        names = [f"{kind.lower()}{count}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{count}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x: str, channels: int, filters: int, kernel: int = 3, **attributes: Any) -> str:
        """A square convolution with bias, same size by default."""
        w = self.weights(filters, channels, kernel, kernel)
        attributes.setdefault("pads", [kernel // 2] * 4)
        return str(self.op("Conv", x, w, self.weights(filters, spread=0.1), **attributes))

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The finished model, opset 20."""
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in self.inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        return onnx.shape_inference.infer_shapes(model)


def samples(model: onnx.ModelProto, count: int, seed: int = 5) -> dict[str, Array]:
    """Normal noise for every input, batch first."""
    rng = np.random.default_rng(seed)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    return {name: rng.standard_normal((count, *shape[1:])).astype(np.float32) for name, shape in shapes.items()}


Make = Callable[[], onnx.ModelProto]
MODELS: dict[str, Make] = {}


def model(make: Make) -> Make:
    """List a model under its function's name."""
    MODELS[make.__name__] = make
    return make


IMAGE = (1, 3, 8, 8)
