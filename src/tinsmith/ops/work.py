"""What one execution of a program's node makes the chip do, in the units that cost time (docs/latency.md).

Counts, not times: how many times the innermost loop runs, how often it is entered, how often a kernel is called. What
each costs on a chip is known to `tinsmith.estimate.latency`. Bytes of activations and parameters follow from shapes
alone and are counted there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod

import numpy as np

from tinsmith.ops.call import Call
from tinsmith.program import DType

Shape = tuple[int, ...]


class Kernel(StrEnum):
    """What kind of code runs a node."""

    CONV = "convolution"
    CONV_UNALIGNED = "convolution, channels unaligned"
    DEPTHWISE = "depthwise"
    DEPTHWISE_UNALIGNED = "depthwise, channels unaligned"
    POOL = "pooling"
    POOL_UNALIGNED = "pooling, channels unaligned"
    VECTOR = "element-wise vectors"
    COPY = "copy"
    TABLE = "table"
    SCALAR = "one element at a time"
    FLOAT = "float arithmetic"
    FUNCTION = "float functions"
    RECURRENT = "recurrent"
    VIEW = "nothing"


@dataclass(frozen=True, slots=True)
class Slow:
    """Why a node takes longer than it has to.

    Attributes:
        reason: What makes it slow, with the node's own numbers.
        remedy: The way out; the same text wherever it is the same one.
        instead: What the node would do then.
    """

    reason: str
    remedy: str
    instead: Work


@dataclass(frozen=True, slots=True)
class Work:
    """What one execution of a node makes the chip do.

    Attributes:
        kernel: The kind of code.
        macs: Multiply-accumulates.
        steps: Turns of the innermost loop: a vector of elements in vector kernels, one element in the others.
        entries: How often the innermost loop is entered: once for each position of the window and vector of channels.
        calls: How often the kernel is called: once for each output position, row or chunk.
        panel: Bytes of the operand that each call reads anew from its beginning to its end: the weights.
        passes: How often it does.
        panels: How many such operands there are, one after the other.
        split: Whether two cores can share it.
        slow: Why it takes longer than it has to, if it does.
    """

    kernel: Kernel
    macs: int = 0
    steps: int = 0
    entries: int = 0
    calls: int = 0
    panel: int = 0
    passes: int = 0
    panels: int = 1
    split: bool = False
    slow: Slow | None = None


Working = Callable[[Call, Sequence[Shape]], Work]
"""The work of a call whose outputs have these shapes; data of computed inputs are not looked at."""

VECTOR_BYTES = 16


def lanes(call: Call) -> int:
    """Elements in a vector of the first input's type; 1 without a vector unit."""
    return VECTOR_BYTES // call.arg(0).data.dtype.itemsize if call.target.simd else 1


def vectors(call: Call, count: int) -> int:
    """How many vectors hold ``count`` elements."""
    return -(-count // lanes(call))


def elements(shapes: Sequence[Shape]) -> int:
    """How many elements all outputs have."""
    return sum(prod(shape) for shape in shapes)


def nothing(call: Call, shapes: Sequence[Shape]) -> Work:
    """The output is the input's memory under another shape."""
    return Work(Kernel.VIEW)


def copies(call: Call, shapes: Sequence[Shape]) -> Work:
    """Runs of neighbouring elements are copied: the last dimension of inputs or outputs, whichever are shorter."""
    runs = [array.shape for array in (entry.data for entry in call.inputs[:1] if entry is not None)]
    shortest = min((shape[-1] for shape in (*runs, *shapes) if shape), default=1)
    count = elements(shapes)
    size = call.arg(0).data.dtype.itemsize
    return Work(Kernel.COPY, steps=-(-count * size // VECTOR_BYTES), calls=-(-count // max(shortest, 1)))


GONE = Work(Kernel.VIEW)
"""What a node does that is not needed any more."""


def one_by_one(call: Call, shapes: Sequence[Shape]) -> Work:
    """Integers, or tables, one element of the output at a time."""
    return Work(Kernel.SCALAR, steps=elements(shapes))


def sized(call: Call, shapes: Sequence[Shape]) -> Work:
    """Vectors of all elements; float32 one at a time."""
    if DType.FLOAT in (call.out.dtype, DType.of(call.arg(0).data.dtype)) or not call.target.simd:
        return Work(Kernel.FLOAT if call.is_float else Kernel.SCALAR, steps=elements(shapes))
    return Work(Kernel.VECTOR, steps=vectors(call, elements(shapes)), split=True)


def in_float(call: Call, shapes: Sequence[Shape]) -> Work:
    """A few float32 operations for each element of the larger side."""
    count = max(elements(shapes), call.arg(0).data.size)
    return Work(Kernel.FLOAT, steps=count, slow=_float_in_and_out(call, count))


def functions(call: Call, shapes: Sequence[Shape]) -> Work:
    """A float function, such as an exponential, of each element."""
    count = max(elements(shapes), call.arg(0).data.size)
    return Work(Kernel.FUNCTION, steps=count, slow=_float_in_and_out(call, count) or _no_table(call, count))


def _float_in_and_out(call: Call, count: int) -> Slow | None:
    """Float32 nodes between float32 tensors, which an integer format would replace."""
    if not call.is_float or call.arg(0).data.dtype != np.float32:
        return None
    return Slow(
        f"it computes {count:,} elements in float32, one at a time.",
        "Let it run in int8, where such functions are tables and sums are vectors.",
        Work(Kernel.TABLE, steps=count),
    )


def _no_table(call: Call, count: int) -> Slow | None:
    if not call.out.dtype.quantized or not DType.of(call.arg(0).data.dtype).quantized:
        return None
    return Slow(
        f"the function of {count:,} {call.out.dtype.name.lower()} elements is computed in float, without a table.",
        "Let it run in int8, where it is a look-up table.",
        Work(Kernel.TABLE, steps=count),
    )


def has_table(call: Call) -> bool:
    """Whether the runtime looks results up: int8 nodes with a table, int16 ones of two types (arithmetic §4)."""
    if call.node.attributes.get("lut") is None:
        return False
    return call.out.dtype is DType.INT8 or (call.out.dtype is DType.INT16 and call.node.op_type in ("LUT", "Gelu"))


def table_or(otherwise: Working) -> Working:
    """A look-up for each element where the node has a table, else as given."""

    def work(call: Call, shapes: Sequence[Shape]) -> Work:
        return Work(Kernel.TABLE, steps=elements(shapes)) if has_table(call) else otherwise(call, shapes)

    return work
