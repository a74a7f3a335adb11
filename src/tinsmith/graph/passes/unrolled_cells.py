"""Puts an LSTM or GRU in the place of its steps spelled out one after the other, as Keras exports write them.

Matched is a chain of at least two steps: the new state of each is the old state of the next, and what goes into the
gates is the same weighted sum of the step's input and of the old hidden state, with the same constants by value
(`tinsmith.graph.cells`). How the sums are written does not matter: one product for all gates or one for each, for
input and state together, for all steps at once; biases apart, split or folded; weights transposed; the first step with
its zeros folded away. A GRU's reset gate must work on the product, as in the runtime. Steps with other weights end a
chain, and so does a cell, other than the last, that is used elsewhere. Equal up to float rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.graph.cells import Step, Sums, first_gru_step, step_of, sums
from tinsmith.graph.edit import Array, each, graph_of
from tinsmith.graph.elements import Part, origin, size, whole
from tinsmith.graph.unrolled import Unrolled, replace_steps

_CLOSE = 1e-5


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    search = _Search(graph)
    return each(graph, ("Mul", "Add"), search.convert) if search.chains else False


class _Search:
    """The chains of a graph, by the hidden state they begin with."""

    def __init__(self, graph: ir.Graph) -> None:
        self._find(graph)

    def _find(self, graph: ir.Graph) -> None:
        steps = {step.hidden: step for node in graph if (step := step_of(node.outputs[0])) is not None}
        for step in tuple(steps.values()):
            start = None if step.before is None or step.before.value in steps else step.before.value
            first = first_gru_step(start) if start is not None and step.op_type == "GRU" else None
            if first is not None:
                steps[first.hidden] = first
        states = {step.state for step in steps.values()}
        self.stops = states | set(steps)
        following: dict[ir.Value, list[Step]] = {}
        for step in steps.values():
            if step.before is not None and step.before.value in states and step.before.is_whole:
                following.setdefault(step.before.value, []).append(step)
        later = {step.hidden for group in following.values() if len(group) == 1 for step in group}
        self.chains: dict[ir.Value, list[Step]] = {}
        for step in steps.values():
            if step.hidden in later:
                continue
            chain = [step]
            while len(group := following.get(chain[-1].state, [])) == 1:
                chain.append(group[0])
            if len(chain) > 1:
                self.chains[step.hidden] = chain

    def convert(self, node: ir.Node) -> bool:
        """Replaces the steps of the chain that begins at a node."""
        chain, graph, changed = self.chains.get(node.outputs[0], []), graph_of(node), False
        while len(chain) > 1:
            found, last = _uniform(chain, self.stops), chain[-1].hidden
            if found is None or not replace_steps(found):
                break
            changed = True
            # What is left goes on from values that are others now.
            self._find(graph)
            chain = next((left for left in self.chains.values() if left[-1].hidden is last), [])
        return changed


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """W, R (4 · H, …) and bias (4 · H) of a step, and its input."""

    w: Array
    r: Array
    bias: Array
    x: Part


def _uniform(chain: Sequence[Step], stops: set[ir.Value]) -> Unrolled | None:
    """The first stretch of steps with the same weights."""
    first = 0
    while first < len(chain) - 1:
        weights = _weights(chain[first + 1], chain[first], stops)
        start = None if weights is None else _start(chain[first], weights, stops)
        if weights is None or start is None:
            first += 1
            continue
        x, h, c = start
        inputs, last = [x, weights.x], first + 2
        while last < len(chain) and (other := _weights(chain[last], chain[last - 1], stops)) is not None:
            if not _equal(other, weights):
                break
            inputs.append(other.x)
            last += 1
        return Unrolled(tuple(chain[first:last]), tuple(inputs), weights.w, weights.r, weights.bias, h, c)
    return None


def _equal(one: _Weights, other: _Weights) -> bool:
    return (
        np.array_equal(one.w, other.w)
        and np.array_equal(one.r, other.r)
        and bool(np.allclose(one.bias, other.bias, rtol=0, atol=_CLOSE * max(1e-3, np.abs(other.bias).max())))
    )


def _weights(step: Step, before: Step, stops: set[ir.Value]) -> _Weights | None:
    """The weights of a step that goes on from another; None where it is more or less than an LSTM or GRU."""
    found, state = sums(step, stops), whole(before.hidden)
    if found is None or not found.known.all() or size(step.hidden) != size(before.hidden):
        return None
    recurrent = [matrix for part, matrix in found.terms if part.same(state)]
    others = [(part, matrix) for part, matrix in found.terms if not part.same(state)]
    if len(recurrent) != 1 or len(others) != 1:
        return None
    (r,), ((x, w),) = recurrent, others
    count = size(step.hidden)
    if step.op_type == "GRU" and (r[2 * count : 3 * count].any() or w[3 * count :].any()):
        return None
    return _Weights(w, r, found.constant, x)


def _start(step: Step, weights: _Weights, stops: set[ir.Value]) -> tuple[Part, Part | None, Part | None] | None:
    """(x, hidden state and cell before) of a chain's first step, where it has these weights; None for zero states."""
    found = sums(step, stops)
    if found is None:
        return None
    known = found.known
    inputs = [part for part, matrix in found.terms if _same(matrix[known], weights.w[known])]
    states = [part for part, matrix in found.terms if _same(matrix[known], weights.r[known])]
    if len(inputs) != 1 or len(states) > 1 or len(found.terms) != 1 + len(states) or (inputs[0] in states):
        return None
    before = None if step.before is None else origin(step.before)
    if states and step.op_type == "GRU" and (before is None or not before.same(states[0])):
        return None
    hidden = states[0] if states else before if step.op_type == "GRU" else None
    product = _folded(hidden, weights) if not states else np.zeros_like(weights.bias)
    if product is None or not _constants_agree(found, weights, product):
        return None
    return inputs[0], _unless_zero(hidden), _unless_zero(before) if step.op_type == "LSTM" else None


def _folded(hidden: Part | None, weights: _Weights) -> Array | None:
    """R · h of a constant state, zeros where there is none."""
    if hidden is None:
        return np.zeros_like(weights.bias)
    return None if hidden.constant is None else weights.r @ hidden.constant


def _constants_agree(found: Sums, weights: _Weights, product: Array) -> bool:
    wanted = weights.bias + product
    limit = _CLOSE * max(1e-3, float(np.abs(wanted).max()))
    return bool(np.allclose(found.constant[found.known], wanted[found.known], rtol=0, atol=limit))


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.array_equal(one, other)


def _unless_zero(part: Part | None) -> Part | None:
    return None if part is None or (part.constant is not None and not part.constant.any()) else part
