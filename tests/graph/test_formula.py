"""What one value is as a function of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.models import feeds_for, model, node, value
from tinsmith.graph import Runner
from tinsmith.graph.formula import Formula, Places, between, of_one_variable, reduced_axes, variables
from tinsmith.graph.shapes import settle
from tinsmith.importers import load

SHAPE = (2, 3, 4)


def graph_of(nodes: list[Any], outputs: str = "y", **constants: Any) -> tuple[ir.Model, dict[str, ir.Value]]:
    """A model that nothing was rewritten in, and its values by name."""
    built = load(model(nodes, [value("x", SHAPE), value("z", SHAPE)], outputs, constants))
    settle(built)
    return built, dict(ir.convenience.create_value_mapping(built.graph))


def formula(values: dict[str, ir.Value], source: str, output: str) -> Formula | None:
    return between(values[source], values[output], Places())


STEPS = [
    node("ReduceSum", "x a", "s", keepdims=0),
    node("Unsqueeze", "s a", "u"),
    node("Mul", "u h", "m"),
    node("Expand", "m e", "b"),
    node("Sub", "x b", "d"),
    node("Tanh", "d", "y"),
]
CONSTANTS = {"a": np.array([1]), "h": 0.25, "e": np.array(SHAPE)}


def test_it_computes_what_the_nodes_compute() -> None:
    built, values = graph_of(STEPS, **CONSTANTS)
    found = formula(values, "x", "y")
    assert found is not None
    feeds = {"x": feeds_for(built)["x"]}
    expected = Runner(built)({**feeds, "z": feeds["x"]})["y"]
    assert np.abs(found(feeds["x"].astype(np.float64)) - expected).max() < 1e-6
    assert found.numbers() == (0.25,)
    assert [reduced_axes(part) for part in found.reductions()] == [(1,)]
    assert [part.op_type for part in found.nodes] == ["ReduceSum", "Unsqueeze", "Mul", "Expand", "Sub", "Tanh"]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Sub", "x z", "y")],
        [node("Softmax", "x", "y")],
        [node("ReduceMax", "x a", "m"), node("Sub", "x m", "y")],
    ],
)
def test_other_values_and_operators_are_no_formula(nodes: list[Any]) -> None:
    constants = {"a": np.array([1])} if len(nodes) > 1 else {}
    _, values = graph_of(nodes, **constants)
    assert formula(values, "x", "y") is None


def test_a_value_behind_the_result_is_not_its_source() -> None:
    _, values = graph_of([node("Tanh", "x", "t"), node("Exp", "t", "y")])
    assert formula(values, "y", "t") is None


def test_variables_come_nearest_first() -> None:
    _, values = graph_of(STEPS, **CONSTANTS)
    assert [found.name for found in variables(values["y"], Places())] == ["y", "d", "x"]
    _, values = graph_of([node("Add", "x z", "t"), node("Mul", "t t", "y")])
    assert [found.name for found in variables(values["y"], Places())] == ["y", "t"]


def test_places_are_read_anew() -> None:
    built, values = graph_of([node("Tanh", "x", "t"), node("Exp", "t", "y")])
    places, first = Places(), values["t"].producer()
    assert first is not None
    assert places[first] == 0
    new = ir.Node("", "Relu", [values["x"]])
    built.graph.insert_before(first, new)
    assert places[new] < places[first]


@pytest.mark.parametrize(
    ("nodes", "constants", "expected"),
    [
        ([node("Sin", "x", "s"), node("Max", "s x", "y")], {}, True),
        ([node("Sin", "z", "s"), node("Max", "s x", "y")], {}, False),
        (
            [node("Sin", "x", "s"), node("Mul", "s c", "m"), node("Max", "m x", "y")],
            {"c": np.ones(4, np.float32)},
            False,
        ),
        ([node("Greater", "x h", "g"), node("Where", "g x h", "y")], {"h": 0.5}, True),
        ([node("Softmax", "x", "s"), node("Max", "s x", "y")], {}, False),
        ([node("ReduceMax", "x a", "s"), node("Max", "s x", "y")], {"a": np.array([1])}, False),
    ],
)
def test_functions_of_one_variable(nodes: list[Any], constants: dict[str, Any], expected: bool) -> None:
    _, values = graph_of(nodes, **constants)
    last = values["y"].producer()
    assert last is not None
    assert of_one_variable(last) is expected
