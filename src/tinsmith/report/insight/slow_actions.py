"""What to do about layers that are slow for a reason."""

from __future__ import annotations

from collections.abc import Sequence

from tinsmith.estimate.slow import IN_PARTS
from tinsmith.report.commands import PLACES, Places, again
from tinsmith.report.insight.schema import Action, Layer, Speed
from tinsmith.units import milliseconds, share

WORTH = 0.02
"""Share of the time that a remedy must save to be proposed."""
LEAST_MS = 0.1
"""And this time at least."""
MOST = 3
_OF_TIME = "of the time on one core, estimated"


def slow_actions(layers: Sequence[Layer], speed: Speed | None, places: Places | None = None) -> tuple[Action, ...]:
    """One action for each remedy, the one that saves most first.

    Args:
        layers: The steps of a program.
        speed: Its time; None where there is no estimate, and so nothing to propose.
        places: What the command that splits layers calls the files; None where it would do nothing, or has been used.
    """
    if speed is None:
        return ()
    remedies: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.slow is not None:
            remedies.setdefault(layer.slow.remedy, []).append(layer)
    gains = {remedy: sum(_gain(layer) for layer in slow) for remedy, slow in remedies.items()}
    worth = [remedy for remedy in gains if gains[remedy] >= max(WORTH * speed.single_ms, LEAST_MS)]
    split = [remedy for remedy in worth if places is not None and IN_PARTS in remedy]
    return tuple(
        Action(
            title=f"Save about {milliseconds(gains[remedy])} of {milliseconds(speed.single_ms)}"
            + (" by splitting layers" if remedy in split else ""),
            why=f"{_which(remedies[remedy])}: {_reason(remedies[remedy][0])} {remedy}",
            command=again(["--fit-cache"], places or PLACES) if remedy in split else "",
            effect=f"{share(gains[remedy] / speed.single_ms)} {_OF_TIME}",
            layers=tuple(layer.name for layer in remedies[remedy]),
        )
        for remedy in sorted(worth, key=lambda remedy: -gains[remedy])[:MOST]
    )


def saves_time(action: Action) -> bool:
    """Whether an action is one of `slow_actions`."""
    return action.effect.endswith(_OF_TIME)


def _gain(layer: Layer) -> float:
    return 0.0 if layer.slow is None else layer.slow.gain_ms


def _reason(layer: Layer) -> str:
    return "" if layer.slow is None else layer.slow.reason


def _which(layers: Sequence[Layer]) -> str:
    return repr(layers[0].name) if len(layers) == 1 else f"{len(layers)} layers, the first {layers[0].name!r}"
