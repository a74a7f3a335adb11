"""An insight in about twenty lines, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinsmith.report.insight.ranking import by_error, by_time
from tinsmith.report.insight.schema import WORDS, Action, Insight, Layer
from tinsmith.report.insight.slow_actions import saves_time
from tinsmith.units import decibels, milliseconds

_WORST = 2
_ACTIONS = 3
_LONGEST = 60
_MARGIN = 11


def verdict_lines(insight: Insight) -> list[str]:
    """The verdicts, the layers that make most of the error, what takes most of the time, and what to do next."""
    lines = []
    for finding in insight.findings:
        said = f"{WORDS[finding.state]}: {finding.headline}. {finding.detail}".strip()
        lines.append(_line(finding.question, said))
    lines += _named("error in", [_loses(layer) for layer in by_error(insight.layers)[:_WORST]])
    lines += _named("time in", [f"{_brief(layer.name)}  {_time(layer)}" for layer in by_time(insight.layers)[:_WORST]])
    for action in _shown(insight.actions):
        effect = f" ({action.effect})" if action.effect else ""
        said = f"{action.title}{effect}" if action.command else f"{action.title}: {action.why}"
        lines.append(_line("try", _briefly(said, action.layers)))
        lines += [_line("", line) for line in action.command.splitlines()]
    more = len(insight.actions) - _ACTIONS
    return [*lines, *([_line("", f"{more} more in the report")] if more > 0 else [])]


def _shown(actions: Sequence[Action]) -> list[Action]:
    """The first for accuracy, and the first for speed, whichever there are: those that are promising."""
    slow = [action for action in actions if saves_time(action)][:1]
    others = [action for action in actions if action not in slow][: _ACTIONS - len(slow)]
    return [action for action in actions if action in others or action in slow]


def _line(name: str, text: str) -> str:
    return f"{name:<{_MARGIN}}{text}".rstrip()


def _named(name: str, texts: list[str]) -> list[str]:
    """Lines of which only the first carries the name."""
    return [_line(name if index == 0 else "", text) for index, text in enumerate(texts)]


def _brief(name: str) -> str:
    """A name that does not fill lines: its ends, where it is long, and no line breaks."""
    text = name if name.isprintable() else repr(name)[1:-1]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2 - 1]}…{text[-_LONGEST // 2 :]}"


def _briefly(text: str, names: Iterable[str]) -> str:
    """A text that quotes names, with the brief ones."""
    for name in names:
        text = text.replace(repr(name), f"'{_brief(name)}'")
    return text


def _loses(layer: Layer) -> str:
    alone = "" if layer.alone is None else f", {decibels(layer.alone.snr_db)} alone"
    evidence = _briefly(layer.causes[0].evidence, (*layer.inputs, *layer.outputs))
    return f"{_brief(layer.name)}{alone}: {layer.causes[0].kind}. {evidence}"


def _time(layer: Layer) -> str:
    slow = "" if layer.slow is None else f", {layer.slow.reason}"
    return f"{milliseconds(layer.single_ms or 0.0)}{slow}"
