"""Exponents searched by what the chip's outputs make of them.

Each exponent of values is chosen from the values alone, and where several are nearly as good, the network decides: what
saturates here may matter less than a coarser step, and errors of one place meet those of another. The search moves the
exponent of one group of values after the other by one, up and down, runs the whole network as the chip would, with the
chip's rules met again by all that follows, and keeps what makes the outputs' noise smaller.
"""

from __future__ import annotations

from dataclasses import replace

from tinsmith.algorithms.draft import Draft, Workshop
from tinsmith.algorithms.groups import group
from tinsmith.algorithms.judge import Judge
from tinsmith.errors import QuantizationError

TRIALS = 240
"""Runs of the network, at most: larger networks are searched in part."""
SAMPLES = 24
WORTHWHILE = 0.995
"""A step must leave less than this share of the noise: what is less may be chance."""


def search(draft: Draft, shop: Workshop) -> Draft:
    """Move exponents of values while the chip's outputs come closer to the float network's.

    Returns:
        The draft with the steps that helped, and its formats.
    """
    judge = Judge(shop.network, shop.target, shop.learned[:SAMPLES])
    groups = group(draft.network, shop.bits, shop.target)
    places = [names[0] for index, names in groups.measured.items() if names and index not in groups.pinned]
    least = judge.noise(draft.network, draft.formats, shop.bits)
    found = draft
    tried = 0
    for place in places:
        for step in (-1, 1):
            if tried >= TRIALS:
                break
            shop.progress("search exponents", tried, min(TRIALS, 2 * len(places)))
            tried += 1
            changed = _moved(found, shop, place, step)
            noise = float("inf") if changed is None else judge.noise(changed.network, changed.formats, shop.bits)
            if changed is not None and noise < WORTHWHILE * least:
                found, least = changed, noise
                break
    return found if found is draft else draft.then("exponents searched", formats=found.formats, steps=found.steps)


def _moved(draft: Draft, shop: Workshop, place: str, step: int) -> Draft | None:
    """The draft with one exponent moved; None where the chip's rules undo that or have no answer."""
    steps = {**draft.steps, place: draft.steps.get(place, 0) + step}
    try:
        formats = shop.choose(draft.network, shop.bits, draft.stats, steps)
    except QuantizationError:
        return None
    if formats.values[place] == draft.formats.values[place]:
        return None
    return replace(draft, formats=formats, steps=steps)
