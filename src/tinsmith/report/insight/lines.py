"""An insight in about twenty lines, for the terminal."""

from __future__ import annotations

from tinsmith.report.insight.schema import Insight, Layer, State
from tinsmith.units import decibels, milliseconds

WORDS: dict[State, str] = {"good": "good", "warning": "take care", "bad": "problem", "unknown": "not known"}
"""What a state is called; the page says the same."""

_WORST = 3
_MARGIN = 11


def verdict_lines(insight: Insight) -> list[str]:
    """The verdicts, the layers that make most of the error, what takes most of the time, and what to do next."""
    lines = []
    for finding in insight.findings:
        said = f"{WORDS[finding.state]}: {finding.headline}. {finding.detail}".strip()
        lines.append(_line(finding.question, said))
    lines += _named("error in", [_loses(layer) for layer in _worst(insight)])
    lines += _named("time in", [f"{layer.name}  {_time(layer)}" for layer in _slowest(insight)])
    for action in insight.actions:
        effect = f" ({action.effect})" if action.effect else ""
        lines.append(_line("try", f"{action.title}{effect}: {action.why}"))
        lines += [_line("", line) for line in action.command.splitlines()]
    return lines


def _line(name: str, text: str) -> str:
    return f"{name:<{_MARGIN}}{text}".rstrip()


def _named(name: str, texts: list[str]) -> list[str]:
    """Lines of which only the first carries the name."""
    return [_line(name if index == 0 else "", text) for index, text in enumerate(texts)]


def _worst(insight: Insight) -> list[Layer]:
    """The layers that have a cause, those first that do most to the outputs."""
    found = [layer for layer in insight.layers if layer.causes]
    return sorted(found, key=lambda layer: -(0.0 if layer.alone is None else layer.alone.ratio))[:_WORST]


def _loses(layer: Layer) -> str:
    alone = "" if layer.alone is None else f", {decibels(layer.alone.snr_db)} alone"
    return f"{layer.name}{alone}: {layer.causes[0].kind}. {layer.causes[0].evidence}"


def _slowest(insight: Insight) -> list[Layer]:
    timed = [layer for layer in insight.layers if layer.single_ms is not None]
    return sorted(timed, key=lambda layer: -(layer.single_ms or 0.0))[:_WORST]


def _time(layer: Layer) -> str:
    slow = "" if layer.slow is None else f", {layer.slow.reason}"
    return f"{milliseconds(layer.single_ms or 0.0)}{slow}"
