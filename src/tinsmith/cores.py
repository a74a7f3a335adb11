"""How many samples are worked on side by side."""

from __future__ import annotations

import os

MOST = 8
"""Threads beyond which memory grows and speed does not."""


def cores(most: int = MOST) -> int:
    """The processor's cores, ``most`` of them at most."""
    return max(1, min(os.cpu_count() or 1, most))
