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
from tinsmith.report.insight.schema import Buffer, Insight, Memory
from tinsmith.report.units import size


@dataclass(frozen=True, slots=True)
class Timeline:
    """One kind of memory.

    Attributes:
        title: Which.
        peak: Bytes.
        chart: Its buffers.
    """

    title: str
    peak: int
    chart: Chart


def peak_step(memory: Memory) -> int | None:
    """The step at which most memory is taken, counting the holes between buffers; None without buffers."""
    steps = sorted({buffer.start for buffer in memory.buffers})
    live = dict(enumerate(memory.live))
    return max(steps, key=lambda step: (_top(memory.buffers, step), live.get(step, 0)), default=None)


def _top(buffers: Sequence[Buffer], step: int) -> int:
    tops = {True: 0, False: 0}
    for buffer in alive(buffers, step):
        tops[buffer.internal] = max(tops[buffer.internal], buffer.offset + buffer.size)
    return sum(tops.values())


def alive(buffers: Sequence[Buffer], step: int | None) -> list[Buffer]:
    """Buffers in use at a step, the largest first."""
    found = [buffer for buffer in buffers if step is not None and buffer.start <= step <= buffer.end]
    return sorted(found, key=lambda buffer: -buffer.size)


def timelines(insight: Insight) -> tuple[Timeline, ...]:
    """A chart for internal RAM and one for PSRAM, where anything lies in them."""
    memory, step = insight.memory, peak_step(insight.memory)
    split = memory.internal > 0
    kinds = (("Internal RAM", True, memory.internal), ("PSRAM" if split else "RAM", False, memory.external))
    found = []
    for title, internal, peak in kinds:
        buffers = [buffer for buffer in memory.buffers if buffer.internal is internal]
        if buffers:
            chart = _chart(title, buffers, peak, insight, step)
            found.append(Timeline(title, peak, chart))
    return tuple(found)


def _chart(title: str, buffers: Sequence[Buffer], peak: int, insight: Insight, step: int | None) -> Chart:
    steps = max(1, len(insight.layers), *(buffer.end + 1 for buffer in buffers))
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


def _rectangle(buffer: Buffer, steps: int, roof: float, step: int | None) -> Markup:
    width = WIDTH / steps
    kind = "buffer now" if step is not None and buffer.start <= step <= buffer.end else "buffer"
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
