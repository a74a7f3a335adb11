"""What the chip runs as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinsmith.ops.floatnode import FloatNode, Operand
from tinsmith.ops.steps import Step


def value(name: str, const: np.ndarray | None = None) -> Operand:
    return Operand(name, (2,), np.dtype(np.float32), const)


X, INNER, Y = value("x"), value("inner"), value("y")
WEIGHTS = value("w", np.ones(2, np.float32))
ADD = replace(FloatNode("Add", "add", (X, WEIGHTS), (INNER,)), sources=("a", "b"))
RELU = replace(FloatNode("Relu", "relu", (INNER,), (Y,)), sources=("b", "c"))


def test_a_step_with_an_activation() -> None:
    step = Step(ADD, RELU)
    assert step.nodes == (ADD, RELU)
    assert step.inputs == (X,)
    assert step.outputs == (Y,)
    assert step.sources == ("a", "b", "c")
    assert (step.whole.name, step.whole.outputs, step.whole.body) == ("add", (Y,), (ADD, RELU))


def test_a_step_without_one_is_its_node() -> None:
    step = Step(replace(ADD, inputs=(X, X)))
    assert step.whole is step.node
    assert step.nodes == (step.node,)
    assert step.inputs == (X,)
    assert step.outputs == (INNER,)
