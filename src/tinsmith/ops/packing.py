"""The order in which a file stores the weights of linear operators (file format §6).

Vector units take ``block`` filters at a time, so the first ``N // block * block`` filters are interleaved by blocks;
the rest follows filter by filter. Chips without a vector unit (block 1) have only a "rest". Everything here moves
elements; none changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def vector_filters(filters: int, block: int) -> int:
    """How many of the leading filters are stored, and run, as vectors."""
    return filters // block * block if block > 1 else 0


def pack(weights: Array, block: int, *, depthwise: bool) -> Array:
    """Weights in the file's order.

    Args:
        weights: Integers (N, C/group, H, W), ONNX order.
        block: Filters per vector, `tinsmith.targets.LinearUnit.block`.
        depthwise: Whether each filter sees its own input channel (group = C).

    Returns:
        All elements, one dimension.
    """
    filters = weights.shape[0]
    split = vector_filters(filters, block)
    nhwc = weights.transpose(0, 2, 3, 1)
    height, width, channels = nhwc.shape[1:]
    vectors = nhwc[:split].reshape(-1, block, height, width, channels).transpose(0, 2, 3, 4, 1)
    rest = nhwc[split:].transpose(3, 1, 2, 0) if depthwise else nhwc[split:]
    return np.concatenate([vectors.reshape(-1), rest.reshape(-1)])


def unpack(packed: Array, shape: tuple[int, int, int, int], block: int, *, depthwise: bool) -> Array:
    """The inverse of `pack`.

    Args:
        packed: Elements in the file's order, any shape.
        shape: (N, C/group, H, W).
        block: As for `pack`.
        depthwise: As for `pack`.

    Returns:
        Weights of that shape, ONNX order.

    Raises:
        ValueError: The number of elements does not fit the shape.
    """
    filters, channels, height, width = shape
    split = vector_filters(filters, block)
    flat = packed.reshape(-1)
    if flat.size != filters * channels * height * width:
        raise ValueError(f"{flat.size} weights do not fill {shape}")
    cut = split * channels * height * width
    vectors = flat[:cut].reshape(-1, height, width, channels, block).transpose(0, 4, 3, 1, 2)
    if depthwise:
        rest = flat[cut:].reshape(channels, height, width, filters - split).transpose(3, 0, 1, 2)
    else:
        rest = flat[cut:].reshape(filters - split, height, width, channels).transpose(0, 3, 1, 2)
    return np.concatenate([vectors.reshape(split, channels, height, width), rest])


def pack_matrices(matrices: Array, block: int) -> Array:
    """MatMul's right side (…, C, N), each matrix packed like a Gemm's weights; the shape is kept."""
    stacked = matrices.reshape(-1, *matrices.shape[-2:])
    packed = [pack(matrix.T[:, :, None, None], block, depthwise=False) for matrix in stacked]
    return np.stack(packed).reshape(matrices.shape)


def unpack_matrices(packed: Array, block: int) -> Array:
    """The inverse of `pack_matrices`."""
    channels, filters = packed.shape[-2:]
    stacked = packed.reshape(-1, channels * filters)
    shape = (filters, channels, 1, 1)
    matrices = [unpack(flat, shape, block, depthwise=False)[:, :, 0, 0].T for flat in stacked]
    return np.stack(matrices).reshape(packed.shape)


def file_dims(shape: tuple[int, ...], *, depthwise: bool) -> tuple[int, ...]:
    """The `dims` a file records for weights (N, C/group, …spatial): (…spatial, C, N), depthwise (…spatial, N, C)."""
    filters, channels, *spatial = shape
    return (*spatial, filters, channels) if depthwise else (*spatial, channels, filters)


def layout_doc(filters: int, block: int, *, depthwise: bool, spatial: int = 2) -> str:
    """The doc string of packed weights.

    Args:
        filters: N.
        block: Filters per vector.
        depthwise: Whether group = C.
        spatial: Number of spatial dimensions, 1 or 2.
    """
    dims = "HW" if spatial == 2 else "W"
    if block == 1:
        name = f"{dims}CN" if depthwise else f"N{dims}C"
    else:
        name = f"(N/{block}){dims}C{block}" + ("_UNALIGNED" if filters % block else "")
    return f"layout ==> {name}"
