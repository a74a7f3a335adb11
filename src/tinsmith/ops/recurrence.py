"""The frame of GRU and LSTM: reading a node's tensors, walking through time, giving its outputs (arithmetic §9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinsmith.ops.base import Shape
from tinsmith.ops.call import Array, Call
from tinsmith.ops.movers import refuse
from tinsmith.program import Value

DEFAULT_GATE_EXPONENT = -8
"""What the runtime assumes where a file does not say."""
GATE_EXPONENTS = range(-16, 1)
LARGEST_EXPONENT = 60

State = tuple[Array, Array]
Step = Callable[[int, State], State]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One direction of a recurrent node.

    Attributes:
        w: Input weights (gates · H, I).
        r: Recurrent weights (gates · H, H).
        wb, rb: Biases (gates · H), zeros where the node has none.
        start: Hidden state and cell before the first step, (H,) each.
    """

    w: Array
    r: Array
    wb: Array
    rb: Array
    start: State


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """A GRU or LSTM node with its arguments.

    Attributes:
        call: The node.
        gates: Gates per cell: 3 for GRU, 4 for LSTM.
    """

    call: Call
    gates: int

    @property
    def is_float(self) -> bool:
        """Whether the node computes in float32."""
        return self.call.arg(0).data.dtype == np.float32

    @property
    def x(self) -> Array:
        """The input sequence (S, I).

        Raises:
            ProgramError: It is not three-dimensional, or a batch: the runtime walks through the first sequence only.
        """
        x, batch_first = self.call.arg(0).data, self.call.attr("layout", 0)
        if x.ndim != 3 or x.shape[0 if batch_first else 1] != 1:
            raise refuse(self.call, f"input {list(x.shape)}: the runtime takes one sequence, not a batch.")
        return x.reshape(-1, x.shape[2])

    @property
    def directions(self) -> int:
        """2 where bidirectional; the runtime takes every other direction as forward."""
        return 2 if self.call.attr("direction", "forward") == "bidirectional" else 1

    @property
    def hidden(self) -> int:
        """H."""
        size: int = self.call.arg(2).data.shape[-1]
        return size

    @property
    def gate_exponent(self) -> int:
        """Exponent of gate sums, biases and the LSTM's cell.

        Raises:
            ProgramError: It is beyond any use.
        """
        exponent = self.call.attr("gate_exponent", DEFAULT_GATE_EXPONENT)
        if exponent not in GATE_EXPONENTS:
            raise refuse(self.call, f"gate_exponent {exponent} is not within {GATE_EXPONENTS[0]} … 0.")
        return exponent

    def output(self, index: int) -> Value | None:
        """Output ``index``, None where it has no name."""
        names = self.call.node.outputs
        if index >= len(names) or not names[index]:
            return None
        return self.call.outputs[sum(bool(name) for name in names[:index])]

    @property
    def state_exponents(self) -> tuple[int, int]:
        """Exponents of Y and Y_h; where one is missing it has the other's.

        Raises:
            ProgramError: One is beyond any use.
        """
        y, last = self.output(0), self.output(1)
        found = (y or last or self.call.out).exponent, (last or y or self.call.out).exponent
        if max(map(abs, found)) > LARGEST_EXPONENT:
            raise refuse(self.call, f"the states have exponents {found}.")
        return found

    def layers(self) -> list[Layer]:
        """The tensors, direction by direction.

        Raises:
            ProgramError: A tensor has the wrong size.
        """
        count, rows, h = self.directions, self.gates * self.hidden, self.hidden
        w = self._tensor(1, (count, rows, self.x.shape[1]))
        r = self._tensor(2, (count, rows, h))
        bias = self._tensor(3, (count, 2 * rows))
        first, cell = self._tensor(5, (count, h)), self._tensor(6, (count, h))
        return [Layer(w[d], r[d], bias[d, :rows], bias[d, rows:], (first[d], cell[d])) for d in range(count)]

    def _tensor(self, index: int, shape: Shape) -> Array:
        """Input ``index`` in that shape, floats as they are and integers as int64; zeros where it is absent."""
        found = self.call.optional(index)
        if found is None:
            return np.zeros(shape, dtype=np.float32 if self.is_float else np.int64)
        if found.data.size != int(np.prod(shape)):
            raise refuse(self.call, f"input {index} is {list(found.data.shape)}, needed are {list(shape)}.")
        data = found.data.reshape(shape)
        return data if self.is_float or index in (1, 2) else data.astype(np.int64)

    def shapes(self) -> Sequence[Shape]:
        """Shapes of the named outputs: Y (S, D, 1, H), Y_h and Y_c (D, 1, H)."""
        last = (self.directions, 1, self.hidden)
        every = ((self.x.shape[0], *last), last, last)
        return [shape for shape, name in zip(every, self.call.node.outputs, strict=False) if name]

    def run(self, cell: Callable[[Recurrence, Layer], Step]) -> list[Array]:
        """Walk through time: direction 0 forward, direction 1 backward.

        Args:
            cell: Makes the function that computes one step: ``(t, (h, c)) → (h, c)``.
        """
        steps, layers = self.x.shape[0], self.layers()
        y = np.zeros((steps, len(layers), 1, self.hidden), dtype=np.float32 if self.is_float else np.int64)
        last: list[State] = []
        for direction, layer in enumerate(layers):
            step, state = cell(self, layer), layer.start
            for t in range(steps) if direction == 0 else reversed(range(steps)):
                state = step(t, state)
                y[t, direction, 0] = state[0]
            last.append(state)
        h, c = (np.stack([state[part] for state in last])[:, None] for part in (0, 1))
        every = zip((y, h, c), self.call.node.outputs, strict=False)
        named = [array for array, name in every if name]
        return [array.astype(value.dtype.numpy) for array, value in zip(named, self.call.outputs, strict=True)]

    def note_wraps(self, sums: Array, kept: Array) -> None:
        """Count integers that did not fit 16 bits and wrapped, for the report."""
        count = int(np.count_nonzero(sums != kept))
        if count:
            mine = self.call.observe.setdefault(self.call.node.name, {})
            mine["wrapped"] = mine.get("wrapped", 0) + count
