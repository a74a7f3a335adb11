"""Memory over the steps of an inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tinsmith.report.html.chart import (
    HEIGHT,
    WIDTH,
    Chart,
    Tick,
    binary_step,
    grid,
    line,
    multiples,
    number,
    step_ticks,
)
from tinsmith.report.insight.schema import Buffer, Insight
from tinsmith.units import size


@dataclass(frozen=True, slots=True)
class Timeline:
    """One kind of memory.

    Attributes:
        title: Which.
        peak: Bytes.
        step: Index of the step where the peak is reached.
        at_peak: What is in use there, the largest first.
        idle: Bytes below the peak that nothing uses there.
        chart: All buffers.
    """

    title: str
    peak: int
    step: int
    at_peak: tuple[Buffer, ...]
    idle: int
    chart: Chart


def timelines(insight: Insight) -> tuple[Timeline, ...]:
    """A chart for internal RAM and one for PSRAM, where anything lies in them."""
    memory = insight.memory
    kinds = (
        ("Internal RAM", True, memory.internal),
        ("PSRAM" if memory.internal else "RAM", False, memory.external),
    )
    found = []
    for title, internal, peak in kinds:
        buffers = [buffer for buffer in memory.buffers if buffer.internal is internal]
        if buffers:
            step = peak_step(buffers)
            used = alive(buffers, step)
            idle = peak - sum(buffer.size for buffer in used)
            chart = _chart(title, buffers, peak, len(insight.layers), step)
            found.append(Timeline(title, peak, step, used, idle, chart))
    return tuple(found)


def peak_step(buffers: Sequence[Buffer]) -> int:
    """The step at which buffers of one memory reach highest; of several, the one where most is in use."""

    def reach(step: int) -> tuple[int, int]:
        used = alive(buffers, step)
        return max(buffer.offset + buffer.size for buffer in used), sum(buffer.size for buffer in used)

    return max(sorted({buffer.start for buffer in buffers}), key=reach)


def alive(buffers: Sequence[Buffer], step: int) -> tuple[Buffer, ...]:
    """Buffers in use at a step, the largest first."""
    found = [buffer for buffer in buffers if buffer.start <= step <= buffer.end]
    return tuple(sorted(found, key=lambda buffer: -buffer.size))


def _chart(title: str, buffers: Sequence[Buffer], peak: int, layers: int, step: int) -> Chart:
    steps = max(1, layers, *(buffer.end + 1 for buffer in buffers))
    highest = max(1, peak, *(buffer.offset + buffer.size for buffer in buffers))
    roof = highest * 1.04
    y = tuple(Tick(100 * value / roof, size(round(value))) for value in multiples(binary_step(highest, 5), 0, highest))
    at_peak = HEIGHT * (1 - peak / roof)
    shapes = [
        grid(y),
        *(_rectangle(buffer, steps, roof, step) for buffer in buffers),
        line((0, at_peak), (WIDTH, at_peak), "peak"),
    ]
    label = f"{title} over {steps} steps: {len(buffers)} buffers, at most {size(peak)}"
    return Chart(Markup("").join(shapes), label, step_ticks(steps), y, tall=True)


def _rectangle(buffer: Buffer, steps: int, roof: float, step: int) -> Markup:
    width = WIDTH / steps
    kind = "buffer now" if buffer.start <= step <= buffer.end else "buffer"
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        kind,
        number(buffer.start * width),
        number(HEIGHT * (1 - (buffer.offset + buffer.size) / roof)),
        number((buffer.end + 1 - buffer.start) * width),
        number(HEIGHT * buffer.size / roof),
        f"{names(buffer)}: {size(buffer.size)}, steps {buffer.start + 1} to {buffer.end + 1}",
    )


def names(buffer: Buffer, shown: int = 3) -> str:
    """The values in a buffer; of many, the first ones and how many there are besides."""
    rest = len(buffer.tensors) - shown
    return ", ".join(buffer.tensors[:shown]) + (f" and {rest} more" if rest > 0 else "")
