"""Emulated kernels as programs: what somebody would write to a file to run one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinsmith
from tinsmith.program import DType, Node, Program, Tensor, Value

Array = NDArray[Any]

TARGETS = {"s3": "esp32s3", "p4": "esp32p4"}
OPERATORS = {
    "add": "Add",
    "avgpool": "AveragePool",
    "conv": "Conv",
    "gap": "GlobalAveragePool",
    "gemm": "Gemm",
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


def _ints(array: Array) -> tuple[int, ...]:
    return tuple(int(number) for number in array)


def _attributes(case: Mapping[str, Array]) -> dict[str, Any]:
    """What the file's node says."""
    found: dict[str, Any] = {"quant_type": "S8" if int(case["bits"]) == 8 else "S16"}
    if "pads" in case:
        top, bottom, left, right = _ints(case["pads"])
        found["pads"] = (top, left, bottom, right)
    if "strides" in case:
        found["strides"] = _ints(case["strides"])
    if "dil" in case:
        found["dilations"] = _ints(case["dil"])
    if "kernel" in case:
        found |= {"kernel_shape": _ints(case["kernel"]), "ceil_mode": 0, "count_include_pad": 1}
    if "w" in case and str(case["op"]) == "conv":
        found |= {"group": int(case["group"]), "kernel_shape": case["w"].shape[2:]}
    if "act" in case:
        found["activation"] = "Relu" if int(case["act"]) else "Linear"
    if str(case["op"]) == "leakyrelu":
        found["alpha"] = float(case["alpha"])
    if "scales" in case:
        found |= {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if "table" in case:
        found["lut"] = "table"
    return found


def _constants(case: Mapping[str, Array]) -> dict[str, Tensor]:
    """The file's initializers; those that are inputs of the node in order."""
    found: dict[str, Tensor] = {}
    if "w" in case:
        filters, channels, *kernel = case["w"].shape
        depthwise = str(case["op"]) == "conv" and int(case["group"]) != 1
        dims = (*kernel, filters, channels) if depthwise else (*kernel, channels, filters)
        exponents = _ints(np.atleast_1d(case["ew"]))
        found["w"] = Tensor("w", case["w_packed"].reshape(dims), exponents)
    if "b" in case:
        found["b"] = Tensor("b", case["b"], tuple(int(case["ex"]) + e for e in _ints(np.atleast_1d(case["ew"]))))
    if "ea" in case:
        found["alpha"] = Tensor("alpha", case["alpha"], (int(case["ea"]),))
    if "scales" in case:
        found["scales"] = Tensor("scales", case["scales"].astype(np.float32))
    if "table" in case:
        found["table"] = Tensor("table", case["table"], (int(case["eo"]),))
    return found


def program_of(case: Mapping[str, Array]) -> Program:
    """The case's kernel as a program of one node, no target recorded."""
    constants = _constants(case)
    values = {"x": Value("x", DType.of(case["x"].dtype), case["x"].shape, (int(case["ex"]),))}
    if "z" in case:
        values["z"] = Value("z", DType.of(case["z"].dtype), case["z"].shape, (int(case["ez"]),))
    inputs = tuple(values.values())
    values["y"] = Value("y", DType.of(case["y"].dtype), case["y"].shape, (int(case["eo"]),))
    names = [*(value.name for value in inputs), *(name for name in constants if name != "table")]
    if "scales" in case:
        names = ["x", "", "scales"]
    node = Node(OPERATORS[str(case["op"])], "node", tuple(names), ("y",), _attributes(case))
    return Program((node,), inputs, (values["y"],), values, constants)


def both(program: Program, inputs: Mapping[str, Array], target: str, **options: Any) -> dict[str, Array]:
    """What the interpreter computes, once the compiled form has given the same."""
    defined = tinsmith.simulate(program, inputs, target, compiled=False, **options)
    found = tinsmith.simulate(program, inputs, target, **options)
    assert found.keys() == defined.keys()
    for name, array in defined.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f"), name
    return defined
