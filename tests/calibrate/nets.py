"""Small float networks and samples for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper


def graph(
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str], dict[str, Any]]],
    inputs: dict[str, tuple[int | str, ...]],
    outputs: Sequence[str],
    constants: dict[str, np.ndarray] | None = None,
    dtype: int = TensorProto.FLOAT,
) -> ir.Model:
    """A model of opset 24 from (operator, inputs, outputs, attributes)."""
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node(op, list(takes), list(gives), **attributes) for op, takes, gives, attributes in nodes],
            "net",
            [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 24)],
        ir_version=10,
    )
    return ir.from_proto(proto)


def conv_net(rng: np.random.Generator, size: int = 12, channels: int = 4) -> ir.Model:
    """x (1,3,size,size) → Conv c → Relu r → GlobalAveragePool g → Flatten f → Gemm y (1,5)."""
    constants = {
        "w": rng.normal(size=(channels, 3, 3, 3)).astype(np.float32),
        "b": rng.normal(size=channels).astype(np.float32),
        "v": rng.normal(size=(channels, 5)).astype(np.float32),
    }
    nodes = [
        ("Conv", ["x", "w", "b"], ["c"], {"pads": [1, 1, 1, 1]}),
        ("Relu", ["c"], ["r"], {}),
        ("GlobalAveragePool", ["r"], ["g"], {}),
        ("Flatten", ["g"], ["f"], {}),
        ("Gemm", ["f", "v"], ["y"], {}),
    ]
    return graph(nodes, {"x": (1, 3, size, size)}, ["y"], constants)


def pictures(rng: np.random.Generator, count: int, size: int = 12) -> list[dict[str, np.ndarray]]:
    return [{"x": rng.normal(size=(1, 3, size, size)).astype(np.float32)} for _ in range(count)]
