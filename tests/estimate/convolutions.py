"""Programs of one convolution."""

from __future__ import annotations

import numpy as np

from tests.estimate.programs import Builder
from tinsmith.program import DType


def conv(
    channels: int, filters: int, *, kernel: int = 3, group: int = 1, dtype: DType = DType.INT8, size: int = 10
) -> Builder:
    """A convolution named ``t0`` that keeps height and width."""
    build = Builder()
    x = build.input(1, size, size, channels, dtype=dtype)
    dims = (kernel, kernel, filters, 1) if group > 1 else (kernel, kernel, channels, filters)
    weights = build.constant(np.zeros(dims, dtype.numpy))
    bias = build.constant(np.zeros(filters, np.int32 if dtype is DType.INT8 else np.int64))
    pads = (kernel // 2,) * 4
    attributes: dict[str, int | str | tuple[int, ...]] = {
        "group": group,
        "pads": pads,
        "strides": (1, 1),
        "dilations": (1, 1),
        "activation": "Linear",
    }
    build.node("Conv", x, weights, bias, attributes=attributes)
    return build
