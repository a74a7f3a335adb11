"""What a tensor holds, over what its format can hold."""

from __future__ import annotations

from math import isfinite, log1p

from markupsafe import Markup

from tinsmith.report.html.chart import HEIGHT, WIDTH, Chart, Tick, columns, line, multiples, number, path, round_step
from tinsmith.report.html.text import percent, real
from tinsmith.report.insight.schema import Histogram

_NARROWEST = 1e-300
"""Ranges are no narrower: what is drawn is divided by them."""


def histogram_chart(histogram: Histogram) -> Chart | None:
    """Elements per bin, on a logarithmic scale; the format's range is shaded, what it clips stands apart.

    None where there is nothing to draw: an empty tensor, or one whose values are not finite.
    """
    seen_end = histogram.start + histogram.width * len(histogram.counts)
    lowest, highest = min(histogram.start, histogram.lowest), max(seen_end, histogram.highest)
    span = highest - lowest
    most = max(histogram.counts, default=0)
    if not isfinite(span) or span < _NARROWEST or most <= 0 or histogram.width < 0:
        return None

    def across(value: float) -> float:
        return WIDTH * ((value - lowest) / span)

    inside: list[tuple[float, float, float]] = []
    outside: list[tuple[float, float, float]] = []
    for index, elements in enumerate(histogram.counts):
        left = histogram.start + index * histogram.width
        bar = (across(left), max(across(left + histogram.width), across(left) + 1), HEIGHT * _height(elements, most))
        middle = left + histogram.width / 2
        (inside if histogram.lowest <= middle <= histogram.highest else outside).append(bar)
    low, high = across(histogram.lowest), across(histogram.highest)
    band = Markup('<rect class="range" x="{}" width="{}" height="{}"/>').format(number(low), number(high - low), HEIGHT)
    shapes = [
        band,
        path(columns(inside), "bars"),
        path(columns(outside), "clipped"),
        *(line((at, 0), (at, HEIGHT), "limit") for at in (low, high)),
    ]
    return Chart(Markup("").join(shapes), _label(histogram), _across(lowest, highest), _up(most))


def _height(elements: int, most: int) -> float:
    return log1p(elements) / log1p(most)


def _across(lowest: float, highest: float) -> tuple[Tick, ...]:
    span = highest - lowest
    values = multiples(round_step(span, 6), lowest, highest)
    return tuple(Tick(100 * ((value - lowest) / span), real(value)) for value in values)


def _up(most: int) -> tuple[Tick, ...]:
    digits = len(str(most)) - 1
    step = max(1, (digits + 2) // 3)
    return tuple(Tick(100 * _height(10**power, most), f"{10**power:,}") for power in range(0, digits + 1, step))


def _label(histogram: Histogram) -> str:
    return (
        f"Histogram of {histogram.tensor}: values from {real(histogram.seen_lowest)} to "
        f"{real(histogram.seen_highest)}, format from {real(histogram.lowest)} to {real(histogram.highest)}, "
        f"{percent(histogram.clipped)} clipped"
    )
