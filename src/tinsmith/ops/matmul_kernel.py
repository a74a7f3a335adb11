"""What a MatMul node of a program computes: both sides in the file's order, the right one packed (file format §6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.call import Array, Call
from tinsmith.ops.linear import execute, packing_block, unit_of
from tinsmith.ops.packing import unpack_matrices
from tinsmith.quant.linear import Sums


def sides(call: Call) -> tuple[Array, Array]:
    """Left (…, M, C) and right (…, C, N) side, the right one unpacked, both with at least two dimensions."""
    left, right = call.arg(0).data, call.arg(1).data
    left = left[None] if left.ndim == 1 else left
    right = right[:, None] if right.ndim == 1 else right
    return left, unpack_matrices(right, packing_block(call))


def shape(call: Call) -> list[tuple[int, ...]]:
    """As numpy's matmul.

    Raises:
        ValueError: The shapes do not multiply.
    """
    left, right = call.arg(0).data, call.arg(1).data
    rows, columns = left.shape[-2:-1], right.shape[-1:] if right.ndim > 1 else ()
    if left.shape[-1] != right.shape[max(0, right.ndim - 2)]:
        raise ValueError(f"shapes {left.shape} and {right.shape} do not multiply")
    return [(*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), *rows, *columns)]


def compute(call: Call) -> Sequence[Array]:
    """The output sat(act(rshift(a·b, s))), batch dimensions broadcast."""
    unit_of(call)
    left, right = sides(call)
    (result,) = shape(call)
    if right.size == right.shape[-1] * right.shape[-2]:
        matrix = right.reshape(right.shape[-2:])
        return [execute(call, Sums.product(left.reshape(-1, left.shape[-1]), matrix)).reshape(result)]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    lefts = np.broadcast_to(left, batch + left.shape[-2:]).reshape(-1, *left.shape[-2:])
    rights = np.broadcast_to(right, batch + right.shape[-2:]).reshape(-1, *right.shape[-2:])
    products = [execute(call, Sums.product(a, b)) for a, b in zip(lefts, rights, strict=True)]
    return [np.stack(products).reshape(result)]
