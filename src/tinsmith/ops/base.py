"""`Operator`: one object that holds everything the rest of tinsmith needs to know about an operator.

A family file (``ops/<family>.py``) defines its operators and lists them in ``OPERATORS``; `tinsmith.ops.find` picks
them up. Only `compute` is mandatory: an operator that exists only in files (InsertZeros) needs no more; the rest has
defaults that suit operators which move data unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import LayoutRule, Perm, original
from tinsmith.ops.lowering import Lowering, lower_plain
from tinsmith.ops.passage import Passage, Weighted, stops
from tinsmith.ops.ports import ACTIVATION, RAW, Ports
from tinsmith.ops.work import Working, copies
from tinsmith.targets import OLDEST, Target, Version

Precision = Literal["int8", "int16", "float32"]
Shape = tuple[int, ...]
INTEGER: frozenset[Precision] = frozenset({"int8", "int16"})
ALL: frozenset[Precision] = frozenset({"int8", "int16", "float32"})


class Reuse(Enum):
    """Whether the runtime's planner may give a node's output the memory of one of its inputs."""

    NONE = "none"
    """The output needs memory of its own."""
    CLEAN = "clean"
    """It may share, and the input stays as it is: the node does nothing to the elements."""
    DIRTY = "dirty"
    """It may share, and overwrites the input."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit of the runtime or the chip, checked on the float node before any calibration.

    Attributes:
        check: True where the node respects the limit.
        message: What the user reads when it does not: the reason, then the way out.
    """

    check: Callable[[FloatNode, Target], bool]
    message: str


def constraint(check: Callable[[FloatNode, Target], bool]) -> Constraint:
    """A `Constraint` whose message is the docstring of its check."""
    return Constraint(check, " ".join((check.__doc__ or "").split()))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one execution of a node takes.

    Attributes:
        macs: Multiply-accumulates.
        kernel: Class of kernel for the latency model.
    """

    macs: int
    kernel: str


def move_ports(node: FloatNode, target: Target) -> Ports:
    """Input 0 and all outputs share one exponent; other inputs stay raw (shapes, axes, indices)."""
    inputs = tuple(ACTIVATION if index == 0 else RAW for index in range(len(node.inputs)))
    return Ports(inputs, tuple(ACTIVATION for _ in node.outputs), tied=(0,))


def free_ports(node: FloatNode, target: Target) -> Ports:
    """Input 0 and output 0 have formats of their own; other inputs stay raw."""
    inputs = tuple(ACTIVATION if index == 0 else RAW for index in range(len(node.inputs)))
    return Ports(inputs, tuple(ACTIVATION for _ in node.outputs))


def no_macs(node: FloatNode) -> Cost:
    """Data that only moves."""
    return Cost(0, "move")


@dataclass(frozen=True, slots=True)
class Operator:
    """Everything about one operator.

    Attributes:
        name: ONNX or ESP-DL operator type.
        compute: The exact result of one execution, arrays of the outputs' dtypes, as docs/arithmetic.md says. Short.
        emit: The same as nodes of an ONNX graph whose float arithmetic is exact; None where only the interpreter runs
            it. Raises `tinsmith.ops.emit.NotExpressible` for cases it cannot do.
        shape: Output shapes (file layout) from a `Call` whose data are not needed; None: found by running `compute`
            on zeros, which is right for everything cheap.
        types: Precisions the runtime has.
        since: The first ESP-DL release known to have the operator.
        float_since: The first one known to have it in float32, where that is later.
        ports: How a float node's inputs and outputs are quantized.
        layout: Which orders of dimensions it wants and gives.
        lower: The program nodes a float node becomes.
        constraints: Limits of float nodes, checked before calibration.
        rules: Limits of program nodes (shifts, equal exponents, widths): each returns what is wrong, or None. The
            call's constants are real, its computed inputs hold zeros. Broken ones are refused at export, and warned of
            when somebody else's file is simulated.
        cost: Arithmetic of one execution of the float node.
        fuses_relu: Whether a following Relu with no other consumer becomes part of this node.
        importable: Whether float networks may contain it (False: exists only in files).
        passive: Whether a float network's node takes its width from its producer (data movers).
        wraps: Whether its kernels keep integers that depend on the data in a type that wraps, and note how many did.
        permutes: The order of dimensions, as ONNX's `perm`, of an operator that does nothing but change it. Lowering
            takes such nodes into account instead of lowering them.
        function: Of an operator on single elements: the function of real numbers that the float node means, in float64
            (see `tinsmith.ops.pointwise`).
        passage: What becomes of factors on the channels of its inputs (see `tinsmith.ops.passage`).
        reuse: Whether its output may take the memory of its input (see `tinsmith.estimate.memory`).
        work: What a program's node makes the chip do, given the shapes of its outputs (see `tinsmith.estimate.work`).
    """

    name: str
    compute: Callable[[Call], Sequence[Array]]
    emit: Callable[[Emit], None] | None = None
    shape: Callable[[Call], Sequence[Shape]] | None = None
    types: frozenset[Precision] = ALL
    since: Version = OLDEST
    float_since: Version = OLDEST
    ports: Callable[[FloatNode, Target], Ports] = move_ports
    layout: LayoutRule = original
    lower: Callable[[Lowering], None] = lower_plain
    constraints: tuple[Constraint, ...] = field(default=())
    rules: tuple[Callable[[Call], str | None], ...] = field(default=())
    cost: Callable[[FloatNode], Cost] = no_macs
    fuses_relu: bool = False
    importable: bool = True
    passive: bool = False
    wraps: bool = False
    permutes: Callable[[FloatNode], Perm] | None = None
    function: Callable[..., Array] | None = None
    passage: Callable[[FloatNode], Passage | Weighted] = stops
    reuse: Reuse = Reuse.DIRTY
    work: Working = copies

    def first_version(self, precision: Precision) -> Version:
        """The first ESP-DL release known to run the operator in that precision, which is one of `types`."""
        return max(self.since, self.float_since) if precision == "float32" else self.since

    def available(self, target: Target) -> frozenset[Precision]:
        """The precisions that the target's ESP-DL has."""
        return frozenset(width for width in self.types if self.first_version(width) <= target.esp_dl)
