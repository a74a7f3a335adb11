"""Steps of LSTMs and GRUs spelled out as Sigmoid, Tanh, Mul and Add: finding them, and the weights they use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import Array, is_float, present, shape_of
from tinsmith.graph.elements import Part, operand, origin, size, whole
from tinsmith.graph.weighted import Affine, affine

MOST_HIDDEN = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a cell.

    Attributes:
        op_type: LSTM or GRU.
        hidden: The new hidden state.
        cell: The new cell of an LSTM.
        before: The state it goes on from, the cell of an LSTM and the hidden state of a GRU; None where zeros were
            folded away.
        gates: What goes into the gates' activations: i, o, f, g of an LSTM (f is None where it forgets zeros); z and n
            of a GRU.
        inverted: Whether z of a GRU is how much is taken in, instead of how much is kept.
    """

    op_type: str
    hidden: ir.Value
    cell: ir.Value | None
    before: Part | None
    gates: tuple[Part | None, ...]
    inverted: bool = False

    @property
    def state(self) -> ir.Value:
        """The value that the next step's `before` is."""
        return self.hidden if self.cell is None else self.cell


def step_of(value: ir.Value) -> Step | None:
    """The step that computes a hidden state, None where that is something else."""
    node = value.producer()
    if node is None or node.op_type not in ("Mul", "Add") or not is_float(value) or not 0 < size(value) <= MOST_HIDDEN:
        return None
    if max(shape_of(value), default=0) != size(value):
        return None
    return _lstm(value) if node.op_type == "Mul" else _gru(value)


def first_gru_step(value: ir.Value) -> Step | None:
    """The step of a GRU from zeros, what they are multiplied with folded away: (1 - z) · n."""
    found = [
        Step("GRU", value, None, None, (z, n))
        for kept, new in _operands(whole(value), "Mul")
        if (z := _complement(kept)) is not None and (n := _activation(new, "Tanh")) is not None
    ]
    return found[0] if len(found) == 1 else None


def _operands(part: Part, op_type: str) -> Iterator[tuple[Part, Part]]:
    """Both operands of the node that computes these elements, in both orders."""
    part = origin(part)
    node = part.value.producer()
    if node is not None and node.op_type == op_type and len(node.inputs) == 2:
        a, b = operand(part, 0), operand(part, 1)
        yield a, b
        yield b, a


def _activation(part: Part, op_type: str) -> Part | None:
    """What goes into an activation."""
    part = origin(part)
    node = part.value.producer()
    return Part(present(node, 0), part.at) if node is not None and node.op_type == op_type else None


def _complement(part: Part) -> Part | None:
    """What goes into σ of 1 - σ."""
    part = origin(part)
    node = part.value.producer()
    if node is None or node.op_type != "Sub":
        return None
    one = origin(operand(part, 0)).constant
    return _activation(operand(part, 1), "Sigmoid") if one is not None and bool(np.all(one == 1)) else None


def _lstm(value: ir.Value) -> Step | None:
    for gate, squashed in _operands(whole(value), "Mul"):
        o, inner = _activation(gate, "Sigmoid"), _activation(squashed, "Tanh")
        cell = None if inner is None else origin(inner)
        if o is None or cell is None or not cell.is_whole:
            continue
        found = _cell(cell)
        if found is not None:
            i, f, g, before = found
            return Step("LSTM", value, cell.value, before, (i, o, f, g))
    return None


def _cell(cell: Part) -> tuple[Part, Part | None, Part, Part | None] | None:
    """(i, f, g, cell before) of f · before + i · g, or of i · g alone; None where it is something else or unclear."""
    alone = _taken_in(cell)
    if alone is not None:
        return alone[0], None, alone[1], None
    found = []
    for new, old in _operands(cell, "Add"):
        taken = _taken_in(new)
        if taken is None or _taken_in(old) is not None:
            continue
        for gate, before in _operands(old, "Mul"):
            f = _activation(gate, "Sigmoid")
            if f is not None and _activation(before, "Sigmoid") is None:
                found.append((taken[0], f, taken[1], origin(before)))
    return found[0] if len(found) == 1 else None


def _taken_in(part: Part) -> tuple[Part, Part] | None:
    """(i, g) of σ(i) · tanh(g)."""
    for gate, new in _operands(part, "Mul"):
        i, g = _activation(gate, "Sigmoid"), _activation(new, "Tanh")
        if i is not None and g is not None:
            return i, g
    return None


def _gru(value: ir.Value) -> Step | None:
    found = [step for a, b in _operands(whole(value), "Add") for step in (*_mixed(value, a, b), *_moved(value, a, b))]
    return found[0] if len(found) == 1 else None


def _mixed(value: ir.Value, a: Part, b: Part) -> Iterator[Step]:
    """(1 - z) · p + z · q, where one of p and q is the new tanh."""
    for kept, p in _operands(a, "Mul"):
        z = _complement(kept)
        for gate, q in _operands(b, "Mul") if z is not None else ():
            other = _activation(gate, "Sigmoid")
            if z is None or other is None or not origin(z).same(origin(other)):
                continue
            n, m = _activation(p, "Tanh"), _activation(q, "Tanh")
            if n is not None:
                yield Step("GRU", value, None, origin(q), (z, n))
            if m is not None:
                yield Step("GRU", value, None, origin(p), (z, m), inverted=True)


def _moved(value: ir.Value, a: Part, b: Part) -> Iterator[Step]:
    """Z · (p - b) + b, where one of p and b is the new tanh."""
    for gate, difference in _operands(a, "Mul"):
        z, part = _activation(gate, "Sigmoid"), origin(difference)
        node = part.value.producer()
        if z is None or node is None or node.op_type not in ("Sub", "Neg"):
            continue
        base = operand(part, 1 if node.op_type == "Sub" else 0)
        if not origin(base).same(origin(b)):
            continue
        n = _activation(b, "Tanh")
        if node.op_type == "Neg":
            if n is not None:
                yield Step("GRU", value, None, None, (z, n))
            continue
        other = operand(part, 0)
        m = _activation(other, "Tanh")
        if n is not None:
            yield Step("GRU", value, None, origin(other), (z, n))
        if m is not None:
            yield Step("GRU", value, None, origin(b), (z, m), inverted=True)


# ---- weights


def blocks(step: Step, stops: Collection[ir.Value]) -> tuple[Affine | None, ...] | None:
    """What goes into the gates as weighted sums, four blocks of H.

    Args:
        step: The step.
        stops: States, which are not taken apart.

    Returns:
        i, o, f, g of an LSTM; z, r, and of n what stands outside and inside of the product with r for a GRU. None for
        blocks that cannot be known, in a step from zeros. None altogether where n is of another form.
    """
    if step.op_type == "LSTM":
        return tuple(None if gate is None else affine(gate, stops) for gate in step.gates)
    z, n = step.gates
    assert z is not None
    assert n is not None
    kept, new = affine(z, stops), affine(n, stops)
    if step.inverted:
        kept = kept.times(np.full(len(z), -1, np.float32))
    resets = [(part, matrix, found) for part, matrix in new.terms if (found := _reset(part, matrix, stops)) is not None]
    if len(resets) > 1:
        return None
    if not resets:
        nothing = Affine(np.zeros(len(n), np.float32), ())
        return kept, None, new, nothing
    ((chosen, _, (r, inner)),) = resets
    outside = Affine(new.constant, tuple((part, matrix) for part, matrix in new.terms if part is not chosen))
    return kept, r, outside, inner


def _reset(part: Part, matrix: Array, stops: Collection[ir.Value]) -> tuple[Affine | None, Affine] | None:
    """(r, what it is multiplied with), where a term is such a product."""
    if part.value in stops or matrix.shape[0] != matrix.shape[1]:
        return None
    diagonal = np.diagonal(matrix)
    if not np.array_equal(matrix, np.diag(diagonal)):
        return None
    r = _activation(part, "Sigmoid")
    if r is not None:  # times constants
        return (affine(r, stops) if np.all(diagonal != 0) else None), Affine(diagonal, ())
    if not np.all(diagonal == 1):
        return None
    for gate, inner in _operands(part, "Mul"):
        r = _activation(gate, "Sigmoid")
        if r is not None:
            return affine(r, stops), affine(inner, stops)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The four blocks of one step in one: constants, and a matrix for each set of elements.

    Attributes:
        known: Which rows are known: (4 · H) bool.
        constant: (4 · H).
        terms: [(m elements, (4 · H, m))].
    """

    known: Array
    constant: Array
    terms: tuple[tuple[Part, Array], ...]


def sums(step: Step, stops: Collection[ir.Value]) -> Sums | None:
    """The weights of a step, None where it is of another form than the runtime's."""
    try:
        found = blocks(step, stops)
    except RecursionError:  # a sum of hundreds of sums is no gate
        return None
    if found is None:
        return None
    count = size(step.hidden)
    total = Affine(np.zeros(4 * count, np.float32), ())
    for index, block in enumerate(found):
        if block is not None:
            rows = slice(index * count, (index + 1) * count)
            total = total.plus(
                Affine(
                    _rows(block.constant, rows, count),
                    tuple((part, _rows(matrix, rows, count)) for part, matrix in block.terms),
                )
            )
    known = np.repeat([block is not None for block in found], count)
    return Sums(known, total.constant, total.terms)


def _rows(array: Array, rows: slice, count: int) -> Array:
    result = np.zeros((4 * count, *array.shape[1:]), np.float32)
    result[rows] = array
    return result
