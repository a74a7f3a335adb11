"""Single kernels of the chips, run by emulating their assembly: element-wise, pools, activations, moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import P4, S3, Array, OneNode
from tests.shared import shared_files
from tinsmith.program import DType

OPERATORS = {
    "add": "Add",
    "avgpool": "AveragePool",
    "gap": "GlobalAveragePool",
    "leakyrelu": "LeakyRelu",
    "lut": "LUT",
    "maxpool": "MaxPool",
    "mul": "Mul",
    "prelu": "PRelu",
    "relu": "Relu",
    "requant": "RequantizeLinear",
    "resize": "Resize",
    "sub": "Sub",
}
CASES = [path for path in shared_files("golden/kernels/*/*.npz") if str(np.load(path)["op"]) in OPERATORS]


def node_of(case: dict[str, Array]) -> OneNode:
    dtype = DType.INT8 if int(case["bits"]) == 8 else DType.INT16
    settings: dict[str, Any] = {}
    if "kernel" in case:
        top, bottom, left, right = case["pads"].tolist()
        settings = {key: tuple(case[k].tolist()) for key, k in (("kernel_shape", "kernel"), ("strides", "strides"))}
        settings["pads"] = (top, left, bottom, right)
    if str(case["op"]) == "leakyrelu":
        settings["alpha"] = float(case["alpha"])
    target = {"s3": S3, "p4": P4}[str(case["target"])]
    node = OneNode(OPERATORS[str(case["op"])], target, dtype, int(case["eo"]), settings)
    node.feed(case["x"], int(case["ex"]))
    if "z" in case:
        node.feed(case["z"], int(case["ez"]))
    if "ea" in case:
        node.constant(case["alpha"], int(case["ea"]))
    if "scales" in case:
        node.absent().constant(case["scales"].astype(np.float32))
    if "table" in case:
        node.table(case["table"])
    return node


@pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_kernel(path: Path) -> None:
    case = dict(np.load(path).items())
    y = node_of(case).run()
    assert y.shape == case["y"].shape
    assert int(np.sum(y != case["y"])) == 0
