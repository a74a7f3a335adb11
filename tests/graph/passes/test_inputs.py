from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.graph.models import check, model, node, value


def test_bytes_that_are_cast_are_floats() -> None:
    original = model([node("Cast", "x", "h", to=1), node("Relu", "h", "y")], [value("x", (1, 3, 4, 4), np.uint8)], "y")
    canonical = check(original, ["Relu"])
    assert canonical.graph.inputs[0].dtype == ir.DataType.FLOAT


def test_indices_stay_integers() -> None:
    nodes = [node("Gather", "t x", "a"), node("Cast", "x", "b", to=1), node("Add", "a b", "y")]
    canonical = check(model(nodes, [value("x", (3,), np.int64)], "y", {"t": [0.5, 1.5]}), ["Gather", "Cast", "Add"])
    assert canonical.graph.inputs[0].dtype == ir.DataType.INT64


def test_an_input_that_only_becomes_an_output_keeps_its_cast() -> None:
    original = model([node("Cast", "x", "y", to=1)], [value("x", (3,), np.int32)], "y")
    check(original, ["Cast"])
