from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest

from tests.graph.models import check, model, node, op_types
from tinsmith.graph import canonicalize
from tinsmith.graph.definitions import expand
from tinsmith.graph.execute import Runner
from tinsmith.graph.provenance import origins
from tinsmith.importers import load

X = np.random.default_rng(3).normal(size=(1, 3, 4, 6)).astype(np.float32)
NEWEST = onnx.defs.onnx_opset_version()


def _needs(opset: int) -> None:
    if opset > NEWEST:
        pytest.skip(f"this ONNX ends at opset {NEWEST}")


def _same(original: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[str]:
    """The operators of the canonical form, which computes what ONNX's own runtime does for the original."""
    found = canonicalize(load(original))
    expected = onnx.reference.ReferenceEvaluator(original).run(None, inputs)
    computed = Runner(found)(inputs)
    for name, array in zip([output.name for output in original.graph.output], expected, strict=True):
        np.testing.assert_allclose(computed[name], array, rtol=1e-5, atol=1e-6)
    return op_types(found)


def test_cropping_and_padding_about_the_centre() -> None:
    original = model(
        [node("CenterCropPad", "x s", "y", axes=[2, 3])], {"x": X.shape}, "y", {"s": np.array([6, 3])}, opset=18
    )
    check(original, ["Pad", "Slice"])


def test_a_definition_within_a_definition() -> None:
    labels = np.array([[[0, 2, 1, 0, 1, 2]] * 4])
    original = model(
        [node("SoftmaxCrossEntropyLoss", "x t", "y", reduction="none")],
        {"x": X.shape}, "y", {"t": labels.reshape(1, 4, 6)}, opset=13,
    )  # fmt: skip
    check(original, ["LogSoftmax", "Reshape", "Gather", "Reshape", "Neg"])


def test_what_stays_unknown_stays_as_it_is() -> None:
    original = model([node("Bernoulli", "x", "y")], {"x": X.shape}, "y", opset=22)
    assert op_types(canonicalize(load(original))) == ["Bernoulli"]


def test_an_operator_of_a_newer_opset() -> None:
    _needs(28)
    original = model([node("SwiGLU", "x x", "y")], {"x": X.shape}, "y", opset=28)
    assert _same(original, {"x": X}) == ["Swish", "Mul"]


def test_a_newer_form_of_an_operator_with_results_left_out() -> None:
    _needs(25)
    original = model(
        [node("Attention", "x x x", "y _ _ scores", left_window_size=1, softmax_precision=11)],
        {"x": X.shape}, "y scores", opset=25,
    )  # fmt: skip
    assert "Softmax" in _same(original, {"x": X})


def test_an_operator_that_is_only_proposed() -> None:
    domain = "ai.onnx.preview"
    if not onnx.defs.has("FlexAttention", domain):
        pytest.skip("this ONNX has no FlexAttention")
    original = model([node("FlexAttention", "x x x", "y", domain=domain)], {"x": X.shape}, "y", opset=24)
    original.opset_import.append(onnx.helper.make_operatorsetid(domain, 1))
    assert "Softmax" in _same(original, {"x": X})


def test_the_nodes_are_those_of_the_user() -> None:
    nodes = [node("Relu", "x", "r", "first"), node("CenterCropPad", "r s", "y", "second", axes=[2, 3])]
    found = canonicalize(load(model(nodes, {"x": X.shape}, "y", {"s": np.array([6, 3])}, opset=18)))
    assert [(origin.node, origin.kind) for origin in origins(found)] == [("first", "kept"), ("second", "rewritten")]
    assert [name.partition(".")[0] for name in origins(found)[1].into] == ["second", "second"]


def test_two_calls_get_names_of_their_own() -> None:
    nodes = [node("Celu", "x", "a", "one"), node("Celu", "a", "y", "two", alpha=2.0)]
    found = ir.from_proto(model(nodes, {"x": X.shape}, "y", opset=12))
    assert expand(found, list(found.graph), lambda *_: True) == []
    names = [output.name for step in found.graph for output in step.outputs]
    assert len(names) == len(set(names))
    onnx.checker.check_model(ir.to_proto(found))
    assert not found.functions


def test_a_definition_that_would_mean_something_else_is_not_taken() -> None:
    found = ir.from_proto(model([node("Celu", "x", "y")], {"x": X.shape}, "y", opset=12))
    assert [left.op_type for left in expand(found, list(found.graph), lambda *_: False)] == ["Celu"]
    assert [step.op_type for step in found.graph] == ["Celu"]
