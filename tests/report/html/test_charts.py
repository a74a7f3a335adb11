from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.report.html import example as insights
from tinsmith.report.html.bars import SlowGroup, slow_groups, slowest
from tinsmith.report.html.channels import channels_chart, largest_channel
from tinsmith.report.html.chart import (
    HEIGHT,
    WIDTH,
    Chart,
    binary_step,
    columns,
    multiples,
    number,
    round_step,
    step_ticks,
)
from tinsmith.report.html.descent import descent_chart
from tinsmith.report.html.histogram import histogram_chart
from tinsmith.report.html.rows import rows
from tinsmith.report.html.timeline import alive, names, peak_step, timelines
from tinsmith.report.insight.schema import Buffer, Channels, Histogram, Insight, Memory, Slow

PLAIN = Histogram("value", 8, -5, -4.0, 3.96875, -1.0, 5.0, 0.1, -0.3, -2.0, 2.0, (1, 9, 99, 5))


def shape(chart: Chart, kind: str) -> str:
    found = re.findall(rf'<path class="{kind}" d="([^"]*)"', chart.shapes)
    return found[0] if found else ""


def finite(chart: Chart) -> bool:
    return not re.search(r"nan|inf", re.sub(r"<title>.*?</title>", "", chart.shapes)) and all(
        -0.1 <= tick.at <= 100.1 for tick in (*chart.x, *chart.y)
    )


def test_clipped_bins_stand_apart() -> None:
    chart = histogram_chart(PLAIN)
    assert chart is not None
    # From −4 to 6: bins begin at 200, 400, 600 and 800; the middle of the last one, 5, is beyond 3.97.
    assert shape(chart, "bars").startswith("M200 200")
    assert shape(chart, "bars").endswith(f"H800V{HEIGHT}")
    assert shape(chart, "clipped").startswith("M800 200")
    assert '<rect class="range" x="0" width="796.9"' in chart.shapes


def test_nothing_clipped_is_nothing_drawn() -> None:
    chart = histogram_chart(replace(PLAIN, counts=(1, 9, 99, 0)))
    assert chart is not None
    assert shape(chart, "clipped") == ""


@pytest.mark.parametrize(
    "histogram",
    [
        replace(PLAIN, counts=()),
        replace(PLAIN, counts=(0, 0)),
        replace(PLAIN, start=float("nan")),
        replace(PLAIN, width=float("inf")),
        replace(PLAIN, lowest=0.0, highest=0.0, start=0.0, width=0.0),
    ],
)
def test_histograms_of_nothing_are_not_drawn(histogram: Histogram) -> None:
    assert histogram_chart(histogram) is None


@example(0.0, 0.0, 0.0, 1.7976931348623157e308, [1])
@given(
    st.floats(), st.floats(min_value=0), st.floats(max_value=0), st.floats(min_value=0),
    st.lists(st.integers(0, 2**60), max_size=64),
)  # fmt: skip
def test_histograms_are_finite(start: float, width: float, lowest: float, highest: float, counts: list[int]) -> None:
    histogram = replace(PLAIN, start=start, width=width, lowest=lowest, highest=highest, counts=tuple(counts))
    chart = histogram_chart(histogram)
    assert chart is None or finite(chart)


def test_channels_fall_by_bits() -> None:
    chart = channels_chart(Channels("weight", (-7,), (1.0, 0.5, 0.0, 0.25), 1.0))
    assert chart is not None
    # Four bits deep: a quarter of the height is lost with each bit; the channel of zeros is not drawn.
    assert shape(chart, "bars") == "M0 200V0H212V200H250V50H462V200H750V100H962V200"
    assert [tick.text for tick in chart.y] == ["largest", "−1 bits", "−2 bits", "−3 bits"]


def test_many_channels_share_columns() -> None:
    chart = channels_chart(Channels("weight", (-7,), tuple(1 + index % 2 for index in range(1280)), 0.0))
    assert chart is not None
    assert shape(chart, "bars").count("H") < 2 * 129
    assert shape(chart, "pale") != ""


def test_channels_of_zeros_are_not_drawn() -> None:
    assert channels_chart(Channels("weight", (-7,), (0.0, 0.0), 0.0)) is None
    assert channels_chart(Channels("weight", (), (), 0.0)) is None


@given(st.lists(st.floats(), max_size=300))
def test_channels_are_finite(largest: list[float]) -> None:
    chart = channels_chart(Channels("weight", (-7,), tuple(largest), 0.0))
    assert chart is None or finite(chart)


def test_the_largest_channel() -> None:
    assert largest_channel(Channels("weight", (), (1.0, 3.0, 2.0), 0.0)) == 1
    assert largest_channel(Channels("weight", (), (), 0.0)) == 0


BUFFERS = (
    Buffer(("a",), 0, 1, 0, 100, False),
    Buffer(("b", "c"), 1, 2, 300, 50, False),
    Buffer(("d",), 2, 3, 0, 200, False),
)


def test_the_peak_counts_holes() -> None:
    # Steps 1 and 2 both reach 350; more is in use at step 2.
    assert peak_step(BUFFERS) == 2
    assert alive(BUFFERS, 2) == (BUFFERS[2], BUFFERS[1])


def test_each_memory_has_a_peak_of_its_own() -> None:
    inside = Buffer(("x",), 3, 3, 0, 10, True)
    memory = Memory(0, 0, 360, 10, 350, (100, 150, 250, 210), (*BUFFERS, inside))
    first, second = timelines(replace(insights.mobilenet(), memory=memory))
    assert (first.title, first.peak, first.step, first.at_peak, first.idle) == ("Internal RAM", 10, 3, (inside,), 0)
    assert (second.title, second.peak, second.step, second.idle) == ("PSRAM", 350, 2, 100)


def test_buffers_are_drawn_where_they_lie() -> None:
    insight = replace(
        insights.mobilenet(),
        layers=insights.mobilenet().layers[:4],
        memory=Memory(0, 0, 350, 0, 350, (100, 150, 250, 200), BUFFERS),
    )
    (timeline,) = timelines(insight)
    assert timeline.peak == 350
    found = re.findall(r'<rect class="([a-z ]*)" x="(\d+)" y="[\d.]+" width="(\d+)"', timeline.chart.shapes)
    assert found == [("buffer", "0", "500"), ("buffer now", "250", "500"), ("buffer now", "500", "500")]
    assert "<title>b, c: 50 bytes, steps 2 to 3</title>" in timeline.chart.shapes


def test_buffers_of_many_values_name_some() -> None:
    assert names(Buffer(tuple("abcde"), 0, 1, 0, 1, False)) == "a, b, c and 2 more"


def test_descent_needs_data() -> None:
    assert descent_chart(insights.bare().layers) is None
    assert descent_chart(()) is None
    chart = descent_chart(insights.mobilenet().layers)
    assert chart is not None
    assert finite(chart)
    assert chart.shapes.count('class="dot marked"') == 3


def test_descent_below_zero() -> None:
    layers = tuple(replace(layer, accumulated=insights.noise(4.0)) for layer in insights.mobilenet().layers)
    chart = descent_chart(layers)
    assert chart is not None
    assert finite(chart)


def test_coordinates() -> None:
    assert [number(value) for value in (0.0, -0.01, 12.0, 1 / 3, -2.55)] == ["0", "0", "12", "0.3", "-2.5"]
    with pytest.raises(ValueError, match="inf"):
        number(float("inf"))


def test_columns_skip_what_is_empty() -> None:
    assert columns([(0, 10, 0), (10, 20, 50), (20, 30, 50), (40, 50, 200)]) == (
        "M10 200V150H20V200V150H30V200H40V0H50V200"
    )
    assert columns([(0, WIDTH, 0)]) == ""


@given(st.floats(1e-9, 1e9), st.integers(2, 12))
def test_steps_are_few_and_round(span: float, most: int) -> None:
    step = round_step(span, most)
    assert span / most <= step * (1 + 1e-6) <= span / most * 5.1
    assert f"{step:e}"[0] in "125"


@given(st.integers(1, 2**40), st.integers(2, 8))
def test_binary_steps(span: int, most: int) -> None:
    step = binary_step(span, most)
    assert span <= step * most
    assert step == 1 or step * most < 2 * span + most * 2


def test_multiples() -> None:
    assert list(multiples(0.5, -1.2, 1.0)) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert list(multiples(10, 3, 9)) == []


def slow(insight: Insight, **gains: float) -> tuple[SlowGroup, ...]:
    """The groups where the first layers are slow: the letter is the remedy."""
    hints = [Slow("reason", name[0], gain) for name, gain in gains.items()]
    layers = [replace(layer, slow=hint) for layer, hint in zip(insight.layers, hints, strict=False)]
    return slow_groups(rows(replace(insight, layers=tuple(layers))))


def test_slow_layers_stand_together_by_remedy() -> None:
    found = slow(insights.mobilenet(), a1=1.0, b1=2.5, a2=2.0, b2=0.2)
    assert [(group.remedy, group.gain_ms, [row.step for row in group.rows]) for group in found] == [
        ("a", 3.0, [2, 0]),
        ("b", 2.7, [1, 3]),
    ]


def test_the_slowest_layers() -> None:
    table = rows(insights.mobilenet())
    bars = slowest(table, shown=5)
    times = sorted((layer.single_ms or 0.0 for layer in insights.mobilenet().layers), reverse=True)
    assert [bar.row.layer.single_ms for bar in bars] == times[:5]
    assert bars[0].single == 100.0
    assert slowest(rows(insights.bare())) == ()


def test_rows_know_their_neighbours() -> None:
    table = rows(insights.mobilenet())
    first, last = table[0], table[-1]
    assert [(link.value, link.step) for link in first.reads] == [("input", None)]
    assert [link.step for link in first.read_by] == [1]
    assert [link.step for link in last.read_by] == [None]
    (residual,) = [row for row in table if row.layer.name == "/features/features.3/residual/Add"]
    assert [link.name for link in residual.branches] == ["/features/features.2/project/Conv"]
    assert sum(row.share or 0.0 for row in table) == pytest.approx(1.0)
    assert max(row.bar or 0.0 for row in table) == 100.0


def test_steps_are_counted_from_one() -> None:
    assert [tick.text for tick in step_ticks(65)] == ["1", "10", "20", "30", "40", "50", "60"]
    assert [(tick.at, tick.text) for tick in step_ticks(4)] == [(12.5, "1"), (37.5, "2"), (62.5, "3"), (87.5, "4")]
    assert [tick.text for tick in step_ticks(1)] == ["1"]
