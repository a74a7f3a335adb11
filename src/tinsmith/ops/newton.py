"""The runtime's own square root (arithmetic §7.1), which is not sqrtf."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.floatmath import Float32

_TOLERANCE = np.float32(1e-5)
_LIMIT = 256
"""Steps after which a root that never settles (infinity, NaN, or one that alternates) is taken as it is."""


def newton_root(x: Float32) -> Float32:
    """0 → 0; else r = x, then ``r' = f32(f32(r + f32(x / r)) · 0.5)`` until ``|f32(r' - r)| ≤ 1e-5``.

    Each element stops by itself. Small roots come out inaccurate, since the tolerance is absolute.
    """
    root = np.array(x, dtype=np.float32)
    active = root != 0
    with np.errstate(all="ignore"):
        for _ in range(_LIMIT):
            if not active.any():
                break
            old = root[active]
            new = (old + x[active] / old) * np.float32(0.5)
            root[active] = new
            active[active] = ~(np.abs(new - old) <= _TOLERANCE)
    return root
