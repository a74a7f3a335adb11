"""Recurrent layers in the forms the runtime has, each against ONNX Runtime (or ONNX's reference for layout 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from tests.graph.models import check, feeds_for, histogram, node, op_types
from tests.graph.recurrent_models import GATES, HIDDEN, INPUTS, STEPS, layer
from tinsmith.graph import Runner, canonicalize
from tinsmith.graph.edit import shape_of
from tinsmith.importers import load

LAYERS = sorted(GATES)
DIRECTIONS = ["forward", "reverse", "bidirectional"]
AFTER = {"linear_before_reset": 1}


def usual(op_type: str) -> dict[str, Any]:
    return AFTER if op_type == "GRU" else {}


def runs_as(op_type: str) -> str:
    return "GRU" if op_type == "RNN" else op_type


@pytest.mark.parametrize("op_type", LAYERS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("initial", [False, True], ids=["zeros", "given"])
@pytest.mark.parametrize("lengths", [None, STEPS, 3, 1])
def test_directions_and_lengths(op_type: str, direction: str, initial: bool, lengths: int | None) -> None:
    turned = ["ReverseSequence"] * (direction == "reverse" and lengths != 1)
    cut, padded = (["Slice"], ["Pad"]) if lengths in (1, 3) else ([], [])
    original = layer(op_type, direction=direction, initial=initial, lengths=lengths, **usual(op_type))
    canonical = check(original, [*cut, *turned, runs_as(op_type), *turned, *padded])
    found = next(step for step in canonical.graph if step.op_type == runs_as(op_type))
    assert ("direction" in found.attributes) == (direction == "bidirectional")
    assert len(found.inputs) == ((7 if op_type == "LSTM" else 6) if initial else 4)


@pytest.mark.parametrize("op_type", LAYERS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("initial", [False, True], ids=["zeros", "given"])
def test_batch_first(op_type: str, direction: str, initial: bool) -> None:
    original = layer(op_type, direction=direction, layout=1, initial=initial, **usual(op_type))
    canonical = canonicalize(load(original))
    assert set(op_types(canonical)) <= {"Reshape", "ReverseSequence", runs_as(op_type)}
    if direction == "bidirectional" and initial:
        return  # ONNX's reference cannot
    feeds = feeds_for(canonical)
    runner = Runner(canonical)
    found = runner({name: feeds[name] for name in runner.inputs})
    # The reference walks forward only; feed it the sequence as it is walked through.
    if direction == "forward":
        expected = ReferenceEvaluator(original).run(None, feeds)
        for name, wanted in zip(("Y", "Y_h"), expected, strict=False):
            assert found[name].shape == wanted.shape
            assert found[name] == pytest.approx(wanted, abs=1e-5)
    other = layer(op_type, direction=direction, initial=initial, **usual(op_type))
    timed = Runner(load(other))({"x": feeds["x"].transpose(1, 0, 2)})
    assert found["Y"] == pytest.approx(timed["Y"].transpose(2, 0, 1, 3), abs=1e-5)
    assert found["Y_h"] == pytest.approx(timed["Y_h"].transpose(1, 0, 2), abs=1e-5)


def test_lengths_that_stay() -> None:
    assert op_types(canonicalize(load(layer("LSTM", lengths=0)))) == ["LSTM"]


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("LSTM", {"peepholes": 0.0}),
        ("LSTM", {"clip": 16.0, "input_forget": 0}),
        ("LSTM", {"activations": ["sigmoid", "TANH", "Tanh"]}),
        ("LSTM", {"bias": False}),
        ("GRU", {"clip": 20.0, **AFTER}),
        ("GRU", {"activations": ["Sigmoid", "tanh"] * 2, "direction": "bidirectional", **AFTER}),
    ],
)
def test_what_a_layer_has_anyway(op_type: str, attributes: dict[str, Any]) -> None:
    (found,) = check(layer(op_type, **attributes), [op_type]).graph
    assert set(found.attributes) <= {"hidden_size", "linear_before_reset", "direction"}
    assert len(found.inputs) == (4 if attributes.get("bias", True) else 3)


def test_clip_beyond_the_chips_gates_stays() -> None:
    (found,) = check(layer("LSTM", clip=6.5), ["LSTM"]).graph
    assert found.attributes["clip"].as_float() == 6.5


UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("GRU", {}),
    ("GRU", {"bias": False}),
    ("GRU", {**AFTER, "activations": ["Sigmoid", "Relu"]}),
    ("GRU", {**AFTER, "clip": 0.3}),
    ("LSTM", {"peepholes": 1.0}),
    ("LSTM", {"input_forget": 1}),
    ("LSTM", {"activations": ["HardSigmoid", "Relu", "Tanh"], "activation_alpha": [0.3], "activation_beta": [0.4]}),
    ("LSTM", {"peepholes": 1.0, "input_forget": 1, "clip": 0.4}),
    ("RNN", {"activations": ["Relu"]}),
    ("RNN", {"activations": ["Sigmoid"], "bias": False}),
    ("RNN", {"clip": 0.5}),
]


@pytest.mark.parametrize(("op_type", "attributes"), UNUSUAL)
@pytest.mark.parametrize(("direction", "initial"), [("forward", False), ("reverse", True), ("bidirectional", True)])
def test_spelled_out(op_type: str, attributes: dict[str, Any], direction: str, initial: bool) -> None:
    both = {name: value * 2 for name, value in attributes.items() if name.startswith("activation")}
    attributes = attributes | (both if direction == "bidirectional" else {})
    canonical = check(layer(op_type, direction=direction, initial=initial, **attributes))
    assert not GATES.keys() & set(op_types(canonical))


@pytest.mark.parametrize("op_type", ["GRU", "RNN"])
@pytest.mark.parametrize("steps", [1, 64, 65])
def test_spelled_out_up_to_a_limit(op_type: str, steps: int) -> None:
    attributes: dict[str, Any] = {"activations": ["Relu"]} if op_type == "RNN" else {}
    canonical = check(layer(op_type, "Y_h", steps=steps, **attributes))
    assert (op_type in op_types(canonical)) == (steps > 64)


@pytest.mark.parametrize("attributes", [{"activations": ["Sigmoid", "Affine", "Tanh"], "activation_alpha": [2.0]}])
def test_activations_that_stay(attributes: dict[str, Any]) -> None:
    assert op_types(canonicalize(load(layer("LSTM", **attributes)))) == ["LSTM"]


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
@pytest.mark.parametrize(
    ("more", "constants"),
    [
        ([node("Gather", "Y last", "out", axis=0)], {"last": -1}),
        ([node("Squeeze", "Y one", "s"), node("Gather", "s last", "out", axis=0)], {"one": [1], "last": STEPS - 1}),
        ([node("Slice", "Y start end zero", "out")], {"start": [-1], "end": [99], "zero": [0]}),
        (
            [
                node("Transpose", "Y", "t", perm=[2, 0, 1, 3]),
                node("Reshape", "t shape", "s"),
                node("Slice", "s start end one", "out"),
            ],
            {"shape": [1, STEPS, HIDDEN], "start": [STEPS - 1], "end": [STEPS], "one": [1]},
        ),
    ],
)
def test_last_step(op_type: str, more: list[Any], constants: dict[str, Any]) -> None:
    canonical = check(layer(op_type, "out", more=more, constants=constants, **usual(op_type)))
    assert set(op_types(canonical)) <= {op_type, "Reshape"}
    layer_node = next(iter(canonical.graph))
    assert layer_node.outputs[1].uses() or layer_node.outputs[1].is_graph_output()
    assert not layer_node.outputs[0].uses()


def test_first_step_of_a_reversed_layer_is_its_last() -> None:
    more = [node("Gather", "Y first", "out", axis=0)]
    original = layer("LSTM", "out", direction="reverse", more=more, constants={"first": 0})
    check(original, ["ReverseSequence", "LSTM"])


@pytest.mark.parametrize(
    ("direction", "index", "more"),
    [
        ("forward", 2, "Gather"),
        ("bidirectional", -1, "Gather"),
        ("reverse", -1, "Gather"),
    ],
)
def test_other_steps_stay(direction: str, index: int, more: str) -> None:
    steps = [node(more, "Y index", "out", axis=0)]
    original = layer("LSTM", "out", direction=direction, more=steps, constants={"index": index})
    assert histogram(check(original))["Gather"] == 1


def test_stacked_layers() -> None:
    """As PyTorch exports them: layers of two directions, what lies between is one Transpose and one Reshape."""
    rng = np.random.default_rng(1)
    more = [
        node("Transpose", "Y", "t", perm=[0, 2, 1, 3]),
        node("Reshape", "t shape", "flat"),
        node("LSTM", "flat w2 r2", "Y2", "second", hidden_size=HIDDEN, direction="bidirectional"),
    ]
    constants = {
        "shape": [0, 0, -1],
        "w2": rng.normal(0, 0.4, (2, 4 * HIDDEN, 2 * HIDDEN)).astype(np.float32),
        "r2": rng.normal(0, 0.4, (2, 4 * HIDDEN, HIDDEN)).astype(np.float32),
    }
    original = layer("LSTM", "Y2", direction="bidirectional", more=more, constants=constants)
    canonical = check(original, ["LSTM", "Reshape", "LSTM"])
    assert shape_of(canonical.graph.inputs[0]) == (STEPS, 1, INPUTS)
