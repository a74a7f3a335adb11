"""One step of a recurrent layer as plain operators, by ONNX's formulas; for layers the runtime has no module for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.edit import Array, add_constant, constant, fresh, graph_of, insert, shape_of

_FOLDED: Mapping[str, Callable[..., Array]] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes nodes in front of a layer; what depends on constants only is computed at once.

    Attributes:
        node: The layer that is spelled out.
    """

    node: ir.Node

    def const(self, array: Array, name: str) -> ir.Value:
        """A constant."""
        return add_constant(graph_of(self.node), np.ascontiguousarray(array), f"{self.node.name}.{name}")

    def op(self, op_type: str, *inputs: ir.Value, attributes: Mapping[str, float] | None = None) -> ir.Value:
        """An element-wise node; the shape is that of the last input with the most elements."""
        known = [constant(value) for value in inputs]
        if op_type in _FOLDED and all(array is not None for array in known):
            return self.const(_FOLDED[op_type](*known), op_type)
        shape = max((shape_of(value) for value in inputs), key=lambda dims: (len(dims), np.prod(dims)))
        return insert(self.node, op_type, inputs, shape, attributes, name=f"{self.node.name}.{op_type}")

    def gemm(self, value: ir.Value, weights: Array, bias: Array) -> ir.Value:
        """Value (m, n) · weights (n, k) + bias (k)."""
        known = constant(value)
        if known is not None:
            return self.const(known @ weights + bias, "product")
        constants = [self.const(weights, "weights"), *([self.const(bias, "bias")] if bias.any() else [])]
        shape = (shape_of(value)[0], weights.shape[1])
        return insert(self.node, "Gemm", [value, *constants], shape, name=f"{self.node.name}.Gemm")

    def reshape(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """The same elements in another shape."""
        known = constant(value)
        if known is not None:
            return self.const(known.reshape(tuple(shape)), "state")
        wanted = self.const(np.array(shape, np.int64), "shape")
        return insert(self.node, "Reshape", [value, wanted], shape, name=f"{self.node.name}.Reshape")

    def concat(self, values: Sequence[ir.Value], axis: int) -> ir.Value:
        """Matrices side by side along an axis."""
        if len(values) == 1:
            return values[0]
        shape = list(shape_of(values[0]))
        shape[axis] = sum(shape_of(value)[axis] for value in values)
        return insert(self.node, "Concat", values, shape, {"axis": axis}, name=f"{self.node.name}.Concat")

    def split(self, value: ir.Value, count: int, axis: int) -> tuple[ir.Value, ...]:
        """Equal parts along an axis."""
        if count == 1:
            return (value,)
        known = constant(value)
        if known is not None:
            return tuple(self.const(part, "part") for part in np.split(known, count, axis))
        shape, graph = list(shape_of(value)), graph_of(self.node)
        shape[axis] //= count
        sizes = self.const(np.full(count, shape[axis], np.int64), "split")
        label = fresh(graph, f"{self.node.name}.Split")
        node = ir.Node("", "Split", [value, sizes], [ir.AttrInt64("axis", axis)], num_outputs=count, name=label)
        for index, output in enumerate(node.outputs):
            output.name, output.shape = fresh(graph, f"{label}_{index}"), ir.Shape(shape)
            output.type = value.type
        graph.insert_before(self.node, node)
        provenance.inserted(graph, node)
        return tuple(node.outputs)

    def start(self, value: ir.Value | None, direction: int, hidden: int) -> ir.Value | None:
        """The state a direction starts from, (1, H); None for zeros."""
        if value is None:
            return None
        known = constant(value)
        if known is not None:
            return self.const(known.reshape(-1, hidden)[direction : direction + 1], "state")
        flat = self.reshape(value, (shape_of(value)[0], hidden))
        return self.split(flat, shape_of(value)[0], 0)[direction]


State = tuple[ir.Value, ir.Value]


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """What all steps of one direction share.

    Attributes:
        make: Makes the nodes.
        functions: Activations: operator types with attributes.
        hidden: H.
        r: Recurrent weights (gates · H, H).
        rb: Recurrent biases (gates · H).
        peepholes: (3, H) for i, o, f of an LSTM.
        clip: Bound of what goes into the gates' activations, in ONNX Runtime not into that of the cell; 0 for none.
        coupled: Whether an LSTM forgets exactly what it does not take in.
        reset_after: Whether a GRU's reset gate works on the product instead of the state.
    """

    make: Maker
    functions: tuple[tuple[str, dict[str, float]], ...]
    hidden: int
    r: Array
    rb: Array
    peepholes: Array | None
    clip: float
    coupled: bool
    reset_after: bool

    def act(self, place: int, value: ir.Value, *, clipped: bool = True) -> ir.Value:
        """Activation number ``place``."""
        if self.clip > 0 and clipped:
            bounds = [self.make.const(np.array(bound, np.float32), "clip") for bound in (-self.clip, self.clip)]
            value = self.make.op("Clip", value, *bounds)
        op_type, attributes = self.functions[place]
        return self.make.op(op_type, value, attributes=attributes)

    def recurrent(self, h: ir.Value | None, rows: slice) -> ir.Value | None:
        """R h + rb for some rows; None for zero."""
        if h is not None:
            return self.make.gemm(h, self.r[rows].T, self.rb[rows])
        return self.make.const(self.rb[None, rows], "bias") if self.rb[rows].any() else None

    def plus(self, a: ir.Value, b: ir.Value | None) -> ir.Value:
        """A + b, where None is zero."""
        return a if b is None else self.make.op("Add", a, b)


def rnn_step(cell: Cell, x: ir.Value, h: ir.Value | None, c: ir.Value | None) -> State:
    """H = f(x + R h)."""
    result = cell.act(0, cell.plus(x, cell.recurrent(h, slice(None))))
    return result, result


def gru_step(cell: Cell, x: ir.Value, h: ir.Value | None, c: ir.Value | None) -> State:
    """Z, r = f(…); n = g(…) with the reset gate before or behind the product; h = n + z · (h - n)."""
    make, size = cell.make, cell.hidden
    last = slice(2 * size, None)
    xz, xr, xn = make.split(x, 3, 1)
    if h is None:
        z = cell.act(0, cell.plus(xz, cell.recurrent(None, slice(0, size))))
        inner = cell.recurrent(None, last)
        if inner is not None and cell.reset_after:
            inner = make.op("Mul", cell.act(0, cell.plus(xr, cell.recurrent(None, slice(size, 2 * size)))), inner)
    else:
        hz, hr = make.split(make.gemm(h, cell.r[: 2 * size].T, cell.rb[: 2 * size]), 2, 1)
        z, r = cell.act(0, cell.plus(xz, hz)), cell.act(0, cell.plus(xr, hr))
        product = cell.recurrent(h if cell.reset_after else make.op("Mul", r, h), last)
        inner = product if product is None or not cell.reset_after else make.op("Mul", r, product)
    n = cell.act(1, cell.plus(xn, inner))
    if h is None:
        result = make.op("Sub", n, make.op("Mul", z, n))
    else:
        result = make.op("Add", n, make.op("Mul", z, make.op("Sub", h, n)))
    return result, result


def lstm_step(cell: Cell, x: ir.Value, h: ir.Value | None, c: ir.Value | None) -> State:
    """I, o, f = f(…), g = g(…), c = f · c + i · g, h = o · h(c); peepholes add c to i and f, the new c to o."""
    make = cell.make
    i, o, f, g = make.split(cell.plus(x, cell.recurrent(h, slice(None))), 4, 1)

    def seen(gate: ir.Value, place: int, state: ir.Value | None) -> ir.Value:
        if cell.peepholes is None or state is None:
            return gate
        return make.op("Add", gate, make.op("Mul", state, make.const(cell.peepholes[None, place], "peepholes")))

    taken = cell.act(0, seen(i, 0, c))
    new = make.op("Mul", taken, cell.act(1, g))
    if c is not None:
        one = make.const(np.ones((), np.float32), "one")
        kept = make.op("Sub", one, taken) if cell.coupled else cell.act(0, seen(f, 2, c))
        new = make.op("Add", make.op("Mul", kept, c), new)
    return make.op("Mul", cell.act(0, seen(o, 1, new)), cell.act(2, new, clipped=False)), new


CELLS: Mapping[str, Callable[[Cell, ir.Value, ir.Value | None, ir.Value | None], State]] = {
    "RNN": rnn_step,
    "GRU": gru_step,
    "LSTM": lstm_step,
}
"""One step ``(cell, gates of the input, h, c) → (h, c)`` by operator."""
