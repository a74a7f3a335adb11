"""Softmaxes of large logits run in int16, with what computes their input."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import tinsmith
from tests.graph.models import model, node
from tinsmith.algorithms.narrow import at_risk, values_to_observe, widened
from tinsmith.algorithms.scales import observed_values
from tinsmith.graph import canonicalize
from tinsmith.graph.network import network
from tinsmith.importers import load
from tinsmith.ops.floatnode import Network
from tinsmith.targets import find

RNG = np.random.default_rng(5)
S3 = find("esp32s3")
TOKENS, WIDTH = 12, 16


def weights() -> np.ndarray:
    return (RNG.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)


def attention(scale: float) -> onnx.ModelProto:
    nodes = [
        node("MatMul", "x wq", "q", "queries"),
        node("MatMul", "x wk", "k", "keys"),
        node("MatMul", "x wv", "v", "values"),
        node("Transpose", "k", "t", "turn", perm=[0, 2, 1]),
        node("MatMul", "q t", "s", "scores"),
        node("Mul", "s scale", "scaled", "scale"),
        node("Add", "scaled mask", "m", "masked"),
        node("Softmax", "m", "p", "softmax", axis=-1),
        node("MatMul", "p v", "y", "mix"),
    ]
    mask = np.triu(np.full((TOKENS, TOKENS), -32.0, np.float32), 1)
    constants = {"wq": weights(), "wk": weights(), "wv": weights(), "scale": np.float32(scale), "mask": mask}
    return model(nodes, {"x": (1, TOKENS, WIDTH)}, "y", constants)


def plain(original: onnx.ModelProto) -> Network:
    return network(canonicalize(load(original)))


def widths(net: Network, bits: int = 8) -> dict[str, int]:
    return {step.name: bits for step in net.nodes}


def joined(*nodes: onnx.NodeProto, outputs: str = "y") -> set[str]:
    """What runs in int16 for the one Softmax."""
    constants = {"w": weights(), "one": np.ones((1, WIDTH), np.float32), "flat": np.array([1, WIDTH])}
    net = plain(model(list(nodes), {"x": (1, WIDTH), "z": (1, WIDTH)}, outputs, constants))
    return set(widened(net, widths(net), S3, at_risk(net, widths(net), S3)))


def test_only_kernels_that_overflow_in_int8_alone_are_at_risk() -> None:
    net = plain(attention(1.0))
    assert at_risk(net, widths(net), S3) == ("softmax",)
    assert at_risk(net, widths(net, 16), S3) == ()
    sums = plain(model([node("ReduceLogSumExp", "x a", "y", "sum")], {"x": (1, 8)}, "y", {"a": np.array([1])}))
    assert at_risk(sums, widths(sums), S3) == ()


def test_all_back_to_the_product_of_queries_and_keys_goes_along() -> None:
    net = plain(attention(1.0))
    found = widened(net, widths(net), S3, ["softmax"])
    assert {"softmax", "masked", "scores"} <= set(found)
    assert set(found.values()) == {"softmax"}
    assert not {"queries", "keys", "values", "mix"} & set(found)


def test_layers_with_weights_stay() -> None:
    assert joined(node("Gemm", "x w", "a", "gemm"), node("Softmax", "a", "y", "soft")) == {"soft"}


def test_what_others_read_stays() -> None:
    nodes = [node("Add", "x z", "a", "sum"), node("Softmax", "a", "y", "soft")]
    assert joined(*nodes) == {"sum", "soft"}
    assert joined(*nodes, outputs="y a") == {"soft"}
    assert joined(*nodes, node("Sigmoid", "a", "b", "other"), outputs="y b") == {"soft"}


def test_functions_and_fused_activations_stay() -> None:
    assert joined(node("Sin", "x", "a", "sin"), node("Softmax", "a", "y", "soft")) == {"soft"}
    fused = [node("Gemm", "x w", "a", "gemm"), node("Relu", "a", "b", "relu"), node("Softmax", "b", "y", "soft")]
    assert joined(*fused) == {"soft"}


def test_what_either_width_needs_is_observed() -> None:
    net = plain(attention(1.0))
    values, seen = values_to_observe(net, widths(net), S3)
    assert set(values) >= set(observed_values(net, widths(net), S3)[0])
    assert seen == [8, 16]
    assert values_to_observe(net, widths(net, 16), S3) == observed_values(net, widths(net, 16), S3)


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "c"])
@pytest.mark.parametrize("effort", ["fast", "default"])
def test_attention_with_large_scores(target: str, effort: str) -> None:
    """Data that can be read once only; no score saturates; probabilities are right for the scores the chip has."""
    net = attention(16.0)
    data = np.random.default_rng(0).normal(size=(12, TOKENS, WIDTH)).astype(np.float32)
    result = tinsmith.quantize(net, iter(data), target, effort=effort)
    assert any(note.startswith("'softmax' runs in int16") for note in result.notes)
    inside = {name: decision.precision for name, decision in result.placement.items()}
    assert (inside["scores"], inside["queries"], inside["mix"]) == ("int16", "int8", "int8")
    (softmax,) = (step for step in result.program.nodes if step.op_type == "Softmax")
    found = result.simulate(data, save_all=True)
    scores = found[softmax.inputs[0]].astype(np.float64)
    assert np.abs(scores).max() < 32767
    scores = scores * 2.0 ** result.program.values[softmax.inputs[0]].exponent
    assert scores.max() > 64
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    assert np.allclose(found[softmax.outputs[0]], powers / powers.sum(axis=-1, keepdims=True), rtol=1e-4, atol=1e-7)
    numbers = tinsmith.dequantize(result.program, found)["y"]
    session = onnxruntime.InferenceSession(net.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = np.concatenate([session.run(None, {"x": sample[None]})[0] for sample in data])
    assert np.square(numbers - wanted).sum() < 0.1 * np.square(wanted).sum()
    assert np.array_equal(result.simulate(data[:2], compiled=False)["y"], found["y"][:2])
