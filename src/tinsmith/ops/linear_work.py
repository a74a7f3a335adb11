"""What convolutions, matrix products, pools and recurrent layers make the chip do: the loops of ESP-DL's kernels.

A kernel is called once for each output position, with all output channels: it reads the weights from the first to the
last byte each time. Filters are taken a vector at a time; those that fill no vector go one by one, as dot products.
Other kernels run where channels are no multiple of a vector: they look at each element's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

from tinsmith.ops.call import Call
from tinsmith.ops.work import Kernel, Shape, Slow, Work, Working, lanes

FEW_CHANNELS = 4
"""Of images: not worth more channels of zeros."""
SPLIT_WINDOWS = 4
"""Two cores share a convolution or pool whose input has more rows than this many windows."""


def _dense(call: Call, positions: int, window: int, channels: int, filters: int) -> Work:
    block = lanes(call)
    whole, rest = divmod(filters, block)
    aligned = channels % block == 0 and rest == 0
    work = Work(
        Kernel.CONV if aligned else Kernel.CONV_UNALIGNED,
        macs=positions * window * channels * filters,
        steps=positions * window * (whole * channels + rest * -(-channels // block)),
        entries=positions * window * (whole + rest),
        calls=positions,
        panel=window * channels * filters * call.arg(0).data.dtype.itemsize,
        passes=positions,
    )
    if aligned:
        return work
    wide = _up(channels, block) if channels > FEW_CHANNELS else channels
    if (wide, _up(filters, block)) == (channels, filters):
        return work
    return replace(
        work,
        slow=Slow(
            f"its {channels} input and {filters} output channels are not both multiples of {block}.",
            f"Give the layer, and those before and behind it, multiples of {block} channels.",
            _dense(call, positions, window, wide, _up(filters, block)),
        ),
    )


def _up(count: int, block: int) -> int:
    return -(-count // block) * block


def _channelwise(call: Call, shape: Shape, window: int, kernels: tuple[Kernel, Kernel]) -> Work:
    positions, channels, block = prod(shape[:-1]), shape[-1], lanes(call)
    work = Work(
        kernels[0],
        macs=positions * channels * window,
        steps=positions * window * -(-channels // block),
        calls=positions,
    )
    if channels % block == 0:
        return work
    return replace(
        work,
        kernel=kernels[1],
        slow=Slow(
            f"its {channels} channels are no multiple of {block}.",
            f"Give the layer, and those before and behind it, multiples of {block} channels.",
            work,
        ),
    )


def _shared_out(work: Work, split: bool) -> Work:
    slow = work.slow and replace(work.slow, instead=replace(work.slow.instead, split=split))
    return replace(work, split=split, slow=slow)


def _shared(call: Call, rows: int) -> bool:
    lengths = call.arg(0).data.shape[1:-1]
    return bool(lengths) and lengths[0] > SPLIT_WINDOWS * rows


def convolution(call: Call, shapes: Sequence[Shape]) -> Work:
    """Conv, whole or depthwise."""
    weights = call.arg(1).data.shape
    kernel = weights[:-2]
    if call.attr("group", 1) == 1:
        work = _dense(call, prod(shapes[0][:-1]), prod(kernel), weights[-2], weights[-1])
    else:
        work = _channelwise(call, shapes[0], prod(kernel), (Kernel.DEPTHWISE, Kernel.DEPTHWISE_UNALIGNED))
    rows = call.attr("dilations", (1,) * len(kernel))[0] * kernel[0]
    return _shared_out(work, _shared(call, rows))


def matrix_product(call: Call, shapes: Sequence[Shape]) -> Work:
    """Gemm and MatMul: a convolution of one row's length for each row, over each matrix on the right."""
    left, right, result = call.arg(0).data.shape, call.arg(1).data.shape, shapes[0]
    matrices = max(prod(right[:-2]), 1)
    filters = result[-1] if len(right) > 1 else 1
    rows = prod(result) // filters // matrices
    work = _dense(call, rows * matrices, 1, left[-1], filters)
    return replace(work, passes=rows, panels=matrices)


def pooling(window_of: Callable[[Call], Sequence[int]]) -> Working:
    """Pools with a window of those lengths."""

    def work(call: Call, shapes: Sequence[Shape]) -> Work:
        window = window_of(call)
        if call.is_float:
            return Work(Kernel.FLOAT, steps=prod(shapes[0]) * prod(window))
        found = _channelwise(call, shapes[0], prod(window), (Kernel.POOL, Kernel.POOL_UNALIGNED))
        return _shared_out(found, _shared(call, window[0]))

    return work


def recurrent(call: Call, shapes: Sequence[Shape]) -> Work:
    """GRU, LSTM: a dot product for each row of both matrices and each time step, then the gates in float.

    Rows that fill no vectors go element by element, in C, at about four cycles each.
    """
    length = call.arg(0).data.shape[0]
    matrices = [call.arg(index).data for index in (1, 2)]
    size = sum(matrix.size for matrix in matrices)
    block = lanes(call)
    steps = sum(m.size // block if m.shape[-1] % block == 0 else 4 * m.size for m in matrices)
    return Work(
        Kernel.RECURRENT,
        macs=length * size,
        steps=length * steps,
        entries=length * sum(m.size // m.shape[-1] for m in matrices),
        calls=length * matrices[1].shape[0] * matrices[1].shape[-1],
        panel=sum(matrix.nbytes for matrix in matrices),
        passes=length,
    )
