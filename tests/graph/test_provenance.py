"""What became of the user's nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graph.models import model, node, value
from tinsmith.graph import canonicalize
from tinsmith.graph.provenance import Origin, origins, sources
from tinsmith.importers import load

RNG = np.random.default_rng(0)


def became(original: onnx.ModelProto, **options: Any) -> dict[str, tuple[Any, ...]]:
    """By node of the user's: kind, and operators of the nodes it ended in."""
    canonical = canonicalize(load(original), **options)
    known = {step.name: step.op_type for step in canonical.graph}
    return {origin.node: (origin.kind, *(known[name] for name in origin.into)) for origin in origins(canonical)}


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def test_nodes_that_need_no_change_are_kept() -> None:
    net = model(
        [node("Conv", "x w", "a", "conv"), node("Relu", "a", "y", "relu")],
        {"x": (1, 3, 8, 8)},
        "y",
        {"w": weights(4, 3, 3, 3)},
    )
    canonical = canonicalize(load(net))
    assert origins(canonical) == (
        Origin("conv", "Conv", "kept", ("conv",)),
        Origin("relu", "Relu", "kept", ("relu",)),
    )
    assert [sources(step) for step in canonical.graph] == [("conv",), ("relu",)]


def test_a_normalization_is_absorbed_by_the_convolution_before_it() -> None:
    net = model(
        [node("Conv", "x w", "a", "conv"), node("BatchNormalization", "a s b m v", "y", "norm")],
        {"x": (1, 3, 8, 8)},
        "y",
        {"w": weights(4, 3, 3, 3), "s": weights(4), "b": weights(4), "m": weights(4), "v": weights(4) ** 2 + 1},
    )
    assert became(net) == {"conv": ("kept", "Conv"), "norm": ("absorbed", "Conv")}


def test_a_normalization_is_absorbed_by_the_convolution_behind_it() -> None:
    net = model(
        [node("BatchNormalization", "x s b m v", "a", "norm"), node("Conv", "a w", "y", "conv")],
        {"x": (1, 3, 8, 8)},
        "y",
        {"w": weights(4, 3, 3, 3), "s": weights(3), "b": weights(3), "m": weights(3), "v": weights(3) ** 2 + 1},
    )
    assert became(net) == {"norm": ("absorbed", "Conv"), "conv": ("kept", "Conv")}


def test_a_normalization_alone_is_rewritten() -> None:
    net = model(
        [node("Sigmoid", "x", "a", "gate"), node("BatchNormalization", "a s b m v", "y", "norm")],
        {"x": (1, 3, 8, 8)},
        "y",
        {"s": weights(3), "b": weights(3), "m": weights(3), "v": weights(3) ** 2 + 1},
    )
    assert became(net) == {"gate": ("kept", "Sigmoid"), "norm": ("rewritten", "Conv")}


def test_a_function_spelled_out_ends_in_one_node() -> None:
    net = model(
        [
            node("Div", "x root", "a", "scale"),
            node("Erf", "a", "b", "erf"),
            node("Add", "b one", "c", "plus"),
            node("Mul", "x c", "d", "gate"),
            node("Mul", "d half", "y", "half_of_it"),
        ],
        {"x": (1, 16)},
        "y",
        {"root": 2**0.5, "one": 1.0, "half": 0.5},
    )
    found = became(net)
    assert found.pop("half_of_it") == ("rewritten", "Gelu")
    assert set(found.values()) == {("absorbed", "Gelu")}
    assert list(found) == ["scale", "erf", "plus", "gate"]


def test_what_depends_on_constants_and_shapes_alone_is_a_constant() -> None:
    net = model(
        [
            node("Shape", "x", "shape", "shape"),
            node("Gather", "shape first", "batch", "batch"),
            node("Unsqueeze", "batch axes", "list", "list"),
            node("Concat", "list rest", "target", "target", axis=0),
            node("Reshape", "x target", "a", "reshape"),
            node("Add", "one two", "three", "sum"),
            node("Mul", "a three", "y", "times"),
        ],
        {"x": ("N", 3, 4)},
        "y",
        {"first": 0, "axes": np.array([0]), "rest": np.array([12]), "one": 1.0, "two": 2.0},
    )
    assert became(net) == {
        **dict.fromkeys(("shape", "batch", "list", "target", "sum"), ("constant",)),
        "reshape": ("kept", "Reshape"),
        "times": ("kept", "Mul"),
    }


def test_what_does_nothing_is_removed() -> None:
    net = model(
        [
            node("Identity", "x", "a", "same"),
            node("Dropout", "a", "b", "dropout"),
            node("Relu", "b", "c", "relu"),
            node("Transpose", "c", "d", "there", perm=[0, 2, 3, 1]),
            node("Transpose", "d", "e", "back", perm=[0, 3, 1, 2]),
            node("Sigmoid", "e", "y", "gate"),
        ],
        {"x": (1, 3, 4, 5)},
        "y",
    )
    assert became(net) == {
        **dict.fromkeys(("same", "dropout", "there", "back"), ("removed",)),
        "relu": ("kept", "Relu"),
        "gate": ("kept", "Sigmoid"),
    }


def test_transposes_in_a_row_are_one() -> None:
    net = model(
        [
            node("Transpose", "x", "a", "first", perm=[0, 2, 3, 1]),
            node("Transpose", "a", "y", "second", perm=[0, 2, 1, 3]),
        ],
        {"x": (1, 3, 4, 5)},
        "y",
    )
    assert became(net) == {"first": ("absorbed", "Transpose"), "second": ("kept", "Transpose")}


def test_one_node_can_become_several() -> None:
    net = model(
        [node("Sum", "x z w", "a", "sum"), node("ReduceMean", "a axes", "y", "mean", keepdims=0)],
        {"x": (1, 3, 8, 8), "z": (1, 3, 8, 8), "w": (1, 3, 8, 8)},
        "y",
        {"axes": np.array([2, 3])},
    )
    assert became(net) == {"sum": ("rewritten", "Add", "Add"), "mean": ("rewritten", "GlobalAveragePool", "Flatten")}


def test_the_same_computed_twice_is_computed_once() -> None:
    net = model(
        [
            node("Sigmoid", "x", "a", "first"),
            node("Sigmoid", "x", "b", "again"),
            node("Mul", "a b", "y", "times"),
        ],
        {"x": (1, 8)},
        "y",
    )
    found = became(net)
    assert found["first"] == ("kept", "Sigmoid")
    assert found["again"] == ("absorbed", "Sigmoid")


@pytest.mark.parametrize("opset", [9, 13])
def test_nodes_survive_the_conversion_of_old_models(opset: int) -> None:
    net = model(
        [node("Relu", "x", "a", "relu"), node("Softmax", "a", "y", "probabilities", axis=1)],
        {"x": (1, 8)},
        "y",
        opset=opset,
    )
    found = became(net)
    assert found["relu"] == ("kept", "Relu")
    assert found["probabilities"] == ("kept", "Softmax")


def test_an_upsampling_of_old_models_is_a_resize() -> None:
    net = model(
        [node("Upsample", "x scales", "y", "up", mode="nearest")],
        {"x": (1, 3, 4, 4)},
        "y",
        {"scales": np.array([1, 1, 2, 2], np.float32)},
        opset=9,
    )
    assert became(net) == {"up": ("rewritten", "Resize")}


def test_a_branch_that_a_constant_chooses() -> None:
    def branch(op_type: str) -> onnx.GraphProto:
        inner = [node(op_type, "x", f"{op_type}_h", "inside"), node("Neg", f"{op_type}_h", f"{op_type}_y", "last")]
        return onnx.helper.make_graph(inner, op_type, [], [value(f"{op_type}_y", (1, 8))])

    net = model(
        [
            node("If", "c", "a", "if", then_branch=branch("Relu"), else_branch=branch("Sigmoid")),
            node("Tanh", "a", "y", "tanh"),
        ],
        {"x": (1, 8)},
        "y",
        {"c": np.array(False)},
    )
    assert became(net) == {"if": ("rewritten", "Sigmoid", "Neg"), "tanh": ("kept", "Tanh")}


def test_pairs_of_a_quantized_model_are_not_needed() -> None:
    net = model(
        [
            node("QuantizeLinear", "x s z", "q", "quantize"),
            node("DequantizeLinear", "q s z", "d", "dequantize"),
            node("DequantizeLinear", "w s", "v", "weights"),
            node("Conv", "d v", "y", "conv"),
        ],
        {"x": (1, 3, 8, 8)},
        "y",
        {"s": 0.1, "z": np.array(0, np.int8), "w": np.ones((4, 3, 1, 1), np.int8)},
    )
    assert became(net) == {
        "quantize": ("removed",),
        "dequantize": ("removed",),
        "weights": ("constant",),
        "conv": ("kept", "Conv"),
    }


def test_nodes_behind_the_cut_are_not_in_it() -> None:
    net = model(
        [node("Relu", "x", "a", "relu"), node("Sigmoid", "a", "y", "gate")],
        {"x": (1, 8)},
        "y",
    )
    assert became(net, outputs=["a"]) == {"relu": ("kept", "Relu")}


def test_every_canonical_node_stands_for_one_of_the_users() -> None:
    net = model(
        [
            node("Transpose", "x", "a", "to_last", perm=[0, 2, 3, 1]),
            node("Mul", "a scale", "b", "scale"),
            node("Transpose", "b", "c", "to_first", perm=[0, 3, 1, 2]),
            node("Conv", "c w", "d", "conv"),
            node("ReduceMean", "d axes", "y", "mean", keepdims=0),
        ],
        {"x": (1, 3, 8, 8)},
        "y",
        {"scale": weights(3), "w": weights(4, 3, 3, 3), "axes": np.array([2, 3])},
    )
    canonical: ir.Model = canonicalize(load(net))
    assert all(sources(step) for step in canonical.graph)
    assert {origin.kind for origin in origins(canonical)} <= {"kept", "absorbed", "rewritten", "removed"}


def test_a_canonical_form_starts_anew() -> None:
    net = model([node("Identity", "x", "a", "same"), node("Relu", "a", "y", "relu")], {"x": (1, 8)}, "y")
    again = canonicalize(canonicalize(load(net)))
    assert [origin.node for origin in origins(again)] == ["relu"]
