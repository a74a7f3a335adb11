from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from tests.graph.models import (
    assert_same_results,
    assert_well_formed,
    check,
    feeds_for,
    histogram,
    model,
    node,
    op_types,
    value,
)
from tests.shared import shared_files, shared_path
from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import Runner, canonicalize
from tinsmith.importers import load

RNG = np.random.default_rng(7)
W = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
MODELS = shared_files("data/models/*.onnx")

EXPECTED = {
    "efficientnet_lite0": {"Conv": 49, "Clip": 33, "Add": 9, "GlobalAveragePool": 1, "Reshape": 1, "Gemm": 1},
    "fastestdet": {
        "Conv": 70, "Relu": 48, "Slice": 26, "Concat": 19, "MaxPool": 1, "Resize": 1,
        "AveragePool": 1, "Add": 1, "Sigmoid": 1, "Softmax": 1,
    },
    "fsdd_gru": {"Reshape": 2, "GRU": 1, "Gemm": 1},
    "fsdd_transformer": {
        "Gemm": 14, "MatMul": 4, "Add": 5, "LayerNormalization": 5, "Reshape": 10, "Transpose": 8, "Softmax": 2,
        "Gelu": 2, "ReduceMean": 1,
    },
    "kws_dscnn": {"Conv": 9, "Relu": 9, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1},
    "lightgesturenet_signdigits": {"Conv": 13, "Clip": 9, "Add": 2, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1},
    "mnist_lstm": {"Reshape": 2, "LSTM": 1, "Gemm": 1},
    "mobilenetv2": {"Conv": 53, "Clip": 35, "Add": 10, "GlobalAveragePool": 1, "Flatten": 1},
    "resnet8_cifar10": {"Conv": 9, "Relu": 7, "Add": 3, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1},
    "vww96": {"Conv": 27, "Relu": 27, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1},
}  # fmt: skip


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_real_models(path: Path) -> None:
    source = load(path)
    canonical = canonicalize(source)
    if path.stem in EXPECTED:
        assert histogram(canonical) == EXPECTED[path.stem]
    assert_well_formed(canonical)
    assert_same_results(source, canonical)
    assert op_types(canonicalize(canonical)) == op_types(canonical)
    assert all(step.name in {old.name for old in source.graph} or not old_names(source) for step in canonical.graph)


def old_names(source: object) -> bool:
    """Whether a model's nodes have names."""
    return all(step.name and step.name.find("_") != -1 for step in source.graph)  # type: ignore[attr-defined]


def small(**options: object) -> onnx.ModelProto:
    """A convolution, an activation, a pool and a matrix product."""
    nodes = [
        node("Conv", "x w", "c", "first", pads=[1, 1, 1, 1]), node("Relu", "c", "r", "second"),
        node("GlobalAveragePool", "r", "p", "third"), node("Flatten", "p", "f"), node("Gemm", "f k", "y", "last"),
    ]  # fmt: skip
    return model(nodes, {"x": ("N", 3, 8, 8)}, "y", {"w": W, "k": W[:, :, 0, 0]}, **options)  # type: ignore[arg-type]


def test_names_stay() -> None:
    canonical = check(small())
    assert [step.name for step in canonical.graph] == ["first", "second", "third", "Flatten_3", "last"]
    assert [step.outputs[0].name for step in canonical.graph] == ["c", "r", "p", "f", "y"]
    assert sorted(canonical.graph.initializers) == ["k", "w"]


def test_the_fused_node_keeps_the_name_of_what_computes() -> None:
    nodes = [
        node("Conv", "x w", "c", "conv"), node("Mul", "c s", "m", "scale"), node("Relu", "m", "y", "relu"),
    ]  # fmt: skip
    canonical = check(model(nodes, {"x": (1, 3, 8, 8)}, "y", {"w": W, "s": 2.0}), ["Conv", "Relu"])
    assert [step.name for step in canonical.graph] == ["conv", "relu"]
    assert [step.outputs[0].name for step in canonical.graph] == ["m", "y"]


def test_repeated_and_missing_names() -> None:
    nodes = [
        node("Tanh", "x", "a", "same"), node("Tanh", "a", "b", "same"), node("Tanh", "b", "c"),
        node("Tanh", "c", "d", "same_1"), node("Tanh", "d", "y", "Tanh_2"),
    ]  # fmt: skip
    canonical = check(model(nodes, {"x": (2,)}, "y"))
    assert [step.name for step in canonical.graph] == ["same", "same_2", "Tanh_2_1", "same_1", "Tanh_2"]


def test_names_of_any_script() -> None:
    nodes = [node("Conv", "图像 重み", "ψ", "свёртка 1/卷积"), node("Relu", "ψ", "выход")]
    canonical = check(model(nodes, {"图像": (1, 3, 8, 8)}, "выход", {"重み": W}), ["Conv", "Relu"])
    assert canonical.graph[0].name == "свёртка 1/卷积"


@pytest.mark.parametrize(
    ("outputs", "ops"), [(["r"], ["Conv", "Relu"]), (["f", "c"], ["Conv", "Relu", "GlobalAveragePool", "Flatten"])]
)
def test_cut(outputs: list[str], ops: list[str]) -> None:
    canonical = check(small(), ops, outputs=outputs)
    assert [out.name for out in canonical.graph.outputs] == outputs


def test_a_cut_keeps_what_would_be_folded() -> None:
    nodes = [node("Conv", "x w", "c"), node("Mul", "c s", "m"), node("Identity", "m", "y")]
    original = model(nodes, {"x": (1, 3, 8, 8)}, "y", {"w": W, "s": 2.0})
    check(original, ["Conv"], outputs=["c"])
    check(original, ["Conv", "Mul"], outputs=["y", "c"])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["yy"], r"outputs: no value is named 'yy'\. Did you mean 'y'\?"),
        (["something else"], r"no value is named 'something else'\. Values are named as in the ONNX file\."),
        (["r", "auto"], r"no value is named 'auto'\. 'auto' finds all outputs by itself: give no others\."),
        (["second"], r"no value is named 'second'\. It is a node, which gives 'r'\."),
        ([], "no output is left"),
        (["r", "r"], "'r' is named twice"),
        (["x"], "'x': the output is an input"),
        (["w"], "'w': the output is a constant"),
    ],
)
def test_cuts_that_cannot_be(outputs: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        canonicalize(load(small()), outputs=outputs)


def test_inputs_without_effect_go() -> None:
    nodes = [node("Relu", "x", "y"), node("Add", "z y", "w")]
    original = model(nodes, {"x": (1, 3), "z": (1, 3), "unused": (2,)}, "y w")
    assert [item.name for item in check(original).graph.inputs] == ["x", "z"]
    assert [item.name for item in check(original, outputs=["y"]).graph.inputs] == ["x"]


def test_outputs_without_inputs() -> None:
    with pytest.raises(ModelError, match="depend on no input"):
        canonicalize(load(model([node("Exp", "c", "y")], {"x": (1,)}, "y", {"c": 1.0})))


def test_an_output_that_turns_out_constant() -> None:
    nodes = [node("Shape", "x", "s"), node("Cast", "s", "y", to=1), node("Relu", "x", "z")]
    with pytest.raises(ModelError, match="'y': the output is a constant"):
        canonicalize(load(model(nodes, {"x": (1, 3)}, "y z")))


def test_a_constant_that_is_an_output() -> None:
    nodes = [node("Constant", "", "c", value_ints=[1]), node("Unsqueeze", "x c", "y")]
    outputs = [value("y", None), value("c", None, np.int64)]
    with pytest.raises(ModelError, match="'c': the output is a constant"):
        canonicalize(load(model(nodes, {"x": (3,)}, outputs)))


def test_functions_are_inlined() -> None:
    body = [node("Sigmoid", "a", "s"), node("Mul", "a s", "b")]
    original = model([node("Silu", "x", "y", domain="mine")], {"x": (1, 3)}, "y", domains=["mine"])
    original.functions.append(helper.make_function("mine", "Silu", ["a"], ["b"], body, [helper.make_opsetid("", 24)]))
    check(original, ["Swish"])


def test_other_operator_sets_are_refused_by_name() -> None:
    nodes = [node("FusedConv", "x", "h", "odd one", domain="com.microsoft"), node("Relu", "h", "y")]
    original = model(nodes, {"x": (1, 3)}, "y", domains=["com.microsoft"])
    with pytest.raises(UnsupportedError, match=r"'odd one': FusedConv of the operator set 'com\.microsoft'"):
        canonicalize(load(original))


def branches(condition: str) -> onnx.ModelProto:
    then = helper.make_graph([node("Relu", "x", "t")], "then", [], [value("t", (1, 3))])
    other = helper.make_graph([node("Exp", "x", "e")], "else", [], [value("e", (1, 3))])
    nodes = [
        node("ReduceSum", "x axes", "sum", keepdims=0), node("Greater", "sum zero", "computed"),
        node("If", condition, "y", "choice", then_branch=then, else_branch=other),
    ]  # fmt: skip
    return model(nodes, {"x": (1, 3)}, "y", {"axes": [0, 1], "zero": 0.0, "known": np.array(True)})


def test_a_choice_that_is_made_is_inlined() -> None:
    check(branches("known"), ["Relu"])


def test_a_choice_at_run_time_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="'choice': If chooses or repeats"):
        canonicalize(load(branches("computed")))


def test_cycles_are_refused() -> None:
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Exp", "b", "y")]
    with pytest.raises(ModelError):
        canonicalize(load(model(nodes, {"x": (1, 3)}, "y")))


def test_nodes_in_any_order() -> None:
    nodes = [node("Relu", "h", "y"), node("Exp", "x", "h")]
    canonical = canonicalize(load(model(nodes, {"x": (1, 3)}, "y")))
    assert op_types(canonical) == ["Exp", "Relu"]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_named(number: float) -> None:
    weights = W.copy()
    weights[1, 1, 1, 1] = number
    with pytest.raises(ModelError, match=r"'w': the weights hold (NaN|infinite values)"):
        canonicalize(load(model([node("Conv", "x w", "y")], {"x": (1, 3, 8, 8)}, "y", {"w": weights})))


def test_unused_weights_may_be_anything() -> None:
    constants = {"w": W, "v": np.full(3, np.nan, np.float32)}
    nodes = [node("Conv", "x w", "y"), node("Add", "y v", "z")]
    check(model(nodes, {"x": (1, 3, 5, 5)}, "y z", constants), ["Conv"], outputs=["y"])


def test_tensors_without_elements_are_refused() -> None:
    nodes = [node("Slice", "x a b c", "h", "nothing"), node("Relu", "h", "y")]
    with pytest.raises(ModelError, match="Slice computes 'h' without a single element"):
        canonicalize(load(model(nodes, {"x": (1, 3, 8)}, "y", {"a": [5], "b": [5], "c": [2]})))


def test_parts_without_elements_that_do_not_matter() -> None:
    nodes = [node("Slice", "x a b c", "h"), node("Concat", "h x h", "y", axis=1)]
    check(model(nodes, {"x": (1, 3, 8)}, "y", {"a": [3], "b": [3], "c": [1]}), outputs=["y"])


def test_a_batch_that_is_baked_in() -> None:
    nodes = [node("Conv", "x w", "c"), node("Reshape", "c s", "y")]
    original = model(nodes, {"x": ("batch", 3, 8, 8)}, "y", {"w": W, "s": [1, -1]})
    check(original, ["Conv", "Reshape"])


def test_shapes_computed_from_shapes() -> None:
    nodes = [
        node("Conv", "x w", "c"), node("Shape", "c", "s"), node("Gather", "s i", "n"), node("Unsqueeze", "n z", "u"),
        node("Concat", "u m", "t", axis=0), node("Reshape", "c t", "r"), node("Shape", "r", "s2"),
        node("ConstantOfShape", "s2", "o"), node("Add", "r o", "y"),
    ]  # fmt: skip
    original = model(nodes, {"x": ("N", 3, 8, 8)}, "y", {"w": W, "i": 0, "z": [0], "m": [-1]})
    check(original, ["Conv", "Reshape"])


STEPS = ["Relu", "Identity", "Conv", "Mul", "Add", "Dropout", "Clip", "Cast", "BatchNormalization"]


@given(ops=st.lists(st.sampled_from(STEPS), max_size=8), outputs=st.sets(st.integers(0, 8), max_size=3))
def test_outputs_keep_names_and_values_whatever_happens(ops: list[str], outputs: set[int]) -> None:
    ops = ["Tanh", *ops]
    constants = {
        "w": W[:3, :, 1:2, 1:2],
        "s": W[0, :, :1, :1] + 2,
        "low": -0.5,
        "g": W[0, 0, 0] + 2,
        "v": np.ones(3, np.float32),
    }
    extra = {"Conv": "w", "Mul": "s", "Add": "s", "Clip": "low", "BatchNormalization": "g g g v"}
    nodes = [
        node(op, f"v{i} {extra.get(op, '')}", f"v{i + 1}", **({"to": 1} if op == "Cast" else {}))
        for i, op in enumerate(ops)
    ]
    names = sorted({f"v{min(i, len(ops) - 1) + 1}" for i in outputs} | {f"v{len(ops)}"}, reverse=True)
    check(model(nodes, {"v0": (1, 3, 4, 4)}, " ".join(names), constants))


def test_in_time() -> None:
    import time

    source = load(shared_path("data/models/mobilenetv2.onnx"))
    canonicalize(source)
    start = time.process_time()
    canonicalize(source)
    assert time.process_time() - start < 1


def test_a_batch_of_samples_is_not_part_of_it() -> None:
    source = load(small())
    canonical = canonicalize(source)
    samples = RNG.normal(size=(5, 3, 8, 8)).astype(np.float32)
    whole = Runner(source)({"x": samples})["y"]
    runner = Runner(canonical)
    single = np.concatenate([runner({"x": sample[None]})["y"] for sample in samples])
    assert np.abs(whole - single).max() <= 1e-5 * np.abs(whole).max()
    assert feeds_for(canonical)["x"].shape == (1, 3, 8, 8)
