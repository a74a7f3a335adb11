"""What an operator sees while a `Program` is compiled to one ONNX graph that computes the same integers.

Carriers: int8 and int16 values travel as float32 tensors holding whole numbers (exact: 16 bits fit in 24), float
values as float32, booleans as bool, indices as int64. Every value exists in the file's layout (``file``) and, on
demand, with the channels moved from the last to the second place (``first``: NCHW from NHWC), as ONNX Runtime's Conv
and pools want it; transposes between the two are inserted once and shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops.call import Array, Call
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding, qrange

FLOAT32, FLOAT64, INT32 = int(DType.FLOAT), int(DType.DOUBLE), int(DType.INT32)
"""Element types as ONNX's Cast wants them; the file's numbers are ONNX's."""

MAGIC = 1.5 * 2.0**23
"""A float32 whose last place is 1, as that of its neighbours is."""

_PLACE, _MIDDLE = 2.0**-24, 0.75
"""The last place of float32 between 0.5 and 1, and what lies between; see `Emit.clipped_planes`."""

_SHARED_BYTES = 1 << 14

Layout = Literal["file", "first"]
EmitAttribute = int | float | str | Sequence[int] | Sequence[float] | NDArray[Any]


class NotExpressible(Exception):
    """This node has no exact ONNX form; the interpreter runs it. The message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One node of the graph under construction."""

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, EmitAttribute]


@dataclass(frozen=True, slots=True)
class Guard:
    """A fact the compiled graph assumes and reports: on real input, ``tensor`` (one float) stays below ``limit``.

    ``output`` names the first output of the node that relies on it.
    """

    output: str
    tensor: str
    limit: float


@dataclass(frozen=True, slots=True)
class Mark:
    """How long a `Builder`'s lists were at one point."""

    steps: int
    guards: int
    places: int
    constants: int


@dataclass(slots=True)
class Builder:
    """Collects the graph: steps, constants, and where each program value lives.

    ``reach`` holds, by first output of each node whose accumulator saturates, the largest sum that its weights and the
    range of its input admit, as a share of the accumulator's range.
    """

    steps: list[Step] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    guards: list[Guard] = field(default_factory=list)
    places: dict[tuple[str, Layout], str] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    reach: dict[str, float] = field(default_factory=dict)
    _counter: int = 0
    _known: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)
    _producers: dict[str, Step] = field(default_factory=dict)

    def mark(self) -> Mark:
        """Where the graph stands now, for `rollback`."""
        return Mark(len(self.steps), len(self.guards), len(self.places), len(self.constants))

    def rollback(self, mark: Mark) -> None:
        """Forget steps, guards, places and constants added since ``mark``."""
        for step in self.steps[mark.steps :]:
            for name in step.outputs:
                del self._producers[name]
        del self.steps[mark.steps :], self.guards[mark.guards :]
        while len(self.places) > mark.places:
            self.places.popitem()
        while len(self.constants) > mark.constants:
            self.constants.popitem()
            self._known.popitem()

    def fresh(self, hint: str) -> str:
        """A new tensor name."""
        self._counter += 1
        return f"_{hint}_{self._counter}"

    def producer(self, tensor: str) -> Step | None:
        """The step that computes ``tensor``; None for constants and graph inputs."""
        return self._producers.get(tensor)

    def rename(self, tensor: str, name: str) -> None:
        """Give the output of a step another name; nothing may read it yet."""
        step = self._producers.pop(tensor)
        outputs = tuple(name if output == tensor else output for output in step.outputs)
        renamed = Step(step.op_type, step.inputs, outputs, step.attributes)
        self.steps[self.steps.index(step)] = renamed
        self._producers.update(dict.fromkeys(outputs, renamed))

    def constant(self, data: Any) -> str:
        """An initializer holding ``data``; equal ones are shared, unless they are large."""
        array = np.asarray(data)
        small = array.nbytes <= _SHARED_BYTES
        key = (array.dtype.str, array.shape, array.tobytes() if small else b"large %d" % len(self.constants))
        if key not in self._known:
            self._known[key] = self.fresh("const")
            self.constants[self._known[key]] = array
        return self._known[key]

    def op(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: EmitAttribute) -> Any:
        """Append an ONNX node; returns its output name, or a tuple of names."""
        names = tuple(self.fresh(op_type) for _ in range(outputs))
        step = Step(op_type, inputs, names, attributes)
        self.steps.append(step)
        self._producers.update(dict.fromkeys(names, step))
        return names[0] if outputs == 1 else names

    def place(self, value: str, tensor: str, layout: Layout, rank: int) -> None:
        """Program value ``value`` is ``tensor``, in ``layout``."""
        self.places[value, layout] = tensor
        self.ranks[value] = rank

    def find(self, value: str, layout: Layout) -> str:
        """The tensor holding a program value in ``layout``, transposing once where it exists in the other only."""
        if (value, layout) not in self.places:
            other: Layout = "first" if layout == "file" else "file"
            source, rank = self.places[value, other], self.ranks[value]
            if rank < 3:
                self.places[value, layout] = source
            else:
                perm = (0, rank - 1, *range(1, rank - 1)) if layout == "first" else (0, *range(2, rank), 1)
                self.places[value, layout] = self.op("Transpose", source, perm=perm)
        return self.places[value, layout]


@dataclass(frozen=True, slots=True, eq=False)
class Emit:
    """One node on its way into the compiled graph.

    Attributes:
        call: The node with its arguments. Constants have their real data; computed inputs hold zeros of the right
            shape and dtype: use only `.shape`, `.dtype` and exponents of those.
        builder: The graph.
        checked: Whether facts that cannot be proved from the constants must become guards (`guard`).
    """

    call: Call
    builder: Builder
    checked: bool = True

    def is_const(self, index: int) -> bool:
        """Whether input ``index`` is a constant of the program."""
        return self.call.node.inputs[index] in self.call.constants

    def x(self, index: int, layout: Layout = "file") -> str:
        """The tensor of input ``index`` as a carrier (constants included)."""
        name = self.call.node.inputs[index]
        if self.is_const(index) and (name, "file") not in self.builder.places:
            data = self.call.arg(index).data
            carrier = data.astype(np.float32) if DType.of(data.dtype).quantized else data
            self.builder.place(name, self.builder.constant(carrier), "file", data.ndim)
        return self.builder.find(name, layout)

    def op(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: EmitAttribute) -> Any:
        """Append an ONNX node; returns its output name, or a tuple of names."""
        return self.builder.op(op_type, *inputs, outputs=outputs, **attributes)

    def constant(self, data: Any, dtype: Any = None) -> str:
        """An initializer."""
        return self.builder.constant(np.asarray(data, dtype=dtype))

    def scalar(self, value: float) -> str:
        """A float32 scalar initializer."""
        return self.constant(value, np.float32)

    def give(self, tensor: str, index: int = 0, layout: Layout = "file", rank: int | None = None) -> None:
        """Output ``index`` is ``tensor`` in ``layout``; ``rank`` defaults to input 0's."""
        found = rank if rank is not None else self.call.arg(0).data.ndim
        self.builder.place(self.call.outputs[index].name, tensor, layout, found)

    def guard(self, tensor: str, limit: float) -> None:
        """Report ``tensor`` (a single float) and rely on it being below ``limit``."""
        self.builder.guards.append(Guard(self.call.node.outputs[0], tensor, limit))

    def note_reach(self, share: float) -> None:
        """Note what share of its accumulator's range a sum of this node can reach; the largest counts."""
        name = self.call.node.outputs[0]
        self.builder.reach[name] = max(share, self.builder.reach.get(name, 0.0))

    def rounded(self, tensor: str, *, wide: bool = False) -> str:
        """R(v) of a float32 tensor (float64 if ``wide``), the target's rounding."""
        if self.call.target.rounding is Rounding.HALF_UP:
            half = self.constant(0.5, np.float64 if wide else np.float32)
            return str(self.op("Floor", self.op("Add", tensor, half)))
        return str(self.op("Round", tensor))

    def clipped(self, tensor: str, bits: int, *, relu: bool = False, wide: bool = False) -> str:
        """Saturation to ``bits`` (from zero up where ``relu``)."""
        low, high = qrange(bits)
        dtype = np.float64 if wide else np.float32
        return str(self.op("Clip", tensor, self.constant(0 if relu else low, dtype), self.constant(high, dtype)))

    def quantized(self, tensor: str, *, relu: bool = False) -> str:
        """sat(R(v)) for output 0's width; clipping first is the same, since the limits are whole numbers."""
        clipped = self.clipped(tensor, self.call.bits, relu=relu)
        if self.call.target.rounding is Rounding.HALF_EVEN:
            return self.rounded_small(clipped)
        return self.rounded(clipped)

    def rounded_small(self, tensor: str) -> str:
        """Nearest even of a float32 tensor below 2**22 in magnitude, by adding and subtracting 1.5 · 2**23.

        The sum's last place is 1, so the addition itself rounds; several times faster than ONNX Runtime's Round.
        """
        magic = self.scalar(MAGIC)
        return str(self.op("Sub", self.op("Add", tensor, magic), magic))

    def clipped_planes(self, tensor: str, bits: int, channels: int, *, relu: bool = False) -> str:
        """Nearest even, saturated as in `clipped`, of a convolution's float32 sums ``(1, channels, rows, columns)``.

        x · 2**-24 + 0.75 has a last place of 2**-24 where it lies between 0.5 and 1, so this sum rounds; what lies
        outside is beyond 16 bits. ONNX Runtime computes the HardSigmoid along with the convolution, and takes its
        scaling back by a depthwise convolution, between which and others it leaves channels in blocks.
        """
        rounded = self.op("HardSigmoid", tensor, alpha=_PLACE, beta=_MIDDLE)
        factor = self.constant(np.full((channels, 1, 1, 1), 1 / _PLACE), np.float32)
        restored = self.op(
            "Conv", rounded, factor, self.constant(np.full(channels, -_MIDDLE / _PLACE), np.float32), group=channels
        )
        return self.clipped(restored, bits, relu=relu)
