"""Single-node programs of linear operators, and what they compute written with plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.lower import lower
from tinsmith.lower.lowerer import Lowered
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.ops.packing import file_dims, pack, pack_matrices
from tinsmith.program import Array, DType, Node, Program, Tensor, Value
from tinsmith.quant.format import Format, Formats
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.compiled import GraphPart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target, find

DTYPES = {8: DType.INT8, 16: DType.INT16}
TARGETS = ("esp32s3", "esp32p4", "c")


def integers(rng: np.random.Generator, shape: Sequence[int], bits: int, scale: float = 1.0) -> NDArray[Any]:
    """Random integers of that width, ``scale`` times its full range."""
    high = max(1, int((1 << (bits - 1)) * scale))
    return rng.integers(-high, high, shape).astype(DTYPES[bits].numpy)


def single(
    op_type: str,
    x: Array,
    constants: dict[str, Tensor],
    bits: int,
    exponents: tuple[int, int],
    attributes: dict[str, Any],
    computed: dict[str, Array] | None = None,
) -> Program:
    """A program of one node; its inputs are x, then the constants and computed values in order."""
    values = {"x": Value("x", DTYPES[bits], x.shape, (exponents[0],))}
    for name, array in (computed or {}).items():
        values[name] = Value(name, DTYPES[bits], array.shape, (0,))
    inputs = tuple(values.values())
    values["y"] = Value("y", DTYPES[bits], (), (exponents[1],))
    node = Node(op_type, "node", ("x", *constants, *(computed or {})), ("y",), attributes)
    return Program((node,), inputs, (values["y"],), values, constants)


def conv(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    target: Target,
    bits: int,
    group: int = 1,
    shift: int = 7,
    weight_exponents: tuple[int, ...] = (0,),
    activation: str = "Linear",
    **walk: Any,
) -> Program:
    """A Conv of ``x`` (file layout) with ``weights`` (N, C/group, …); input exponent 0, output exponent ``shift``."""
    depthwise = group != 1
    planes = weights if weights.ndim == 4 else weights[:, :, None]
    flat = pack(planes, target.linear[bits].block, depthwise=depthwise)
    dims = file_dims(weights.shape, depthwise=depthwise)
    constants = {"w": Tensor("w", flat.reshape(dims), weight_exponents)}
    if bias is not None:
        constants["b"] = Tensor("b", bias)
    attributes = {"activation": activation, "group": group, "kernel_shape": weights.shape[2:], **walk}
    return single("Conv", x, constants, bits, (0, shift), attributes)


def gemm(x: Array, matrix: Array, bias: Array | None, *, target: Target, bits: int, shift: int = 7) -> Program:
    """A Gemm of ``x`` (…, C) with ``matrix`` (C, N)."""
    flat = pack(matrix.T[:, :, None, None], target.linear[bits].block, depthwise=False)
    constants = {"w": Tensor("w", flat.reshape(1, 1, *matrix.shape))}
    if bias is not None:
        constants["b"] = Tensor("b", bias)
    attributes = {"activation": "Linear", "alpha": 1.0, "beta": 1.0, "transB": 0}
    return single("Gemm", x, constants, bits, (0, shift), attributes)


def matmul(x: Array, right: Array, *, target: Target, bits: int, shift: int = 7, constant: bool = True) -> Program:
    """A MatMul of ``x`` with ``right`` (…, C, N), packed here."""
    stored = packed(right, target, bits)
    attributes = {"activation": "Linear"}
    if constant:
        return single("MatMul", x, {"w": Tensor("w", stored)}, bits, (0, shift), attributes)
    return single("MatMul", x, {}, bits, (0, shift), attributes, {"w": stored})


def packed(right: Array, target: Target, bits: int) -> Array:
    """MatMul's right side (…, C, N) or (C,) as the kernels read it."""
    return right if right.ndim == 1 else pack_matrices(right, target.linear[bits].block)


def both(program: Program, inputs: dict[str, Array], target: Target) -> Array:
    """The output "y", after checking that the compiled form is one graph and computes the same."""
    expected = interpret(program, inputs, target)["y"]
    compiled = compile_program(program, target)
    assert all(isinstance(part, GraphPart) for part in compiled.parts), compiled.parts
    found = compiled.run(inputs)["y"]
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)
    return expected


def convolved(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    group: int = 1,
) -> NDArray[np.int64]:
    """Σ x·w + bias of ``x`` (H, W, C) and ``weights`` (N, C/group, h, w), tap by tap in exact integers: (OH, OW, N)."""
    padded = np.pad(x.astype(np.int64), ((pads[0], pads[2]), (pads[1], pads[3]), (0, 0)))
    filters, _, rows, columns = weights.shape
    height = (padded.shape[0] - dilations[0] * (rows - 1) - 1) // strides[0] + 1
    width = (padded.shape[1] - dilations[1] * (columns - 1) - 1) // strides[1] + 1
    total = np.zeros((height, width, filters), np.int64)
    for i, j, n in np.ndindex(height, width, filters):
        acc = 0 if bias is None else int(bias[n])
        for r, s in np.ndindex(rows, columns):
            pixel = padded[i * strides[0] + r * dilations[0], j * strides[1] + s * dilations[1]]
            seen = pixel if group == 1 else pixel[n : n + 1]
            acc += int(np.dot(seen, weights[n, :, r, s].astype(np.int64)))
        total[i, j, n] = acc
    return total


def shifted(total: Array, shift: int | Array, target: Target, bits: int, *, relu: bool = False) -> NDArray[np.int64]:
    """sat(act(rshift(total, shift))) with exact fractions: floor(v + 1/2), or ties to even."""
    shifts = np.broadcast_to(np.asarray(shift), total.shape)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    result = np.zeros(total.shape, np.int64)
    for index in np.ndindex(*total.shape):
        value, step = int(total[index]), 1 << int(shifts[index])
        floor, rest = divmod(value, step)
        if 2 * rest > step or (2 * rest == step and (target.rounding is Rounding.HALF_UP or floor % 2 == 1)):
            floor += 1
        result[index] = min(high, max(low, max(0, floor) if relu else floor))
    return result


def kernel_case(path: Path) -> tuple[Program, Array, Array, Target]:
    """A conv or gemm case of the kernel files: program, input, expected output, target."""
    data = np.load(path)
    target, bits = find({"s3": "esp32s3", "p4": "esp32p4"}[str(data["target"])]), int(data["bits"])
    group = int(data["group"]) if "group" in data else 1
    dims = file_dims(data["w"].shape, depthwise=group != 1)
    exponents = tuple(int(e) for e in np.atleast_1d(data["ew"]))
    constants = {"w": Tensor("w", data["w_packed"].reshape(dims), exponents)}
    if "b" in data:
        constants["b"] = Tensor("b", data["b"])
    attributes: dict[str, Any] = {"activation": "Relu" if int(data["act"]) else "Linear"}
    op_type = "Gemm"
    if str(data["op"]) == "conv":
        top, bottom, left, right = (int(n) for n in data["pads"])
        op_type = "Conv"
        attributes |= {"group": group, "pads": (top, left, bottom, right)}
        attributes |= {"strides": tuple(map(int, data["strides"])), "dilations": tuple(map(int, data["dil"]))}
    program = single(op_type, data["x"], constants, bits, (int(data["ex"]), int(data["eo"])), attributes)
    return program, data["x"], data["y"], target


def operand(name: str, shape: Sequence[int], const: Array | None = None) -> Operand:
    """A float operand."""
    return Operand(name, tuple(shape), np.dtype(np.float32), None if const is None else const.astype(np.float32))


def lowered(
    node: FloatNode,
    target: Target,
    bits: int,
    exponents: dict[str, int],
    weights: Format | None = None,
    *,
    relu: bool = False,
) -> Lowered:
    """What a network of that one node becomes.

    Args:
        node: The node; its computed inputs become the network's.
        target: The chip.
        bits: Width.
        exponents: Exponent of each computed value.
        weights: Format of input 1 where it is constant.
        relu: Whether a Relu follows, giving "rectified".
    """
    nodes, output = [node], node.outputs[0]
    if relu:
        output = replace(output, name="rectified")
        nodes.append(FloatNode("Relu", "relu", (node.outputs[0],), (output,)))
        exponents = {**exponents, "rectified": exponents[node.outputs[0].name]}
    inputs = tuple(i for i in node.inputs if i is not None and i.const is None)
    values = {name: Format(bits, (exponent,)) for name, exponent in exponents.items()}
    uses = {} if weights is None else {(node.name, 1): weights}
    network = Network(tuple(nodes), inputs, (output,))
    return lower(network, Formats(values, uses), {n.name: bits for n in nodes}, target)


def run_lowered(found: Lowered, inputs: dict[str, Array], target: Target) -> Array:
    """The output in the ONNX order for inputs in the ONNX order; interpreter and compiled form agree."""
    laid_out = {name: array.transpose(found.perms[name]) for name, array in inputs.items()}
    (output,) = found.program.outputs
    result = interpret(found.program, laid_out, target)[output.name]
    assert np.array_equal(compile_program(found.program, target).run(laid_out)[output.name], result)
    assert violations(found.program, target) == []
    return result.transpose(np.argsort(found.perms[output.name]))


def refusals(node: FloatNode, target: Target) -> list[str]:
    """The messages of the constraints the node breaks."""
    return [c.message for c in operators()[node.op_type].constraints if not c.check(node, target)]
