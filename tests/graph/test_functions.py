"""Element-wise nodes that together are a function of one variable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import model, node, value
from tests.networks import S3
from tinsmith.graph import Runner, canonicalize
from tinsmith.graph.functions import WORTH_A_TABLE, small_tables, without_functions
from tinsmith.graph.network import network
from tinsmith.importers import load
from tinsmith.ops.floatnode import Network
from tinsmith.ops.pointwise import evaluate

SHAPE = (1, 4, 5)

Spelling = tuple[list[Any], dict[str, Any]]

FORMULAS: dict[str, Spelling] = {
    "mish": (
        [
            node("Exp", "x", "e"),
            node("Add", "e one", "s"),
            node("Log", "s", "l"),
            node("Tanh", "l", "t"),
            node("Mul", "x t", "y"),
        ],
        {"one": 1.0},
    ),
    "mish of softplus": ([node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "t x", "y")], {}),
    "quick gelu": ([node("Mul", "x f", "m"), node("Sigmoid", "m", "s"), node("Mul", "x s", "y")], {"f": 1.702}),
    "swish with a factor": ([node("Swish", "x", "y", alpha=1.5)], {}),
    "softplus with a threshold": (
        [
            node("Softplus", "x", "s"),
            node("Greater", "x t", "g"),
            node("Where", "g x s", "y"),
        ],
        {"t": 1.5},
    ),
    "squareplus": (
        [
            node("Mul", "x x", "q"),
            node("Add", "q b", "a"),
            node("Sqrt", "a", "r"),
            node("Add", "x r", "s"),
            node("Mul", "s half", "y"),
        ],
        {"b": 4.0, "half": 0.5},
    ),
    "bits": (
        [
            node("Less", "x a", "l"),
            node("Greater", "x b", "g"),
            node("Or", "l g", "o"),
            node("Not", "o", "n"),
            node("Cast", "n", "c", to=1),
            node("Mul", "c x", "y"),
        ],
        {"a": -1.0, "b": 1.25},
    ),
    "truncated": ([node("Cast", "x", "i", to=7), node("Cast", "i", "y", to=1)], {}),
    "serf": ([node("Softplus", "x", "s"), node("Erf", "s", "e"), node("Mul", "x e", "y")], {}),
}


def networks(spelling: Spelling) -> tuple[Any, Network]:
    """ONNX Runtime on the original, and the operators' view."""
    nodes, constants = spelling
    original = load(model(nodes, {"x": SHAPE}, "y", constants))
    return Runner(original), network(canonicalize(original))


@pytest.mark.parametrize("spelling", FORMULAS.values(), ids=list(FORMULAS))
def test_a_formula_becomes_one_node_with_its_function(spelling: Spelling) -> None:
    runner, net = networks(spelling)
    (function,) = net.nodes
    assert (function.op_type, function.input(0).name, function.outputs[0].name) == ("Function", "x", "y")
    x = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32) * 3
    expected = runner({"x": x})["y"]
    found = evaluate(function.body, x.astype(np.float64))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def kinds(nodes: list[Any], outputs: str, constants: dict[str, Any] | None = None, **inputs: Any) -> list[str]:
    built = model(nodes, inputs or {"x": SHAPE}, outputs, constants)
    return [step.op_type for step in network(canonicalize(load(built))).nodes]


def test_two_nodes_that_the_runtime_has_are_left_to_it() -> None:
    assert kinds([node("Exp", "x", "s"), node("Sigmoid", "s", "y")], "y") == ["Exp", "Sigmoid"]
    assert kinds([node("Sigmoid", "x", "s"), node("Exp", "s", "e"), node("Tanh", "e", "y")], "y") == ["Function"]
    assert kinds([node("Sigmoid", "x", "s"), node("Sin", "s", "y")], "y") == ["Function"]


@pytest.mark.parametrize("steep", ["Log", "Exp", "Sqrt", "Reciprocal"])
def test_what_makes_a_rounding_before_it_larger_shares_a_table(steep: str) -> None:
    assert kinds([node("Sigmoid", "x", "s"), node(steep, "s", "y")], "y") == ["Function"]


def test_small_int16_tensors_are_not_worth_a_table() -> None:
    nodes = [
        node("Sigmoid", "x", "s"), node("Log", "s", "l"), node("MatMul", "l w", "m"), node("Sigmoid", "m", "n"),
        node("Log", "n", "y"), node("Sin", "l", "k"), node("Cos", "k", "z"),
    ]  # fmt: skip
    original = model(nodes, {"x": (1, 8)}, "y z", {"w": np.ones((8, WORTH_A_TABLE), np.float32)})
    net = network(canonicalize(load(original)))
    small = small_tables(net, {step.name: 16 for step in net.nodes}, S3)
    assert small == {net.nodes[0].name}
    assert small_tables(net, {step.name: 8 for step in net.nodes}, S3) == set()
    spelled = [step.op_type for step in without_functions(net, small).nodes]
    assert spelled[:2] == ["Sigmoid", "Log"]
    assert spelled.count("Function") == 2


def test_one_function_keeps_its_name() -> None:
    assert kinds([node("Softplus", "x", "y")], "y") == ["Softplus"]


def test_what_others_read_is_computed() -> None:
    nodes = [node("Exp", "x", "e"), node("Sin", "e", "s"), node("Cos", "s", "c"), node("Mul", "s c", "y")]
    assert kinds(nodes, "y") == ["Function"]
    assert kinds(nodes, "y s") == ["Function", "Function"]
    assert kinds(nodes, "y e") == ["Exp", "Function"]
    assert kinds([*nodes, node("Relu", "s", "z")], "y z") == ["Function", "Function", "Relu"]


def test_numbers_around_a_function_are_part_of_it() -> None:
    nodes = [
        node("Mul", "x a", "m"), node("Add", "m b", "p"), node("Sin", "p", "s"), node("Mul", "s b", "q"),
        node("Add", "q a", "y"),
    ]  # fmt: skip
    constants = {"a": 2.0, "b": 0.5}
    assert kinds(nodes, "y", constants, x=(1, 3, 4, 5)) == ["Function"]
    nodes[2] = node("MaxPool", "p", "s", kernel_shape=[1, 2])
    assert kinds(nodes, "y", constants, x=(1, 3, 4, 5)) == ["Conv", "MaxPool", "Conv"]


def test_what_cannot_be_computed_otherwise_is_computed_twice() -> None:
    nodes = [node("Sin", "x", "s"), node("Max", "s x", "m"), node("MaxPool", "s", "z", kernel_shape=[2])]
    assert kinds(nodes, "m z", x=(1, 2, 6)) == ["Sin", "Function", "MaxPool"]


def test_two_variables_are_no_function_of_one() -> None:
    nodes = [node("Sin", "x", "s"), node("Cos", "u", "c"), node("Mul", "s c", "y")]
    assert kinds(nodes, "y", x=SHAPE, u=SHAPE) == ["Sin", "Cos", "Mul"]


def test_constants_of_several_elements_end_a_function() -> None:
    nodes = [node("Sin", "x", "s"), node("Mul", "s c", "m"), node("Cos", "m", "y")]
    assert kinds(nodes, "y", {"c": np.arange(5, dtype=np.float32)}) == ["Sin", "Mul", "Cos"]


def test_whole_numbers_are_no_table() -> None:
    nodes = [node("Cast", "x", "i", to=7), node("Mul", "i two", "m"), node("Cast", "m", "y", to=1)]
    assert "Function" not in kinds(nodes, "y", {"two": 2})
    compared = model([node("Sin", "x", "s"), node("Greater", "s h", "y")], [value("x", SHAPE)], "y", {"h": 0.5})
    assert [step.op_type for step in network(canonicalize(load(compared))).nodes] == ["Sin", "Greater"]


def test_an_activation_inside_a_convolution_stays_there() -> None:
    weights = np.random.default_rng(1).normal(size=(4, 4, 3)).astype(np.float32)
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Sin", "r", "s"), node("Exp", "s", "y")]
    assert kinds(nodes, "y", {"w": weights}) == ["Conv", "Relu", "Function"]


STEPS = ("Sin", "Tanh", "Softplus", "Neg", "Abs", "Add", "Mul", "Sub", "Max", "Min")


@settings(max_examples=40)
@given(st.data())
def test_any_formula_of_one_variable_is_computed_right(data: st.DataObject) -> None:
    names, nodes = ["x"], []
    for index in range(data.draw(st.integers(3, 9))):
        op_type, name = data.draw(st.sampled_from(STEPS)), f"v{index}"
        count = 1 if op_type in STEPS[:5] else 2
        operands = [data.draw(st.sampled_from([*names, "half"])) for _ in range(count)]
        if set(operands) == {"half"}:
            operands[0] = names[-1]
        nodes.append(node(op_type, " ".join(operands), name))
        names.append(name)
    original = load(model(nodes, {"x": SHAPE}, names[-1], {"half": 0.5}))
    net = network(canonicalize(original))
    x = np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
    expected = Runner(original)({"x": x})[names[-1]]
    flat = [part for step in net.nodes for part in (step.body or (step,))]
    found = evaluate(flat, x.astype(np.float64)) if flat else x
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
