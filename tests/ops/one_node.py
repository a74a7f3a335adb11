"""Programs of one node, run as the definition says and in compiled form; float networks of one node, lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinsmith.lower import lower
from tinsmith.ops import find
from tinsmith.ops.execution import call_of
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.program import DType, Node, Program, Tensor, Value
from tinsmith.quant.format import Format, Formats
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import TARGETS, Target

Array = NDArray[Any]
S3, P4, C = TARGETS["esp32s3"], TARGETS["esp32p4"], TARGETS["c"]
FAMILIES = st.sampled_from([S3, P4, C])
WIDTHS = st.sampled_from([8, 16])
INTEGER = {8: np.int8, 16: np.int16}


@dataclass
class OneNode:
    """A node under test; inputs and constants in the order they are added."""

    op_type: str
    target: Target
    dtype: DType
    exponent: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    feeds: dict[str, Array] = field(default_factory=dict)
    exponents: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)

    def feed(self, data: Array, exponent: int = 0) -> OneNode:
        name = f"in{len(self.inputs)}"
        self.inputs.append(name)
        self.feeds[name], self.exponents[name] = data, exponent
        return self

    def constant(self, data: Array, exponent: int = 0) -> OneNode:
        name = f"const{len(self.inputs)}"
        self.inputs.append(name)
        self.constants[name] = Tensor(name, data, (exponent,))
        return self

    def absent(self) -> OneNode:
        self.inputs.append("")
        return self

    def table(self, data: Array, exponent: int | None = None) -> OneNode:
        self.constants["table"] = Tensor("table", data, (self.exponent if exponent is None else exponent,))
        self.attributes["lut"] = "table"
        return self

    @property
    def program(self) -> Program:
        kind = {DType.INT8: "S8", DType.INT16: "S16"}.get(self.dtype, "F32")
        node = Node(self.op_type, "node", tuple(self.inputs), ("y",), {**self.attributes, "quant_type": kind})
        values = {n: Value(n, DType.of(a.dtype), a.shape, (self.exponents[n],)) for n, a in self.feeds.items()}
        inputs = tuple(values.values())
        values["y"] = Value("y", self.dtype, (), (self.exponent,))
        return Program((node,), inputs, (values["y"],), values, self.constants)

    def interpreted(self) -> Array:
        return interpret(self.program, self.feeds, self.target)["y"]

    def run(self) -> Array:
        """The definition's result, which the compiled form, one ONNX graph, must give as well."""
        program = self.program
        expected = interpret(program, self.feeds, self.target)["y"]
        form = compile_program(program, self.target)
        assert [part.reason for part in form.parts if isinstance(part, NodePart)] == []
        found = form.run(self.feeds)["y"]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        return expected

    def refused(self) -> str:
        """Why the node has no compiled form."""
        reasons = [p.reason for p in compile_program(self.program, self.target).parts if isinstance(p, NodePart)]
        assert len(reasons) == 1
        return reasons[0]

    def broken_rules(self) -> list[str]:
        program = self.program
        call = call_of(program, program.nodes[0], self.feeds, self.target)
        return [reason for rule in find(self.op_type).rules if (reason := rule(call)) is not None]


def whole(shape: Sequence[int], bits: int, rng: np.random.Generator) -> Array:
    """Random integers, the extremes and zero among them more often than by chance."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = rng.integers(low, high + 1, shape)
    special = rng.choice([low, -1, 0, 1, high], shape)
    return np.asarray(np.where(rng.random(shape) < 0.3, special, values)).astype(INTEGER[bits])


def every(bits: int) -> Array:
    """Every integer of that width."""
    return np.arange(-(1 << (bits - 1)), 1 << (bits - 1)).astype(INTEGER[bits])


def float_node(
    op_type: str,
    shapes: Sequence[tuple[int, ...] | Array | None],
    result: tuple[int, ...],
    attributes: Mapping[str, Any] | None = None,
    dtype: Any = np.float32,
) -> FloatNode:
    """A node of a float network; arrays among ``shapes`` are constant inputs."""
    inputs = tuple(
        None
        if s is None
        else Operand(f"in{i}", s, np.dtype(np.float32))
        if isinstance(s, tuple)
        else Operand(f"in{i}", s.shape, s.dtype, s)
        for i, s in enumerate(shapes)
    )
    return FloatNode(op_type, "node", inputs, (Operand("y", result, np.dtype(dtype)),), attributes or {})


def lowered(node: FloatNode, exponents: Mapping[str, int | None], bits: int, target: Target) -> Program:
    """The node alone as a network, lowered; values without exponent stay float or raw."""
    inputs = tuple(i for i in node.inputs if i is not None and i.const is None)
    formats = Formats({name: Format(bits, (e,)) for name, e in exponents.items() if e is not None})
    return lower(Network((node,), inputs, node.outputs), formats, {node.name: bits}, target).program


def objections(node: FloatNode, target: Target) -> list[str]:
    """Messages of the constraints the node breaks."""
    return [c.message for c in find(node.op_type).constraints if not c.check(node, target)]
