"""Networks for tests of error analysis, and layers made bad on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Exact
from tinsmith.lower import lower
from tinsmith.ops.floatnode import Array, Network
from tinsmith.quant.format import Format, Formats
from tinsmith.quantized import Quantized
from tinsmith.report.layer_error import float_outputs, layers, reference

FLOAT = TensorProto.FLOAT


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: list[str],
    constants: Mapping[str, NDArray[np.generic]],
    kinds: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A float model."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, (kinds or {}).get(name, FLOAT), None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a, a.dtype if a.dtype.kind == "i" else np.float32), n)
         for n, a in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pyramid(seed: int = 0, ceiling: float = 6.0) -> onnx.ModelProto:
    """x (1, 3, 16, 16) → Conv, ReLU6 → depthwise Conv → Conv + sum → Conv stride 2, Relu → pool → Gemm → scores."""
    rng = np.random.default_rng(seed)
    constants = {
        "w1": rng.normal(0, 0.5, (8, 3, 3, 3)),
        "b1": rng.normal(0, 0.3, 8),
        "w2": rng.normal(0, 0.5, (8, 1, 3, 3)),
        "w3": rng.normal(0, 0.4, (8, 8, 1, 1)),
        "w4": rng.normal(0, 0.2, (12, 8, 3, 3)),
        "b4": rng.normal(0, 0.3, 12),
        "w5": rng.normal(0, 1, (5, 12)),
        "low": np.array(0.0),
        "high": np.array(ceiling),
    }
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "first", pads=pads),
        helper.make_node("Clip", ["c1", "low", "high"], ["a1"], "clip"),
        helper.make_node("Conv", ["a1", "w2"], ["c2"], "depthwise", group=8, pads=pads),
        helper.make_node("Conv", ["c2", "w3"], ["c3"], "pointwise"),
        helper.make_node("Add", ["a1", "c3"], ["s"], "sum"),
        helper.make_node("Conv", ["s", "w4", "b4"], ["c4"], "strided", pads=pads, strides=[2, 2]),
        helper.make_node("Relu", ["c4"], ["a4"], "relu"),
        helper.make_node("GlobalAveragePool", ["a4"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w5"], ["scores"], "gemm", transB=1),
    ]
    return model_of(nodes, {"x": (1, 3, 16, 16)}, ["scores"], constants)


def pictures(count: int, seed: int = 1) -> NDArray[np.float32]:
    """(count, 3, 16, 16), a different colour cast each."""
    rng = np.random.default_rng(seed)
    found = rng.normal(0, 1, (count, 3, 1, 1)) + rng.normal(0, 0.6, (count, 3, 16, 16))
    return np.asarray(found, np.float32)


def sequences() -> onnx.ModelProto:
    """x (1, 6, 4) → LSTM → Gemm → Softmax, whose result and the LSTM's own are outputs."""
    rng = np.random.default_rng(3)
    constants = {
        "w": rng.normal(0, 0.5, (1, 20, 4)),
        "r": rng.normal(0, 0.4, (1, 20, 5)),
        "b": rng.normal(0, 0.2, (1, 40)),
        "v": rng.normal(0, 1, (5, 3)),
        "shape": np.array([6, 5], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r", "b"], ["y"], "lstm", hidden_size=5),
        helper.make_node("Reshape", ["y", "shape"], ["states"], "reshape"),
        helper.make_node("MatMul", ["states", "v"], ["logits"], "matmul"),
        helper.make_node("Softmax", ["logits"], ["scores"], "softmax", axis=-1),
    ]
    return model_of(nodes, {"x": (1, 6, 4)}, ["scores", "states"], constants)


def with_formats(quantized: Quantized, changes: Mapping[str, Format]) -> Quantized:
    """The same network with other formats of some values."""
    formats = Formats({**quantized.formats.values, **changes}, quantized.formats.uses)
    bits = {name: decision.bits for name, decision in quantized.placement.items()}
    program = lower(quantized.network, formats, bits, quantized.target).program
    return replace(quantized, formats=formats, program=replace(program, metadata=quantized.program.metadata))


def coarser(quantized: Quantized, value: str, steps: int) -> Quantized:
    """The same network with fewer bits for one value."""
    old = quantized.formats.values[value]
    return with_formats(quantized, {value: replace(old, exponents=(old.exponent + steps,))})


def coarser_weights(quantized: Quantized, layer: str, steps: int) -> Quantized:
    """The same network with fewer bits for the weights of one layer."""
    old = quantized.formats.uses[layer, 1]
    new = replace(old, exponents=tuple(exponent + steps for exponent in old.exponents))
    formats = replace(quantized.formats, uses={**quantized.formats.uses, (layer, 1): new})
    return with_formats(replace(quantized, formats=formats), {})


def alone(quantized: Quantized, samples: NDArray[np.float32], name: str = "x") -> dict[str, float]:
    """By layer, the noise at the outputs of the float network in which that layer alone is the chip's."""
    network = reference(quantized)
    whole = FloatNodes(network.nodes, network.outputs)
    bits = {layer: decision.bits for layer, decision in quantized.placement.items()}
    found = {}
    for step in layers(quantized):
        nodes = [step.node] if step.fused is None else [step.node, step.fused]
        made = {output.name for node in nodes for output in node.outputs}
        read = {i.name: i for node in nodes for i in node.inputs if i is not None and i.const is None}
        inputs = tuple(operand for key, operand in read.items() if key not in made)
        part = Network(tuple(nodes), inputs, tuple(float_outputs(step)))
        chip = Exact(part, quantized.formats, bits, quantized.target, checked=True)
        inner = [operand for operand in inputs if operand.name != name]
        before = FloatNodes(network.nodes, inner) if inner else dict
        others = [node for node in network.nodes if node.name not in {own.name for own in nodes}]
        outer = [operand for operand in network.outputs if operand.name not in made]
        behind = FloatNodes(others, outer) if outer else dict
        ratios = []
        pairs = []
        for sample in samples:
            fed: dict[str, Array] = {name: sample[None]}
            reals = {
                key: quantized.formats.values[key].dequantize(array) if array.dtype.kind == "i" else array
                for key, array in chip.run({**fed, **before(fed)}).items()
            }
            pairs.append(({**reals, **behind({**fed, **reals})}, whole(fed)))
        for operand in network.outputs:
            noise = sum(float(np.square(had[operand.name] - was[operand.name]).sum()) for had, was in pairs)
            ratios.append(noise / sum(float(np.square(was[operand.name]).sum()) for _, was in pairs))
        found[step.node.name] = float(np.mean(ratios))
    return found
