"""What to do about layers that are slow for a reason."""

from __future__ import annotations

from collections.abc import Sequence

from tinsmith.report.commands import Places, again
from tinsmith.report.insight.ranking import by_remedy
from tinsmith.report.insight.schema import Action, Layer, Speed
from tinsmith.units import milliseconds, share

WORTH = 0.02
"""Share of the time that a remedy must save to be proposed."""
LEAST_MS = 0.1
"""And this time at least."""
MOST = 3


def slow_actions(layers: Sequence[Layer], speed: Speed | None, places: Places | None = None) -> tuple[Action, ...]:
    """One action for each remedy, the one that saves most first.

    Args:
        layers: The steps of a program.
        speed: Its time; None where there is no estimate, and so nothing to propose.
        places: What the command that splits layers calls the files; None where it would do nothing, or has been used.
    """
    if speed is None:
        return ()
    least = max(WORTH * speed.single_ms, LEAST_MS)
    worth = [found for found in by_remedy(layers) if found[1] >= least][:MOST]
    return tuple(_action(remedy, gain, slow, speed, places) for remedy, gain, slow in worth)


def _action(remedy: str, gain: float, slow: Sequence[Layer], speed: Speed, places: Places | None) -> Action:
    split = places is not None and all(layer.slow is not None and layer.slow.in_parts for layer in slow)
    return Action(
        title=f"Save about {milliseconds(gain)} of {milliseconds(speed.single_ms)}"
        + (" by splitting layers" if split else ""),
        why=f"{_which(slow)}: {_reason(slow[0])} {remedy}",
        command=again(["--fit-cache"], places) if split and places is not None else "",
        effect=f"{share(gain / speed.single_ms)} of the time on one core, estimated",
        layers=tuple(layer.name for layer in slow),
        question="speed",
    )


def saves_time(action: Action) -> bool:
    """Whether an action is one of `slow_actions`."""
    return action.question == "speed"


def _reason(layer: Layer) -> str:
    return "" if layer.slow is None else layer.slow.reason


def _which(layers: Sequence[Layer]) -> str:
    return repr(layers[0].name) if len(layers) == 1 else f"{len(layers)} layers, the first {layers[0].name!r}"
