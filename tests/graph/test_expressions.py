from __future__ import annotations

from typing import Any

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import model, node
from tinsmith.graph.expressions import factors, is_polynomial, polynomial, scalar_affine
from tinsmith.graph.prepare import prepare
from tinsmith.graph.shapes import infer
from tinsmith.importers import load


def graph(nodes: list[Any], constants: dict[str, Any]) -> dict[str, ir.Value]:
    """Values of a graph by name, with shapes but without rewrites."""
    whole = prepare(load(model(nodes, {"x": (1, 4), "z": (1, 4)}, "y", constants)), None)
    infer(whole)
    return ir.convenience.create_value_mapping(whole.graph)


def test_factors() -> None:
    nodes = [
        node("Mul", "x two", "a"), node("Neg", "a", "b"), node("Div", "b four", "c"), node("Mul", "z c", "y"),
    ]  # fmt: skip
    values = graph(nodes, {"two": 2.0, "four": 4.0})
    constant, leaves = factors(values["y"])
    assert constant == -0.5
    assert {leaf.name for leaf in leaves} == {"x", "z"}


def test_factors_end_at_what_others_use() -> None:
    nodes = [node("Mul", "x two", "a"), node("Sigmoid", "a", "s"), node("Mul", "a s", "y")]
    constant, leaves = factors(graph(nodes, {"two": 2.0})["y"])
    assert constant == 1
    assert {leaf.name for leaf in leaves} == {"a", "s"}


def test_division_by_zero_is_not_looked_through() -> None:
    values = graph([node("Div", "x zero", "a"), node("Add", "a z", "y")], {"zero": 0.0})
    assert factors(values["a"]) == (1.0, [values["a"]])
    assert scalar_affine(values["a"]) == (values["a"], 1.0, 0.0)


number = st.integers(-4, 4).map(float)
steps = st.lists(st.tuples(st.sampled_from(["Mul", "Add", "Sub", "Div", "Neg"]), number, st.booleans()), max_size=6)


@given(steps=steps, x=st.integers(-3, 3))
def test_scalar_affine(steps: list[tuple[str, float, bool]], x: int) -> None:
    nodes, constants, current, expected = [], {}, "x", float(x)
    for index, (op, c, left) in enumerate(steps):
        if op == "Div" and (c == 0 or left):
            continue
        operands = f"c{index} {current}" if left else f"{current} c{index}"
        nodes.append(node(op, current if op == "Neg" else operands, f"v{index}"))
        constants[f"c{index}"] = c
        a, b = (c, expected) if left else (expected, c)
        results = {"Mul": a * b, "Add": a + b, "Sub": a - b, "Neg": -expected}
        expected = expected / c if op == "Div" else results[op]
        current = f"v{index}"
    values = graph([*nodes, node("Add", f"{current} z", "y")], constants)
    source, scale, shift = scalar_affine(values[current])
    assert source.name == "x"
    assert scale * x + shift == pytest.approx(expected)


def test_polynomial() -> None:
    nodes = [
        node("Pow", "x three", "p"), node("Mul", "p c", "q"), node("Add", "x q", "s"), node("Sub", "s x", "t"),
        node("Div", "t two", "u"), node("Neg", "u", "v"), node("Add", "v one", "w"), node("Add", "w z", "y"),
    ]  # fmt: skip
    values = graph(nodes, {"three": 3.0, "c": 0.5, "two": 2.0, "one": 1.0})
    found = polynomial(values["w"], values["x"])
    assert is_polynomial(found, {0: 1.0, 3: -0.25})
    assert not is_polynomial(found, {0: 1.0, 3: -0.25, 1: 1.0})
    assert polynomial(values["y"], values["x"]) is None
    assert polynomial(values["z"], values["x"]) is None
