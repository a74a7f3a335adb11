"""The algorithms that change weights, biases and exponents, by the names recipes use: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from tinsmith.algorithms.absorb_bias import absorb
from tinsmith.algorithms.bias_correction import correct_bias
from tinsmith.algorithms.classic_equalization import classic_equalize
from tinsmith.algorithms.draft import Draft, Workshop
from tinsmith.algorithms.equalize import equalize
from tinsmith.algorithms.rounding import round_weights
from tinsmith.algorithms.scale_search import search
from tinsmith.algorithms.walk import Adjusted, Adjustment, Visit, walk
from tinsmith.ops.floatnode import Network

Algorithm = Callable[[Draft, Workshop], Draft]
"""Makes another draft of one."""


def _equalized(draft: Draft, shop: Workshop) -> Draft:
    shop.progress("equalize", 0, None)
    model = shop.model_of(draft.network)
    changed = equalize(model, draft.network, shop.bits, shop.target, shop.samples, shop.kept).network
    return shop.reformatted(draft, "equalized", changed)


def _classically_equalized(draft: Draft, shop: Workshop) -> Draft:
    shop.progress("equalize", 0, None)
    model = shop.model_of(draft.network)
    changed = classic_equalize(model, draft.network, shop.samples, shop.classic, shop.kept).network
    return shop.reformatted(draft, "classically equalized", changed)


def _absorbed(draft: Draft, shop: Workshop) -> Draft:
    shop.progress("absorb biases", 0, None)
    changed = absorb(shop.model_of(draft.network), draft.network, shop.samples, shop.kept).network
    return shop.reformatted(draft, "biases absorbed", changed)


def _rounded(draft: Draft, shop: Workshop) -> Draft:
    found = _walked(draft, draft.unrounded, shop, "round weights", round_weights)
    return found.then("rounded for the data", fitted="round")


def _corrected(draft: Draft, shop: Workshop) -> Draft:
    found = _walked(draft, draft.network, shop, "correct biases", correct_bias)
    return found.then("biases corrected", fitted=draft.fitted or "correct_bias")


def _walked(draft: Draft, network: Network, shop: Workshop, stage: str, adjust: Adjustment) -> Draft:
    def unless_kept(visit: Visit) -> Adjusted:
        return Adjusted(visit.node, visit.format) if visit.node.name in shop.kept else adjust(visit)

    found = walk(
        network,
        draft.formats,
        shop.bits,
        shop.target,
        shop.learned[: shop.walked],
        unless_kept,
        lambda done, total: shop.progress(stage, done, total),
    )
    return replace(draft, network=found.network, formats=found.formats)


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "equalize": _equalized,
        "classic_equalize": _classically_equalized,
        "absorb_bias": _absorbed,
        "round": _rounded,
        "correct_bias": _corrected,
        "search": search,
    }
)
"""`tinsmith.recipe.Recipe.algorithms` applies them in the order given."""
