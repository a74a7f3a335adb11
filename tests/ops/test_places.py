"""Compiled element-wise nodes go on in the order their producer left: no Transpose between a pool and the next."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest

from tests.ops.one_node import P4, Array, whole
from tinsmith.program import DType, Node, Program, Tensor, Value
from tinsmith.simulator.compiled import GraphPart, compile_program
from tinsmith.simulator.interpreter import interpret

POOL = {"kernel_shape": (2, 2), "strides": (1, 1), "pads": (0, 0, 0, 0), "quant_type": "S8"}
RNG = np.random.default_rng(7)


def constant(*shape: int) -> Array:
    return whole(shape, 8, RNG)


CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "table": ("Sigmoid", [], {"lut": "table"}),
    "relu": ("Relu", [], {}),
    "channels": ("Mul", [constant(1, 1, 1, 5)], {}),
    "low rank": ("Add", [constant(5)], {}),
    "scalar": ("Sub", [constant()], {}),
    "everything": ("Mul", [constant(1, 3, 4, 5)], {}),
    "rows": ("Add", [constant(3, 1, 1)], {}),
    "quotient": ("Div", [constant(1, 3, 1, 5)], {}),
    "slopes": ("PRelu", [constant(5, 1, 1)], {}),
    "rescaled": ("RequantizeLinear", [], {}),
    "doubled": ("Resize", [None, np.float32([1, 1, 2, 3])], {"mode": "nearest"}),
    "comparison": ("Less", [constant(1, 1, 4, 5)], {}),
    "mean": ("GlobalAveragePool", [], {}),
    "means": ("AveragePool", [], {"kernel_shape": (2, 3), "strides": (1, 1), "pads": (1, 1, 0, 1)}),
}


def chain(op_type: str, others: list[Any], attributes: dict[str, Any]) -> Program:
    """A MaxPool, then the node under test, then a MaxPool where the shape allows."""
    names = ["" if data is None else f"c{i}" for i, data in enumerate(others)]
    constants = {n: Tensor(n, d, (-5,)) for n, d in zip(names, others, strict=True) if d is not None}
    constants["table"] = Tensor("table", whole((256,), 8, RNG), (-4,))
    kind = DType.BOOL if op_type == "Less" else DType.INT8
    values = {n: Value(n, DType.INT8, (1, 4, 5, 5), (-5,)) for n in ("x", "pooled")}
    values["y"] = Value("y", kind, (), (-4,))
    nodes = (
        Node("MaxPool", "first", ("x",), ("pooled",), POOL),
        Node(op_type, "second", ("pooled", *names), ("y",), {**attributes, "quant_type": "S8"}),
    )
    return Program(nodes, (values["x"],), (values["y"],), values, constants)


@pytest.mark.parametrize("case", CASES)
def test_the_order_goes_on(case: str) -> None:
    program = chain(*CASES[case])
    x = whole((1, 4, 5, 5), 8, RNG)
    form = compile_program(program, P4)
    assert form.run({"x": x})["y"].tolist() == interpret(program, {"x": x}, P4)["y"].tolist()
    (part,) = form.parts
    assert isinstance(part, GraphPart)
    made = Counter(n.op_type for n in onnx.load_from_string(part.model).graph.node)
    assert made["Transpose"] == 2


def test_operands_of_different_rank_meet_in_the_files_order() -> None:
    values = {n: Value(n, DType.INT8, s, (-5,)) for n, s in (("x", (1, 4, 5, 5)), ("z", (5,)), ("p", ()), ("y", ()))}
    nodes = (
        Node("MaxPool", "first", ("x",), ("p",), POOL),
        Node("Add", "second", ("p", "z"), ("y",), {"quant_type": "S8"}),
    )
    program = Program(nodes, (values["x"], values["z"]), (values["y"],), values, {})
    feeds = {"x": whole((1, 4, 5, 5), 8, RNG), "z": whole((5,), 8, RNG)}
    expected = interpret(program, feeds, P4)["y"]
    assert compile_program(program, P4).run(feeds)["y"].tolist() == expected.tolist()
