"""The report as a page: one file of HTML with its style, its script and its drawings inside."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tinsmith import units
from tinsmith.report.html import text
from tinsmith.report.html.bars import slow_groups, slowest
from tinsmith.report.html.channels import channels_chart, largest_channel
from tinsmith.report.html.descent import descent_chart
from tinsmith.report.html.histogram import histogram_chart
from tinsmith.report.html.rows import Row, rows, rows_of
from tinsmith.report.html.timeline import names, timelines
from tinsmith.report.insight.ranking import by_error
from tinsmith.report.insight.schema import WORDS, Insight

_PACKAGE = "tinsmith.report.html"
_WORST_SHOWN = 10


def page(insight: Insight) -> str:
    """Draws an insight.

    Args:
        insight: What is known of a model; whatever of it is missing, the page says so in its place.

    Returns:
        HTML that needs nothing else, to be written in UTF-8.
    """
    table = rows(insight)
    return text.clean(
        _environment()
        .get_template("page.html")
        .render(
            insight=insight,
            rows=table,
            step_of={row.layer.name: row.step for row in table},
            bars=slowest(table),
            slow=slow_groups(table),
            worst=_worst(table),
            descent=descent_chart(insight.layers),
            timelines=timelines(insight),
            words=WORDS,
            style=_asset("page.css"),
            script=_asset("page.js"),
        )
    )


def _worst(table: tuple[Row, ...]) -> list[Row]:
    """Layers with a cause, the one with the largest error alone first."""
    return rows_of(by_error(row.layer for row in table)[:_WORST_SHOWN], table)


def _asset(name: str) -> Markup:
    """A file of the package that goes into the page as it is."""
    return Markup(files(_PACKAGE).joinpath("templates", name).read_text("utf-8"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=units.size,
        ms=text.milliseconds,
        quantity=text.count,
        percent=text.percent,
        db=units.decibels,
        key=text.key,
        real=text.real,
        bits=text.bits,
        sentence=text.sentence,
        cosine=text.cosine,
        exponent=text.exponent,
        breakable=text.breakable,
        histogram_chart=histogram_chart,
        channels_chart=channels_chart,
        largest_channel=largest_channel,
        names=names,
    )
    environment.globals.update(nothing=text.NOTHING)
    return environment
