"""What Conv, Gemm and MatMul share: accumulators, the shift to the output, bias and weights in files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.errors import ProgramError, QuantizationError
from tinsmith.ops.base import constraint
from tinsmith.ops.call import Array, Call, merge_facts
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.lowering import PLAIN, Lowering, Slot
from tinsmith.ops.packing import vector_filters
from tinsmith.ops.ports import ACTIVATION, BIAS, Kind, Port, Ports
from tinsmith.quant.format import Format
from tinsmith.quant.lanes import Lane, Notes, accumulate
from tinsmith.quant.linear import Sums
from tinsmith.quant.rounding import Rounding, qrange, saturate
from tinsmith.targets import Accumulator, LinearUnit, Saturation, Target

_EVERY = {Saturation.NEVER: 0, Saturation.EACH_PRODUCT: 1, Saturation.EACH_BLOCK: 8}
_LEFT = 16
"""Left shifts beyond this saturate every non-zero 16 bit value: enough to run an illegal program."""


def unit_of(call: Call) -> LinearUnit:
    """How the target runs this node.

    Raises:
        ProgramError: It does not: the runtime has no float convolution or matrix product.
    """
    if call.bits not in call.target.linear or not call.arg(0).data.dtype.itemsize * 8 == call.bits:
        raise ProgramError(
            f"{call.arg(0).data.dtype} input, {call.out.dtype.name} output: the runtime has only int8 and int16.",
            subject=call.node.subject,
        )
    return call.target.linear[call.bits]


def lanes_of(unit: LinearUnit, channels: int, *, depthwise: bool) -> list[Lane]:
    """The accumulators of a node's output channels."""

    def lane(start: int, stop: int, accumulator: Accumulator) -> Lane:
        return Lane(slice(start, stop), accumulator.bits, _EVERY[accumulator.saturation])

    if depthwise:
        return [lane(0, channels, unit.depthwise)]
    split = vector_filters(channels, unit.block)
    found = [lane(0, split, unit.vector), lane(split, channels, unit.tail)]
    return [entry for entry in found if entry.channels.stop > entry.channels.start]


def shifts_of(call: Call) -> NDArray[np.int64]:
    """e_out - e_in - e_w: one entry, or one per output channel."""
    weights = np.asarray(call.arg(1).exponents or (0,), dtype=np.int64)
    return call.out.exponent - call.arg(0).exponent - weights


def bias_of(call: Call, channels: int) -> NDArray[np.int64]:
    """The bias as stored, zeros where there is none.

    Raises:
        ProgramError: It does not have one element per channel.
    """
    found = call.optional(2)
    if found is None:
        return np.zeros(channels, np.int64)
    if found.data.size != channels:
        raise ProgramError(
            f"the bias has {found.data.size} elements for {channels} channels.", subject=call.node.subject
        )
    return found.data.reshape(-1).astype(np.int64)


def is_relu(call: Call) -> bool:
    """Whether the node's `activation` is Relu.

    Raises:
        ProgramError: It is neither Linear nor Relu.
    """
    activation = call.attr("activation", "Linear")
    if activation not in ("Linear", "Relu"):
        raise ProgramError(f"unknown activation {activation!r}.", subject=call.node.subject)
    return activation == "Relu"


def execute(call: Call, sums: Sums) -> Array:
    """The output sat(act(rshift(acc, s))) of all sums: (OH, OW, N) in its dtype (arithmetic §2).

    Leaves in `call.observe`: ``suspects``, ``saturated``, ``saturations``, ``wrapped``, ``peak`` as
    `tinsmith.quant.lanes.Notes`, and ``illegal_shift`` with the number of channels whose shift is outside 0 … 31.
    """
    lanes = lanes_of(unit_of(call), sums.channels, depthwise=sums.depthwise)
    total, notes = accumulate(sums, bias_of(call, sums.channels), lanes)
    shifts = shifts_of(call)
    illegal = int(np.count_nonzero((shifts < 0) | (shifts > call.target.max_shift)))
    _report(call, notes, illegal)
    result = call.target.rounding.rshift(total, np.clip(shifts, -_LEFT, 62))
    if is_relu(call):
        result = np.maximum(result, 0)
    return saturate(result, call.bits).astype(call.out.dtype.numpy)


def _report(call: Call, notes: Notes, illegal: int) -> None:
    counts = {
        "suspects": notes.suspects,
        "saturated": notes.saturated,
        "saturations": notes.saturations,
        "wrapped": notes.wrapped,
        "illegal_shift": illegal,
    }
    facts = {"peak": notes.peak, **{key: value for key, value in counts.items() if value}}
    merge_facts(call.observe, call.node.name, facts)


def quantized_weights(call: Lowering) -> tuple[NDArray[Any], Format]:
    """The integers of input 1 in the ONNX order, and their format."""
    slot = call.slot(1)
    assert slot.const is not None
    assert slot.format is not None
    return slot.format.quantize(slot.const, call.target.rounding), slot.format


def quantized_bias(call: Lowering, bias: Array, weights: Format) -> NDArray[Any]:
    """The bias as the file stores it: exponent e_in + e_w, INT32 or INT64.

    Args:
        call: The node; input 0 is quantized.
        bias: Real numbers (N,).
        weights: Format of the weights.

    Raises:
        QuantizationError: It does not fit the accumulator's bias range.
    """
    unit = call.target.linear[call.bits]
    exponents = np.asarray(bias_exponents(call, weights), dtype=np.int32)
    real = np.ldexp(bias.astype(np.float64), -exponents)
    rounded = np.floor(real + 0.5) if call.target.rounding is Rounding.HALF_UP else np.rint(real)
    low, high = qrange(unit.bias_bits)
    worst = int(np.argmax(np.abs(rounded)))
    if not low <= int(rounded.min()) <= int(rounded.max()) <= high:
        raise QuantizationError(
            f"the bias of channel {worst} ({bias[worst]:.6g}) is {int(rounded[worst])} in units of the accumulator, "
            f"which holds {unit.bias_bits} bits on {call.target.name}.",
            subject=call.node.subject,
            hint="Give the weights or the input a larger exponent, or run this node in int16.",
        )
    return rounded.astype(np.int32 if unit.bias_bytes == 4 else np.int64)


def bias_exponents(call: Lowering, weights: Format) -> tuple[int, ...]:
    """e_in + e_w, per channel where the weights are."""
    source = call.slot(0).format
    assert source is not None
    own = source.exponent
    return tuple(own + exponent for exponent in weights.exponents)


def add_bias(call: Lowering, slot: Slot | None, channels: int, weights: Format) -> list[str]:
    """Write the bias, if there is one; the names to append to the node's inputs."""
    if slot is None:
        return []
    assert slot.const is not None
    real = np.broadcast_to(slot.const.reshape(-1), (channels,))
    data = quantized_bias(call, real, weights)
    return [call.sink.add_constant(slot.name, data, bias_exponents(call, weights), PLAIN)]


def packing_block(call: Call) -> int:
    """Filters per vector of packed weights."""
    return unit_of(call).block


def legal_shifts(call: Call) -> str | None:
    """0 ≤ e_out - e_in - e_w ≤ 31 on every channel: the S3 crashes below, the P4 computes garbage."""
    shifts = shifts_of(call)
    if int(shifts.min()) >= 0 and int(shifts.max()) <= call.target.max_shift:
        return None
    return (
        f"shifts by {int(shifts.min())} … {int(shifts.max())} bits, the chip can shift right by 0 … "
        f"{call.target.max_shift}: the output needs an exponent of at least "
        f"{call.out.exponent + max(0, -int(shifts.min()))}."
    )


def bias_fits(call: Call) -> str | None:
    """The bias must fit the accumulator, which wraps it."""
    bias = call.optional(2)
    low, high = qrange(unit_of(call).bias_bits)
    if bias is None or not bias.data.size or low <= int(bias.data.min()) <= int(bias.data.max()) <= high:
        return None
    return (
        f"its bias reaches {int(np.abs(bias.data).max())}, the accumulator holds {unit_of(call).bias_bits} bits. Give "
        "the weights a larger exponent, or run it in int16."
    )


def sums_fit(call: Call, filters: Array, *, depthwise: bool) -> str | None:
    """Accumulators that do not saturate must hold every sum: beyond, they wrap.

    Args:
        call: The node.
        filters: Weights (N, …).
        depthwise: Which accumulators it uses.
    """
    heaviest = np.abs(filters.reshape(len(filters), -1).astype(np.int64)).sum(axis=1) << (call.bits - 1)
    largest = heaviest + np.abs(bias_of(call, len(filters)))
    for lane in lanes_of(unit_of(call), len(filters), depthwise=depthwise):
        worst = lane.channels.start + int(np.argmax(largest[lane.channels]))
        if not lane.every and lane.bits < 64 and largest[worst] > qrange(lane.bits)[1]:
            return (
                f"the sums of channel {worst} can reach {int(largest[worst])} and wrap around its accumulator of "
                f"{lane.bits} bits: the weights need a larger exponent."
            )
    return None


def linear_ports(node: FloatNode, axis: int | None) -> Ports:
    """Input, weights with channels along ``axis``, perhaps a bias; the output keeps file format §4 rule 1."""
    ports = (ACTIVATION, Port(Kind.WEIGHT, axis=axis), BIAS)
    return Ports(ports[: len(node.inputs)], (ACTIVATION,), product=(0, 1))


@constraint
def constant_weights(node: FloatNode, target: Target) -> bool:
    """The weights must be constants of the model. Freeze or fold them before the export."""
    return node.const(1) is not None


@constraint
def constant_bias(node: FloatNode, target: Target) -> bool:
    """The bias must be a constant with one element per output channel. Use an Add behind the node instead."""
    if not node.has(2):
        return True
    bias, output = node.const(2), node.outputs[0].shape
    channels = output[1] if node.op_type.startswith("Conv") else output[-1]
    return bias is not None and bias.size in (1, channels) and bias.size == (bias.shape[-1] if bias.ndim else 1)
