"""Conv as float convolutions or matrix products that are exact (see `tinsmith.ops.linear_emit`).

Measured on two cores with ONNX Runtime's CPU kernels: float32 Conv where 2**24 holds; beyond, a float64 MatMul over
unfolded windows is faster than splitting the factors into bytes, except where depthwise.
"""

from __future__ import annotations

import platform

import numpy as np

from tinsmith.ops.call import Array
from tinsmith.ops.conv_kernel import geometry_of, is_depthwise, shape, weights_of
from tinsmith.ops.emit import FLOAT64, Emit, NotExpressible
from tinsmith.ops.linear import unit_of
from tinsmith.ops.linear_emit import finish, guard, guard_sums, narrowed
from tinsmith.ops.linear_plan import Plan, need_constants, plan
from tinsmith.quant.linear import FLOAT32_EXACT

BLOCKS = platform.machine().lower() in ("x86_64", "amd64")
"""Whether ONNX Runtime holds the channels of two-dimensional convolutions in blocks here."""


def emit(e: Emit) -> None:
    """Append the node."""
    unit_of(e.call)
    need_constants(e)
    depthwise = is_depthwise(e.call)
    weights = weights_of(e.call)
    known = e.builder.places.get((e.call.node.inputs[0], "first")) or e.x(0)
    found = plan(e, weights.reshape(len(weights), -1), known, depthwise=depthwise)
    doubtful = e.checked and len(found.doubtful()) > 0
    slim = narrowed(e, found)
    if doubtful and slim is not found:
        _guard(e, weights, found, depthwise=depthwise)
    if slim is not None:
        scaled = slim.filters.reshape(weights.shape) * spread(slim.scale, 4)
        sums = convolution(e, e.x(0, "first"), scaled, slim.start(quick=slim.quick))
        if doubtful and slim is found:
            _guard(e, weights, found, depthwise=depthwise, sums=sums)
        ndim = e.call.arg(0).data.ndim
        offset, planes = spread(slim.offset, ndim - 1), len(weights) if ndim == 4 and BLOCKS else 0
        result = finish(e, sums, slim.shifts, quick=slim.quick, offset=offset, channels=planes)
        e.give(result, layout="first")
    elif depthwise:
        e.give(finish(e, _split(e, weights, found), found.shifts, wide=True), layout="first")
    else:
        e.give(finish(e, _unfolded(e, weights, found), found.shifts, wide=True))


def spread(values: Array, ndim: int) -> Array:
    """(N,) shaped to broadcast over axis 0."""
    return values.reshape(-1, *(1,) * (ndim - 1))


def convolution(e: Emit, x: str, weights: Array, bias: Array | None = None) -> str:
    """A float32 Conv with the node's geometry; `weights` (N, C/group, rows, columns)."""
    geometry, flat = geometry_of(e.call), e.call.arg(0).data.ndim == 3
    cut = slice(1, None) if flat else slice(None)
    top, left, bottom, right = geometry.pads
    inputs = [x, e.constant(weights[:, :, 0] if flat else weights, np.float32)]
    if bias is not None and np.any(bias):
        inputs.append(e.constant(bias, np.float32))
    return str(
        e.op(
            "Conv",
            *inputs,
            kernel_shape=list(geometry.kernel)[cut],
            strides=list(geometry.strides)[cut],
            dilations=list(geometry.dilations)[cut],
            pads=[left, right] if flat else [top, left, bottom, right],
            group=len(weights) if is_depthwise(e.call) else 1,
        )
    )


def _guard(e: Emit, weights: Array, found: Plan, *, depthwise: bool, sums: str = "") -> None:
    """Bound the partial sums of the channels that could saturate (all of them where depthwise).

    Args:
        e: The node.
        weights: Its weights.
        found: Its plan.
        depthwise: Whether it is.
        sums: The scaled sums where they follow ``found``, which makes the bound half as large.
    """
    channels = np.arange(len(weights)) if depthwise else found.doubtful()
    x = e.x(0, "first")
    positive = x if found.inputs[0] >= 0 else e.op("Abs", x)
    heavy = np.abs(weights[channels].astype(np.int64))
    if sums:
        guard_sums(e, convolution(e, positive, heavy), sums, found, channels, behind=e.call.arg(0).data.ndim - 2)
    else:
        guard(e, convolution(e, positive, heavy, np.abs(found.bias[channels])), found.lanes)


def _split(e: Emit, weights: Array, found: Plan) -> str:
    """A depthwise convolution whose factors are split into bytes, recombined in float64 (scaled sums).

    Raises:
        NotExpressible: Not even the bytes' sums fit float32.
    """
    x = e.x(0, "first")
    inputs, parts = [(x, 0)], [(weights.astype(np.int64), 0)]
    if e.call.bits == 16:
        high = e.op("Floor", e.op("Add", e.op("Mul", x, e.scalar(2.0**-8)), e.scalar(0.5)))
        low = e.op("Sub", x, e.op("Mul", high, e.scalar(2.0**8)))
        inputs = [(high, 8), (low, 0)]
        upper = (weights.astype(np.int64) + 128) >> 8
        parts = [(upper, 8), (weights - (upper << 8), 0)]
    total = e.constant(spread(found.start(), e.call.arg(0).data.ndim - 1), np.float64)
    for tensor, weight_of_input in inputs:
        for part, weight_of_part in parts:
            if 128.0 * float(np.abs(part).sum(axis=(1, 2, 3)).max()) >= FLOAT32_EXACT:
                raise NotExpressible("a depthwise kernel of more than 1023 products")
            factor = np.ldexp(found.scale, weight_of_input + weight_of_part)
            sums = convolution(e, tensor, part * spread(factor, part.ndim))
            total = e.op("Add", total, e.op("Cast", sums, to=FLOAT64))
    return total


def _unfolded(e: Emit, weights: Array, found: Plan) -> str:
    """The float64 product of unfolded windows and weights, file layout (scaled sums, bias added)."""
    geometry, x = geometry_of(e.call), e.x(0)
    flat = e.call.arg(0).data.ndim == 3
    if any(geometry.pads):
        top, left, bottom, right = geometry.pads
        amounts = [0, left, 0, 0, right, 0] if flat else [0, top, left, 0, 0, bottom, right, 0]
        x = e.op("Pad", x, e.constant(amounts, np.int64))
    (result,) = shape(e.call)
    if geometry.kernel != (1, 1) or geometry.strides != (1, 1):
        size = (1, result[1]) if flat else result[1:3]
        taps = [_tap(e, x, tap, size) for tap in np.ndindex(*geometry.kernel)]
        x = taps[0] if len(taps) == 1 else e.op("Concat", *taps, axis=2 if flat else 3)
    matrix = weights.transpose(2, 3, 1, 0).reshape(-1, len(weights)) * found.scale
    product = e.op("MatMul", e.op("Cast", x, to=FLOAT64), e.constant(matrix, np.float64))
    return str(e.op("Add", product, e.constant(found.start(), np.float64)))


def _tap(e: Emit, x: str, tap: tuple[int, ...], size: tuple[int, ...]) -> str:
    """The input elements that one tap of the kernel meets, one per output position."""
    geometry = geometry_of(e.call)
    starts = [position * step for position, step in zip(tap, geometry.dilations, strict=True)]
    steps = list(geometry.strides)
    stops = [start + (count - 1) * step + 1 for start, count, step in zip(starts, size, steps, strict=True)]
    axes = [0, 1]
    if e.call.arg(0).data.ndim == 3:
        starts, stops, steps, axes = starts[1:], stops[1:], steps[1:], [0]
    return str(e.op("Slice", x, *(e.constant(n, np.int64) for n in (starts, stops, [a + 1 for a in axes], steps))))
