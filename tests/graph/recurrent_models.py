"""ONNX models of one recurrent layer, with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.graph.models import model, node

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
STEPS, INPUTS, HIDDEN = 5, 3, 4


def layer(
    op_type: str,
    outputs: str = "",
    *,
    direction: str = "forward",
    steps: int = STEPS,
    layout: int = 0,
    bias: bool = True,
    initial: bool = False,
    lengths: int | None = None,
    peepholes: float | None = None,
    more: list[onnx.NodeProto] | None = None,
    constants: dict[str, Any] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A recurrent layer with input x: (steps, 1, INPUTS), or (1, steps, INPUTS) with layout 1.

    Args:
        op_type: GRU, LSTM or RNN.
        outputs: The model's outputs, all of the layer's where empty.
        direction: forward, reverse or bidirectional.
        steps: Length of the sequence.
        layout: 1 puts the batch first.
        bias: With biases.
        initial: With constant initial states other than zero.
        lengths: The value of sequence_lens.
        peepholes: The size of the peepholes' weights, where there are any.
        more: Nodes behind the layer's Y, Y_h, Y_c.
        constants: Further constants.
        attributes: Further attributes of the layer.
    """
    rng = np.random.default_rng(0)
    ways, rows = 1 + (direction == "bidirectional"), GATES[op_type] * HIDDEN

    def draw(*shape: int, scale: float = 0.5) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(np.float32)

    state = (1, ways, HIDDEN) if layout else (ways, 1, HIDDEN)
    tensors: dict[str, Any] = {
        "w": draw(ways, rows, INPUTS),
        "r": draw(ways, rows, HIDDEN),
        "b": draw(ways, 2 * rows) if bias else None,
        "lens": None if lengths is None else np.array([lengths], np.int32),
        "h0": draw(*state) if initial else None,
    }
    if op_type == "LSTM":
        tensors["c0"] = draw(*state) if initial else None
        tensors["p"] = None if peepholes is None else draw(ways, 3 * HIDDEN, scale=peepholes)
    names = ["x", *(name if tensor is not None else "_" for name, tensor in tensors.items())]
    results = ["Y", "Y_h", "Y_c"][: 3 if op_type == "LSTM" else 2]
    used = set((outputs or " ".join(results)).split()) | {name for step in more or [] for name in step.input}
    kept = " ".join(name if name in used else "_" for name in results)
    attributes = {"hidden_size": HIDDEN, "direction": direction, "layout": layout, **attributes}
    return model(
        [node(op_type, " ".join(names), kept, "layer", **attributes), *(more or [])],
        {"x": [1, steps, INPUTS] if layout else [steps, 1, INPUTS]},
        outputs or " ".join(results),
        {name: tensor for name, tensor in tensors.items() if tensor is not None} | (constants or {}),
    )
