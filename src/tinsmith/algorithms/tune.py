"""From plain formats to the best that the algorithms find; what the chip computes decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinsmith.algorithms.catalogue import ALGORITHMS
from tinsmith.algorithms.draft import Draft, Workshop
from tinsmith.algorithms.judge import Judge
from tinsmith.errors import QuantizationError
from tinsmith.ops.floatnode import Network

LEAST_SAMPLES = 8
"""With fewer, nobody could tell a gain from luck."""
MOST_SAMPLES = 48
"""The walk takes so many at most."""
MOST_OBSERVED = 64
"""So many are worth keeping in memory for the formats of a changed network."""
WORTHWHILE = 0.93
"""A tuned draft must leave less than this share of the plain one's noise: 0.3 dB may be luck."""
CLOSE = 1e-3
"""Where the plain draft's noise is no more than that, 30 dB below the signal, `WORTHWHILE_CLOSE` holds instead."""
WORTHWHILE_CLOSE = 0.63
"""2 dB: answers hardly change any more, and weights that were fitted to the calibration samples have something to lose
on data unlike these. Spoken digits: 1.2 dB gained on a known speaker (37 dB), 0.5 dB lost on new ones (27 dB)."""
_MEMORY = 1_000_000_000
"""Bytes of values the walk may keep alive, roughly."""

PLANS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "fast": (),
    "default": (("equalize", "round"),),
    "best": (("equalize", "round"), ("absorb_bias", "equalize", "round"), ("equalize", "search", "round")),
}
"""By effort: what is tried, each from the plain draft on. `best` then searches exponents for the best of them.
Searching before rounding is worth 2 dB on one network and costs 5 on another: the judge decides."""
LAST_RESORT = ("round",)
"""Tried where nothing before was better than the plain draft."""


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """The best draft, and how all of them did.

    Attributes:
        best: The draft.
        noise: By draft's name: squared error over squared signal at the outputs, as the chip computes them, on the
            judge's samples; the mean over outputs. Empty where nothing was tried.
    """

    best: Draft
    noise: Mapping[str, float]


def tune(plain: Draft, shop: Workshop, effort: str, *, scalable: bool = True) -> Tuned:
    """Try what the effort allows, and keep the draft with which the chip's outputs are closest to the float network's.

    One sample in four is not seen by the walk, and judges: what weights were not fitted to tells whether a gain is
    real. Ranges, of plain and of equalized networks, are those of all samples.

    Args:
        plain: Formats as calibration chose them; the weights of the float network.
        shop: What there is to work with; with fewer than `LEAST_SAMPLES` samples nothing is tuned.
        effort: A key of `PLANS`.
        scalable: Whether channels may be scaled; not where the formats follow ranges the model brings.
    """
    if not tunable(shop) or not PLANS[effort]:
        return Tuned(plain, {})
    judge = Judge(shop.network, shop.target, shop.judging)
    noise = {plain.name: judge.noise(plain.network, plain.formats, shop.bits)}
    drafts = [plain]

    def attempt(start: Draft, plan: Sequence[str]) -> None:
        # Algorithms work without the chip's rules in mind: there may be no formats for what they make.
        try:
            made = apply(start, shop, plan)
        except QuantizationError:
            return
        if made.name not in noise:
            drafts.append(made)
            noise[made.name] = judge.noise(made.network, made.formats, shop.bits)

    start = plain.separated()
    for plan in PLANS[effort] if scalable else ():
        attempt(start, plan)
    if _least(drafts, noise) is plain:
        attempt(start, LAST_RESORT)
    if effort == "best":
        found = _least(drafts[1:] or drafts, noise)
        searched = apply(found, shop, ("search",))
        if searched is not found:
            attempt(searched, ("round",))
    best = _least(drafts, noise)
    share = WORTHWHILE_CLOSE if noise[plain.name] <= CLOSE else WORTHWHILE
    return Tuned(best if noise[best.name] <= share * noise[plain.name] else plain, noise)


def apply(draft: Draft, shop: Workshop, names: Sequence[str]) -> Draft:
    """Apply algorithms one after the other, unconditionally.

    Args:
        draft: Where to begin.
        shop: What there is to work with.
        names: Keys of `tinsmith.algorithms.catalogue.ALGORITHMS`.

    Raises:
        QuantizationError: There are no formats for what an algorithm made of the network.
    """
    for name in names:
        draft = ALGORITHMS[name](draft, shop)
    return draft


def tunable(shop: Workshop) -> bool:
    """Whether there are samples enough, and an output that can be compared."""
    return len(shop.samples) >= LEAST_SAMPLES and any(o.dtype.kind == "f" for o in shop.network.outputs)


def sample_count(network: Network) -> int:
    """How many samples the walk can keep in memory, at most `MOST_SAMPLES`."""
    sizes = [int(np.prod(output.shape)) for node in network.nodes for output in node.outputs]
    return int(np.clip(_MEMORY // (6 * 4 * max([*sizes, 1])), 2, MOST_SAMPLES))


def _least(drafts: Sequence[Draft], noise: Mapping[str, float]) -> Draft:
    return min(drafts, key=lambda draft: noise[draft.name])
