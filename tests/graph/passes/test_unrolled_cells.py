"""Cells spelled out become one layer; what only looks like that stays. Each against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.graph.models import assert_same_results, check, histogram, model, node, op_types, value
from tests.graph.unrolled_models import HIDDEN, INPUTS, STEPS, Spelled
from tinsmith.graph import canonicalize
from tinsmith.graph.edit import shape_of
from tinsmith.importers import load

LAYERS = ("LSTM", "GRU")
SHAPES = {"Reshape", "Squeeze", "Unsqueeze"}


def layers(canonical: ir.Model) -> list[str]:
    """What is left, without changes of shape."""
    return [op_type for op_type in op_types(canonical) if op_type not in SHAPES]


def last(spelled: Spelled) -> ir.Model:
    """The model that gives the last hidden state, in canonical form."""
    return check(spelled.model(spelled.run()[-1][0]))


WAYS: list[dict[str, Any]] = [
    {},
    {"product": "gate"},
    {"product": "early", "feed": "slice"},
    {"bias": "none"},
    {"bias": "one"},
    {"transposed": True},
    {"feed": "split"},
    {"feed": "slice", "product": "gate", "transposed": True},
    {"start": "constant"},
    {"start": "constant", "product": "early", "bias": "one"},
    {"start": "inputs"},
    {"start": "inputs", "product": "gate"},
    {"steps": 2},
]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_ways_of_writing(kind: str, way: dict[str, Any]) -> None:
    if kind == "LSTM" and way.get("start") == "constant":
        pytest.skip("a test of its own: what a constant hidden state adds cannot be told from biases")
    assert layers(last(Spelled(kind, **way))) == [kind]


@pytest.mark.parametrize(("kind", "order"), [("LSTM", "ifgo"), ("LSTM", "gfoi"), ("GRU", "rzn"), ("GRU", "nrz")])
def test_orders_of_gates(kind: str, order: str) -> None:
    assert layers(last(Spelled(kind, order=order))) == [kind]


@pytest.mark.parametrize("start", ["zeros", "constant", "inputs"])
@pytest.mark.parametrize("update", ["mixed", "moved", "inverted", "back"])
def test_updates_of_a_gru(update: str, start: str) -> None:
    assert layers(last(Spelled("GRU", update=update, start=start))) == ["GRU"]


@pytest.mark.parametrize("start", ["zeros", "inputs"])
@pytest.mark.parametrize("transposed", [False, True])
def test_input_and_state_in_one_product(start: str, transposed: bool) -> None:
    assert layers(last(Spelled("LSTM", product="joined", start=start, transposed=transposed))) == ["LSTM"]


def test_a_constant_state_before_an_lstm() -> None:
    """Folded into the biases of the first step, the hidden state cannot be known: the layer begins at the second."""
    spelled = Spelled("LSTM", start="constant")
    canonical = last(spelled)
    assert histogram(canonical)["LSTM"] == 1
    (layer,) = (step for step in canonical.graph if step.op_type == "LSTM")
    assert shape_of(layer.outputs[0])[0] == STEPS - 1


@pytest.mark.parametrize("kind", LAYERS)
def test_backwards(kind: str) -> None:
    assert layers(last(Spelled(kind, feed="backwards"))) == ["ReverseSequence", kind]


@pytest.mark.parametrize("kind", LAYERS)
def test_time_in_the_last_dimension(kind: str) -> None:
    assert layers(last(Spelled(kind, feed="columns"))) == ["Transpose", kind]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("start", ["zeros", "inputs"])
def test_all_steps_are_used(kind: str, start: str) -> None:
    spelled = Spelled(kind, start=start)
    states = spelled.run()
    assert layers(check(spelled.model(spelled.stacked(states)))) == [kind]


def test_all_steps_backwards() -> None:
    spelled = Spelled("GRU", feed="backwards")
    states = spelled.run()
    found = layers(check(spelled.model(spelled.stacked(states[::-1]))))
    assert found == ["ReverseSequence", "GRU", "ReverseSequence"]


@pytest.mark.parametrize("kind", LAYERS)
def test_some_steps_are_used(kind: str) -> None:
    spelled = Spelled(kind)
    states = spelled.run()
    outputs = [states[1][0], spelled.stacked(states[2:])]
    assert sorted(layers(check(spelled.model(" ".join(outputs))))) == sorted([kind, "Slice", "Slice"])


def test_last_cell_is_used() -> None:
    spelled = Spelled("LSTM")
    states = spelled.run()
    assert layers(check(spelled.model(" ".join(states[-1])))) == ["LSTM"]


@pytest.mark.parametrize(("first", "second"), [("GRU", "LSTM"), ("LSTM", "GRU")])
def test_layers_on_layers(first: str, second: str) -> None:
    below = Spelled(first)
    states = below.run()
    above = Spelled(second, product="gate", count=500)
    for gate in list(above.constants):
        if gate[0] == "W":
            above.constants[gate] = below.constants["R" + ("n" if first == "GRU" else "g")] * 0.7
    h, c = "start", "start"
    above.constants["start"] = above.constants["h0"] * 0
    for x, _ in states:
        h, c = above.lstm(x, h, c) if second == "LSTM" else (above.gru(x, h), c)
    renamed = {name: f"second_{name}" for name in above.constants}
    for step in above.nodes:
        step.input[:] = [renamed.get(name, name) for name in step.input]
    below.nodes += above.nodes
    below.constants |= {renamed[name]: array for name, array in above.constants.items()}
    assert layers(check(below.model(h))) == [first, second]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("product", ["gate", "gates"])
def test_other_weights_begin_another_layer(kind: str, product: str) -> None:
    """An encoder whose state a decoder goes on from."""
    spelled = Spelled(kind, product=product, steps=5)
    states, h, c = [], "h0", "c0"
    spelled.constants["h0"], spelled.constants["c0"] = spelled.constants["h0"] * 0, spelled.constants["c0"] * 0
    for t, x in enumerate(spelled.inputs()):
        if t == 3:
            others = {f"{name}": array * 0.8 for name, array in spelled.constants.items() if name[0] in "WR"}
            old = {name: spelled.constants[name] for name in others}
            for step in spelled.nodes:
                step.input[:] = [f"old_{name}" if name in others else name for name in step.input]
            spelled.constants |= others | {f"old_{name}": array for name, array in old.items()}
        h, c = spelled.lstm(x, h, c) if kind == "LSTM" else (spelled.gru(x, h), c)
        states.append(h)
    assert [name for name in layers(check(spelled.model(h))) if name != "Slice"] == [kind, kind]


# ---- what stays


def test_reset_before_the_product_stays() -> None:
    assert "GRU" not in op_types(last(Spelled("GRU", product="gate", reset_after=False)))


@pytest.mark.parametrize("step", range(STEPS - 1))
def test_a_cell_used_elsewhere_stays(step: int) -> None:
    spelled = Spelled("LSTM")
    states = spelled.run()
    canonical = check(spelled.model(f"{states[-1][0]} {states[step][1]}"))
    found = histogram(canonical).get("LSTM", 0)
    assert found == (step == 0)


def test_a_gate_used_elsewhere_stays() -> None:
    spelled = Spelled("GRU")
    states = spelled.run()
    gate = next(step.output[0] for step in reversed(spelled.nodes) if step.op_type == "Sigmoid")
    assert "GRU" not in op_types(check(spelled.model(f"{states[-1][0]} {gate}")))


@pytest.mark.parametrize("kind", LAYERS)
def test_inputs_made_of_earlier_states_stay(kind: str) -> None:
    """A decoder that is fed with its own output."""
    spelled = Spelled(kind, product="gate")
    spelled.constants["h0"], spelled.constants["c0"] = spelled.constants["h0"] * 0, spelled.constants["c0"] * 0
    x, h, c = spelled.inputs()[0], "h0", "c0"
    for _ in range(3):
        h, c = spelled.lstm(x, h, c) if kind == "LSTM" else (spelled.gru(x, h), c)
        x = spelled.op(
            "Relu", spelled.op("MatMul", f"{h} {spelled.const(spelled.constants['Wi' if kind == 'LSTM' else 'Wz'].T)}")
        )
    assert kind not in op_types(check(spelled.model(h)))


@pytest.mark.parametrize(("kind", "old", "new"), [("LSTM", "Tanh", "Sigmoid"), ("GRU", "Sigmoid", "HardSigmoid")])
def test_other_activations_stay(kind: str, old: str, new: str) -> None:
    spelled = Spelled(kind)
    states = spelled.run()
    for step in spelled.nodes:
        step.op_type = new if step.op_type == old else step.op_type
    assert kind not in op_types(check(spelled.model(states[-1][0])))


@pytest.mark.parametrize("kind", LAYERS)
def test_steps_of_different_weights_stay(kind: str) -> None:
    """No two neighbours alike."""
    spelled = Spelled(kind, product="gate", steps=3, start="inputs")
    h, c = "h0", "c0"
    for t, x in enumerate(spelled.inputs()):
        begin = len(spelled.nodes)
        h, c = spelled.lstm(x, h, c) if kind == "LSTM" else (spelled.gru(x, h), c)
        for step in spelled.nodes[begin:]:
            for place, name in enumerate(step.input):
                if name[0] == "R":
                    step.input[place] = f"{name}_{t}"
                    spelled.constants[f"{name}_{t}"] = spelled.constants[name] * (1 + t)
    assert kind not in op_types(check(spelled.model(h)))


@pytest.mark.parametrize("kind", LAYERS)
def test_one_step_stays(kind: str) -> None:
    assert kind not in op_types(last(Spelled(kind, steps=1, start="inputs")))


def test_width_of_the_layer() -> None:
    (layer,) = (step for step in last(Spelled("GRU")).graph if step.op_type == "GRU")
    assert shape_of(layer.outputs[1]) == (1, 1, HIDDEN)


# ---- loops, whose rounds are written out before


def body(kind: str) -> Spelled:
    """One step, from x (1, INPUTS) and the states h and c."""
    step = Spelled(kind)
    for name in ("h0", "c0"):
        step.constants.pop(name)
    return step


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("backwards", [0, 1])
def test_a_scan_over_the_steps(kind: str, backwards: int) -> None:
    step = body(kind)
    h, c = step.lstm("xt", "h", "c") if kind == "LSTM" else (step.gru("xt", "h"), "c")
    states = {"h": h, "c": c} if kind == "LSTM" else {"h": h}
    step.nodes.append(node("Identity", h, "each"))
    one = [1, HIDDEN]
    inner = helper.make_graph(
        step.nodes,
        "body",
        [value(name, one) for name in states] + [value("xt", [1, INPUTS])],
        [value(name, one) for name in states.values()] + [value("each", one)],
    )
    starts = " ".join(f"{name}0" for name in states)
    ends = " ".join(f"{name}_end" for name in states)
    scan = node("Scan", f"{starts} x", f"{ends} all", "scan", body=inner, num_scan_inputs=1)
    scan.attribute.append(helper.make_attribute("scan_input_directions", [backwards]))
    constants = step.constants | {f"{name}0": np.zeros(one, np.float32) for name in states}
    original = model([scan], {"x": [STEPS, 1, INPUTS]}, "all h_end", constants)
    assert layers(check(original)) == ["ReverseSequence"] * backwards + [kind]


@pytest.mark.parametrize("kind", LAYERS)
def test_a_loop_over_the_steps(kind: str) -> None:
    """As TensorFlow's exporter writes a layer: the step's number picks its input."""
    step = body(kind)
    h, c = step.lstm("xt", "h", "c") if kind == "LSTM" else (step.gru("xt", "h"), "c")
    states = {"h": h, "c": c} if kind == "LSTM" else {"h": h}
    step.nodes.insert(0, node("Gather", "x t", "xt", "pick", axis=0))
    step.nodes += [node("Identity", "go", "go_on"), node("Identity", h, "each")]
    one = [1, HIDDEN]
    inner = helper.make_graph(
        step.nodes,
        "body",
        [value("t", [], np.int64), value("go", [], np.bool_), *(value(name, one) for name in states)],
        [value("go_on", [], np.bool_), *(value(name, one) for name in states.values()), value("each", one)],
    )
    starts = " ".join(f"{name}0" for name in states)
    ends = " ".join(f"{name}_end" for name in states)
    loop = node("Loop", f"trips yes {starts}", f"{ends} all", "loop", body=inner)
    constants = step.constants | {f"{name}0": np.zeros(one, np.float32) for name in states}
    constants |= {"trips": np.array(STEPS), "yes": np.array(True)}
    original = model([loop], {"x": [STEPS, 1, INPUTS]}, "all h_end", constants)
    assert layers(check(original)) == [kind]


def changed(spelled: Spelled, place: int, how: int) -> None:
    """Changes one node: another constant, another operator, or another earlier value."""
    step = spelled.nodes[place % len(spelled.nodes)]
    numbers = [i for i, name in enumerate(step.input) if np.asarray(spelled.constants.get(name, 0)).dtype == np.float32]
    swapped = {"Sigmoid": "Tanh", "Tanh": "Sigmoid", "Add": "Sub", "Sub": "Add", "Mul": "Add"}.get(step.op_type)
    if how == 0 and numbers:
        array = np.array(spelled.constants[step.input[numbers[0]]])
        array.reshape(-1)[place % array.size] += np.float32(0.25)
        spelled.constants["changed"] = array
        step.input[numbers[0]] = "changed"
    elif how == 1 and swapped is not None:
        step.op_type = swapped
    elif how == 2 and spelled.product == "gate" and step.op_type in ("Add", "Mul", "Sub"):
        before = spelled.nodes[: spelled.nodes.index(step)]
        earlier = [other.output[0] for other in before if other.op_type == "Tanh"]
        step.input[place % 2] = earlier[place % len(earlier)] if earlier else step.input[place % 2]


@given(
    kind=st.sampled_from(LAYERS),
    product=st.sampled_from(["gate", "gates"]),
    start=st.sampled_from(["zeros", "inputs"]),
    update=st.sampled_from(["mixed", "moved"]),
    place=st.integers(0, 10_000),
    how=st.integers(0, 2),
)
@settings(max_examples=12, deadline=None)
def test_changed_cells_keep_their_results(place: int, how: int, **options: Any) -> None:
    """Whatever becomes of it: a layer where the change does not matter to the form, steps where it does."""
    spelled = Spelled(steps=3, **options)
    states = spelled.run()
    output = spelled.stacked(states)
    changed(spelled, place, how)
    original = spelled.model(output)
    source = load(original)
    canonical = canonicalize(source)
    assert_same_results(source, canonical)
