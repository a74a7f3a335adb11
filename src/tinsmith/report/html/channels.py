"""The ranges of a layer's weights, channel by channel."""

from __future__ import annotations

from math import ceil, isfinite, log2
from statistics import median

from markupsafe import Markup

from tinsmith.report.html.chart import HEIGHT, WIDTH, Chart, Tick, columns, grid, line, path, round_step
from tinsmith.report.html.text import bits
from tinsmith.report.insight.schema import Channels

_COLUMNS = 128
"""More channels than that are drawn several to a column: there is no more room."""
_DEEPEST = 16
"""Bits below the largest channel that are drawn at most."""


def channels_chart(channels: Channels) -> Chart | None:
    """How many bits the range of each channel lies below the largest one's.

    Where several channels share a column, the largest stands pale behind the smallest. None where there is none
    but zeros.
    """
    seen = [value for value in channels.largest if isfinite(value) and value > 0]
    if not seen:
        return None
    top = log2(max(seen))
    below = [top - log2(value) if isfinite(value) and value > 0 else None for value in channels.largest]
    depth = min(_DEEPEST, max(4, ceil(max(lost for lost in below if lost is not None)) + 1))
    heights = [0.0 if lost is None else max(0.0, HEIGHT * (1 - lost / depth)) for lost in below]
    group = ceil(len(heights) / _COLUMNS)
    groups = [heights[start : start + group] for start in range(0, len(heights), group)]
    width = WIDTH / len(groups)
    edges = [(index * width, (index + 0.85) * width) for index in range(len(groups))]
    middle = median(depth if lost is None else lost for lost in below)
    level = HEIGHT * min(1.0, middle / depth)
    y = tuple(Tick(100 * (1 - mark / depth), f"−{mark} bits" if mark else "largest") for mark in _marks(depth))
    shapes = [
        grid(y),
        path(columns((*at, max(group)) for at, group in zip(edges, groups, strict=True)) if group > 1 else "", "pale"),
        path(columns((*at, min(group)) for at, group in zip(edges, groups, strict=True)), "bars"),
        line((0, level), (WIDTH, level), "median"),
    ]
    return Chart(Markup("").join(shapes), _label(channels), _across(len(heights), width / group), y)


def _marks(depth: int) -> range:
    return range(0, depth, max(1, ceil(depth / 4)))


def _across(count: int, width: float) -> tuple[Tick, ...]:
    step = max(1, round(round_step(count, 8)))
    return tuple(Tick(100 * (index + 0.5) * width / WIDTH, str(index)) for index in range(0, count, step))


def largest_channel(channels: Channels) -> int:
    """Index of the channel with the largest range."""
    return max(range(len(channels.largest)), key=channels.largest.__getitem__, default=0)


def _label(channels: Channels) -> str:
    return (
        f"Ranges of {len(channels.largest)} output channels of {channels.tensor}; the largest is channel "
        f"{largest_channel(channels)}, {bits(channels.spread_bits)} above the median one"
    )
