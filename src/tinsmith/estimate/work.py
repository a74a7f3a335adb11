"""What each node of a program makes a chip do: arithmetic, and the bytes that move."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tinsmith.ops import find
from tinsmith.ops.call import Arg, Call
from tinsmith.ops.execution import call_of
from tinsmith.ops.inference import placeholders
from tinsmith.ops.work import Kernel, Work
from tinsmith.program import Program
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True)
class NodeWork:
    """What one execution of one node takes.

    Attributes:
        node: Its name.
        operator: Its type.
        bits: Width of the elements it computes: 8, 16, or 32 for float.
        work: The turns of its loops.
        elements: Elements of all outputs.
        read: Bytes of the computed tensors it reads.
        written: Bytes of its outputs.
        parameters: Bytes of the constants it reads: of a table that it looks up, and no more of a constant that it
            copies from (an embedding) than it writes.
        constant_panel: Whether what it reads over and over (`Work.panel`) is constant.
    """

    node: str
    operator: str
    bits: int
    work: Work
    elements: int
    read: int
    written: int
    parameters: int
    constant_panel: bool

    @property
    def kernel(self) -> Kernel:
        """The kind of code that runs it."""
        return self.work.kernel

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.work.macs


def works(program: Program, target: Target) -> tuple[NodeWork, ...]:
    """The work of every node, in the program's order.

    Raises:
        ProgramError: A node cannot take the shapes that reach it (see `tinsmith.ops.inference.infer_shapes`), or has
            an operator that does not exist.
    """
    known = placeholders(program, target)
    calls = (call_of(program, node, known, target) for node in program.nodes)
    return tuple(work_of(call, [known[value.name].shape for value in call.outputs]) for call in calls)


def work_of(call: Call, outputs: list[tuple[int, ...]]) -> NodeWork:
    """The work of one call on its own.

    Args:
        call: The node with its arguments; data are not looked at.
        outputs: The shapes of its outputs.
    """
    work = find(call.node.op_type, call.node.name).work(call, outputs)
    pairs = list(zip(call.node.inputs, call.inputs, strict=False))
    constants = {name: entry for name, entry in pairs if entry is not None and name in call.constants}
    computed = {name: entry for name, entry in pairs if entry is not None and name not in call.constants}
    written = sum(prod(shape) * value.dtype.numpy.itemsize for shape, value in zip(outputs, call.outputs, strict=True))
    moved = work.kernel is not Kernel.VIEW
    return NodeWork(
        call.node.name,
        call.node.op_type,
        call.bits,
        work,
        sum(prod(shape) for shape in outputs),
        _bytes(computed) if moved else 0,
        written if moved else 0,
        _constant_bytes(call, work.kernel, _bytes(constants), written),
        len(call.node.inputs) > 1 and call.node.inputs[1] in call.constants,
    )


def _bytes(entries: dict[str, Arg]) -> int:
    return sum(entry.data.nbytes for entry in entries.values())


def _constant_bytes(call: Call, kernel: Kernel, stored: int, written: int) -> int:
    """Bytes of constants that are read, of so many that are stored."""
    if kernel is Kernel.VIEW:
        return 0
    if kernel is Kernel.COPY:
        return min(stored, written)
    return stored + (_table_bytes(call) if kernel is Kernel.TABLE else 0)


def _table_bytes(call: Call) -> int:
    name = call.node.attributes.get("lut")
    return call.constants[name].data.nbytes if isinstance(name, str) and name in call.constants else 0
