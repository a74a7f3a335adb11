"""Powers, quotients and magnitudes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.models import check, model, node
from tinsmith.graph.network import network


@pytest.mark.parametrize(
    ("exponent", "ops"),
    [
        (2.0, ["Sigmoid", "Mul"]),
        (3.0, ["Sigmoid", "Mul", "Mul"]),
        (0.5, ["Sigmoid", "Sqrt"]),
        (-1.0, ["Sigmoid", "Div"]),
        (1.0, ["Sigmoid"]),
        (1.75, ["Sigmoid", "Pow"]),
    ],
)
def test_constant_exponents(exponent: float, ops: list[str]) -> None:
    nodes = [node("Sigmoid", "x", "h"), node("Pow", "h n", "y")]
    check(model(nodes, {"x": (1, 4, 5)}, "y", {"n": exponent}), ops)


def test_computed_exponents_stay() -> None:
    nodes = [node("Sigmoid", "x", "h"), node("Pow", "h n", "y")]
    check(model(nodes, {"x": (1, 4), "n": (1, 4)}, "y"), ["Sigmoid", "Pow"])


def test_quotients() -> None:
    nodes = [node("Exp", "x", "h"), node("Reciprocal", "h", "y")]
    check(model(nodes, {"x": (1, 4, 5)}, "y"), ["Exp", "Div"])
    nodes = [node("Exp", "x", "h"), node("Reciprocal", "h", "r"), node("Mul", "r z", "y")]
    check(model(nodes, {"x": (1, 4, 5), "z": (1, 4, 5)}, "y"), ["Exp", "Div"])
    nodes.append(node("Relu", "r", "w"))
    check(model(nodes, {"x": (1, 4, 5), "z": (1, 4, 5)}, "y w"), ["Exp", "Div", "Mul", "Relu"])


def test_magnitudes() -> None:
    canonical = check(model([node("Abs", "x", "y")], {"x": (1, 4, 5)}, "y"), ["LeakyRelu"])
    assert canonical.graph[0].attributes["alpha"].value == -1.0


@pytest.mark.parametrize("axes", ["", " none"])
@pytest.mark.parametrize(
    ("op_type", "ops"),
    [
        ("ReduceL1", ["LeakyRelu"]),
        ("ReduceL2", ["LeakyRelu"]),
        ("ReduceSumSquare", ["Mul"]),
        ("ReduceLogSum", ["Log"]),
        ("ReduceLogSumExp", []),
    ],
)
def test_reductions_over_nothing(op_type: str, ops: list[str], axes: str) -> None:
    nodes = [node("Sigmoid", "x", "h"), node(op_type, f"h{axes}", "y", noop_with_empty_axes=1)]
    constants = {"none": np.zeros(0, np.int64)} if axes else {}
    check(model(nodes, {"x": (1, 4, 5)}, "y", constants), ["Sigmoid", *ops])


def test_inside_a_formula_they_are_part_of_its_table() -> None:
    nodes = [node("Abs", "x", "a"), node("Add", "a one", "b"), node("Reciprocal", "b", "r"), node("Mul", "x r", "y")]
    canonical = check(model(nodes, {"x": (1, 4, 5)}, "y", {"one": 1.0}))
    assert [step.op_type for step in network(canonical).nodes] == ["Function"]
