"""What all charts share: a drawing that stretches with the page, and axes whose labels do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import floor, isfinite, log10

from markupsafe import Markup

WIDTH = 1000
HEIGHT = 200
"""Of the drawing, in its own units; how large it is on the page is the style sheet's matter."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label beside an axis.

    Attributes:
        at: Where, in percent of the axis, from the left or from the bottom.
        text: What it says.
    """

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its axes.

    Attributes:
        shapes: What is inside of the `svg` element, in units of `WIDTH` and `HEIGHT`.
        label: What it shows, for those who cannot see it.
        x, y: Labels of the axes.
        tall: Whether it needs more height than others.
    """

    shapes: Markup
    label: str
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    tall: bool = False


def number(value: float) -> str:
    """A coordinate: finite, one digit behind the point at most."""
    if not isfinite(value):
        raise ValueError(f"A coordinate is {value}.")
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def path(shape: str, kind: str) -> Markup:
    """A path of a class; nothing where there is nothing to draw."""
    return Markup('<path class="{}" d="{}"/>').format(kind, shape) if shape else Markup("")


def columns(bars: Iterable[tuple[float, float, float]]) -> str:
    """The shape of bars that stand on the axis: one path along all of them, in whole units.

    Args:
        bars: Left, right and height of each, in units of the drawing, from left to right.
    """
    parts, here = [], None
    for left, right, height in bars:
        top = round(HEIGHT - height)
        if top < HEIGHT:
            parts.append(
                "" if here == round(left) else f"M{round(left)} {HEIGHT}" if here is None else f"H{round(left)}"
            )
            here = round(right)
            parts.append(f"V{top}H{here}V{HEIGHT}")
    return "".join(parts)


def line(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    """A straight line."""
    return path(f"M{number(start[0])} {number(start[1])}L{number(end[0])} {number(end[1])}", kind)


def grid(ticks: Iterable[Tick]) -> Markup:
    """Horizontal lines at the ticks of the vertical axis."""
    return path("".join(f"M0 {number(HEIGHT * (1 - tick.at / 100))}h{WIDTH}" for tick in ticks), "grid")


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that leaves at most so many steps in a span."""
    power = 10.0 ** floor(log10(span / most))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= span * (1 - 1e-9))


def binary_step(span: float, most: int) -> float:
    """The smallest power of two that leaves at most so many steps in a span."""
    step = 1.0
    while step * most < span:
        step *= 2
    return step


def multiples(step: float, lowest: float, highest: float) -> Iterator[float]:
    """The multiples of a step between two numbers."""
    for index in range(-floor(-lowest / step), floor(highest / step + 1e-9) + 1):
        yield index * step


def step_ticks(count: int) -> tuple[Tick, ...]:
    """Labels of the steps of an inference, counted from one, below an axis on which each takes as much room."""
    stride = max(1, round(round_step(count, 10)))
    shown = sorted({1, *range(stride, count + 1, stride)})
    return tuple(Tick(100 * (step - 0.5) / count, str(step)) for step in shown)
