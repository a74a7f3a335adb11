"""Small programs for tests of the simulator, written node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinsmith.ops.packing import pack
from tinsmith.program import DType, Node, Program, Tensor, Value


def value(name: str, shape: tuple[int, ...], exponent: int = 0, dtype: DType = DType.INT8) -> Value:
    return Value(name, dtype, shape, (exponent,))


def node(op_type: str, inputs: str, outputs: str, **attributes: Any) -> Node:
    """A node called as its first output in capitals; names are separated by blanks."""
    found = tuple(outputs.split())
    return Node(op_type, found[0].upper(), tuple(inputs.split()), found, {"quant_type": "S8", **attributes})


def program(
    nodes: list[Node],
    inputs: list[Value],
    others: list[Value],
    outputs: str,
    constants: Mapping[str, np.ndarray] | None = None,
) -> Program:
    """Constants have exponent 0."""
    values = {v.name: v for v in (*inputs, *others)}
    tensors = {name: Tensor(name, data) for name, data in (constants or {}).items()}
    return Program(tuple(nodes), tuple(inputs), tuple(values[n] for n in outputs.split()), values, tensors)


def wide_conv(channels: int = 512, shift: int = 12) -> Program:
    """x → Conv of 16 filters, half of the weights -100, half 100 → y → Relu → z; it may saturate 20 bits."""
    weights = np.full((16, channels, 1, 1), -100, np.int8)
    weights[:, channels // 2 :] = 100
    packed = pack(weights, 16, depthwise=False).reshape(1, 1, channels, 16)
    window = {"kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "group": 1}
    return program(
        [node("Conv", "x w", "y", activation="Linear", **window), node("Relu", "y", "z")],
        [value("x", (1, 2, 2, channels))],
        [value("y", (1, 2, 2, 16), shift), value("z", (1, 2, 2, 16), shift)],
        "z",
        {"w": packed},
    )
