"""LSTM and GRU cells spelled out step by step, in the ways exporters and people write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from tests.graph.models import model, node

STEPS, INPUTS, HIDDEN = 4, 3, 5
GATES = {"LSTM": "iofg", "GRU": "zrn"}


@dataclass(slots=True)
class Spelled:
    """Writes a layer as steps.

    Attributes:
        kind: LSTM or GRU.
        product: What is multiplied at once: ``gates`` (all gates), ``gate`` (each apart), ``joined`` (input and state
            in one, LSTM only), ``early`` (the input of all steps before the first).
        feed: How a step's input is taken: ``gather``, ``slice``, ``split``, ``backwards`` or ``columns``.
        bias: ``none``, ``one`` or ``two``.
        transposed: Gemm with transB instead of MatMul and Add.
        start: ``zeros``, ``constant`` or ``inputs``: the states before the first step.
        update: How a GRU mixes: ``mixed``, ``moved``, ``inverted``, ``back``.
        reset_after: Whether a GRU's reset gate works on the product.
        order: Order of the gates in fused products; ONNX's where empty.
        steps: Length of the sequence.
    """

    kind: str
    product: str = "gates"
    feed: str = "gather"
    bias: str = "two"
    transposed: bool = False
    start: str = "zeros"
    update: str = "mixed"
    reset_after: bool = True
    order: str = ""
    steps: int = STEPS
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(7)
        for gate in GATES[self.kind]:
            self.constants[f"W{gate}"] = rng.normal(0, 0.5, (INPUTS, HIDDEN)).astype(np.float32)
            self.constants[f"R{gate}"] = rng.normal(0, 0.5, (HIDDEN, HIDDEN)).astype(np.float32)
            self.constants[f"b{gate}"] = rng.normal(0, 0.5, HIDDEN).astype(np.float32)
            self.constants[f"c{gate}"] = rng.normal(0, 0.5, HIDDEN).astype(np.float32)
        self.order = self.order or GATES[self.kind]
        self.constants["one"] = np.ones((), np.float32)
        self.constants["h0"] = rng.normal(0, 0.5, (1, HIDDEN)).astype(np.float32)
        self.constants["c0"] = rng.normal(0, 0.5, (1, HIDDEN)).astype(np.float32)

    def op(self, op_type: str, inputs: str, **attributes: Any) -> str:
        """A node; returns the name of its output."""
        self.count += 1
        self.nodes.append(node(op_type, inputs, f"v{self.count}", f"n{self.count}", **attributes))
        return f"v{self.count}"

    def const(self, array: Any) -> str:
        """A constant; returns its name."""
        self.count += 1
        self.constants[f"k{self.count}"] = array
        return f"k{self.count}"

    def fused(self, name: str) -> str:
        """The constants of all gates side by side."""
        return self.const(np.concatenate([self.constants[f"{name}{gate}"] for gate in self.order], axis=-1))

    def inputs(self) -> list[str]:
        """The steps' inputs (1, INPUTS), or with ``early`` their products (1, gates · HIDDEN)."""
        x = "x"
        if self.feed == "columns":
            return [self.op("Gather", f"x {self.const(t)}", axis=2) for t in range(self.steps)]
        if self.product == "early":
            x = self.op("MatMul", f"x {self.fused('W')}")
            x = self.op("Add", f"{x} {self.fused('b')}") if self.bias != "none" else x
        if self.feed == "split":
            names = [f"part{t}" for t in range(self.steps)]
            self.nodes.append(node("Split", "x" if x == "x" else x, " ".join(names), axis=1, num_outputs=self.steps))
            return [self.op("Squeeze", f"{name} {self.const([1])}") for name in names]
        if self.feed == "slice":
            bounds = [f"{self.const([t])} {self.const([t + 1])} {self.const([1])}" for t in range(self.steps)]
            return [self.op("Squeeze", f"{self.op('Slice', f'{x} {b}')} {self.const([1])}") for b in bounds]
        times = reversed(range(self.steps)) if self.feed == "backwards" else range(self.steps)
        return [self.op("Gather", f"{x} {self.const(t)}", axis=1) for t in times]

    def product_of(self, value: str, weights: str, bias: str | None) -> str:
        """value · weights + bias."""
        if self.transposed:
            turned = self.const(np.ascontiguousarray(self.constants[weights].T))
            return self.op("Gemm", f"{value} {turned}" + (f" {bias}" if bias else ""), transB=1)
        found = self.op("MatMul", f"{value} {weights}")
        return self.op("Add", f"{bias} {found}") if bias else found

    def halves(self, x: str, h: str) -> tuple[dict[str, str], dict[str, str]]:
        """What each gate gets from the input and from the state."""
        inner, outer = self.bias == "two", self.bias != "none"
        if self.product == "gate":
            return (
                {gate: self.product_of(x, f"W{gate}", f"b{gate}" if outer else None) for gate in self.order},
                {gate: self.product_of(h, f"R{gate}", f"c{gate}" if inner else None) for gate in self.order},
            )
        left = x if self.product == "early" else self.product_of(x, self.fused("W"), self.fused("b") if outer else None)
        return self.parts(left), self.parts(self.product_of(h, self.fused("R"), self.fused("c") if inner else None))

    def parts(self, value: str) -> dict[str, str]:
        """The gates of a fused product."""
        names = [f"{value}{gate}" for gate in self.order]
        sizes = self.const([HIDDEN] * len(names))
        self.nodes.append(node("Split", f"{value} {sizes}", " ".join(names), f"split_{value}", axis=1))
        return dict(zip(self.order, names, strict=True))

    def lstm(self, x: str, h: str, c: str) -> tuple[str, str]:
        """One step of an LSTM."""
        if self.product == "joined":
            both = self.op("Concat", f"{x} {h}", axis=1)
            weights = self.const(np.concatenate([self.constants[self.fused("W")], self.constants[self.fused("R")]]))
            pre = self.parts(self.product_of(both, weights, self.fused("b") if self.bias != "none" else None))
        elif self.product == "gate":
            left, right = self.halves(x, h)
            pre = {gate: self.op("Add", f"{left[gate]} {right[gate]}") for gate in self.order}
        else:
            inner, outer = self.bias == "two", self.bias != "none"
            left_sum = x if self.product == "early" else self.product_of(x, self.fused("W"), None)
            right_sum = self.product_of(h, self.fused("R"), self.fused("c") if inner else None)
            total = self.op("Add", f"{left_sum} {right_sum}")
            if outer and self.product != "early":
                total = self.op("Add", f"{total} {self.fused('b')}")
            pre = self.parts(total)
        i, o, f = (self.op("Sigmoid", pre[gate]) for gate in "iof")
        kept, taken = self.op("Mul", f"{f} {c}"), self.op("Mul", f"{i} {self.op('Tanh', pre['g'])}")
        c = self.op("Add", f"{kept} {taken}")
        return self.op("Mul", f"{self.op('Tanh', c)} {o}"), c

    def gru(self, x: str, h: str) -> str:
        """One step of a GRU."""
        left, right = self.halves(x, h)
        z, r = (self.op("Sigmoid", self.op("Add", f"{left[gate]} {right[gate]}")) for gate in "zr")
        inner = self.op("Mul", f"{r} {right['n']}")
        if not self.reset_after:
            inner = self.product_of(self.op("Mul", f"{r} {h}"), "Rn", None)
        n = self.op("Tanh", self.op("Add", f"{left['n']} {inner}"))
        if self.update in ("moved", "back"):
            a, b = (h, n) if self.update == "moved" else (n, h)
            return self.op("Add", f"{b} {self.op('Mul', f'{z} ' + self.op('Sub', f'{a} {b}'))}")
        old, new = (h, n) if self.update == "mixed" else (n, h)
        kept, taken = self.op("Mul", f"{z} {old}"), self.op("Mul", f"{self.op('Sub', f'one {z}')} {new}")
        return self.op("Add", f"{kept} {taken}")

    def run(self) -> list[tuple[str, str]]:
        """All steps: [(h, c)]."""
        if self.start == "zeros":
            self.constants["h0"], self.constants["c0"] = (np.zeros((1, HIDDEN), np.float32) for _ in range(2))
        h, c, found = "h0", "c0", []
        for x in self.inputs():
            h, c = self.lstm(x, h, c) if self.kind == "LSTM" else (self.gru(x, h), c)
            found.append((h, c))
        return found

    def stacked(self, states: list[tuple[str, str]]) -> str:
        """All hidden states as one sequence (1, T, HIDDEN)."""
        parts = [self.op("Unsqueeze", f"{h} {self.const([1])}") for h, _ in states]
        return self.op("Concat", " ".join(parts), axis=1)

    def model(self, outputs: str) -> onnx.ModelProto:
        """The model with these outputs."""
        inputs: dict[str, Any] = {"x": [1, INPUTS, self.steps] if self.feed == "columns" else [1, self.steps, INPUTS]}
        if self.start == "inputs":
            inputs |= {"h0": [1, HIDDEN]} | ({"c0": [1, HIDDEN]} if self.kind == "LSTM" else {})
        used = {name for step in self.nodes for name in step.input}
        constants = {name: array for name, array in self.constants.items() if name in used and name not in inputs}
        return model(self.nodes, inputs, outputs, constants)
