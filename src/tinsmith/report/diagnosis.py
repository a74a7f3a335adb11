"""From what is left of a layer's noise without each possible cause to causes with evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.groups import Groups, group
from tinsmith.calibrate.candidates import fit_exponent
from tinsmith.quant.format import Format
from tinsmith.report.channels import channel_axis, largest_of, spread_bits, weights_index
from tinsmith.report.insight.schema import Cause, CauseKind
from tinsmith.report.remedies import Remedies
from tinsmith.report.tensors import Seen
from tinsmith.report.variants import FEW, FEW_WEIGHTS, GAP
from tinsmith.report.views import Views
from tinsmith.report.whatif import Mechanism, Part, Variant
from tinsmith.simulator.headroom import narrowest
from tinsmith.units import share

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

ENOUGH = 0.4
"""Share of a layer's noise that goes away with a cause."""
PART = 0.25
"""Share of a layer's noise from which a tensor is asked for causes."""
MOST_OF = 0.6
"""Share of a tensor's noise that its cause explains, where several tensors make the layer's."""
EXPLAINED = 0.75
"""Share of a layer's noise from which no more causes are named."""
ALL = 0.995
MOST = 2

_KINDS: Mapping[Mechanism, CauseKind] = {
    "channels": "channel imbalance",
    "few": "outliers",
    "clipping": "outliers",
    "own": "shared exponent",
    "unsaturated": "saturating accumulator",
    "centred": "mean shift",
}


@dataclass(frozen=True, slots=True)
class _Found:
    kind: CauseKind
    share: float
    variant: Variant


class Diagnosis:
    """Names causes.

    Args:
        quantized: The network.
        views: Of its tensors.
        remedies: What addresses causes.
        noise: What each variant of each layer leaves at the outputs.
    """

    def __init__(self, quantized: Quantized, views: Views, remedies: Remedies, noise: Mapping[Variant, float]) -> None:
        self._quantized = quantized
        self._views = views
        self._remedies = remedies
        self._noise = noise
        self._nodes = {node.name: node for node in quantized.network.nodes}
        self._groups: Groups = group(quantized.network, quantized.widths, quantized.target)

    def causes(self, layer: str) -> tuple[Cause, ...]:
        """The causes of a layer's noise, the one that explains most first."""
        if self._noise[Variant(layer)] <= 0:
            return ()
        found = sorted(self._candidates(layer), key=lambda one: -one.share)
        chosen = self._without_followers(found)[:MOST] or self._too_coarse(layer)
        return tuple(
            Cause(
                one.kind,
                self._evidence(one),
                self._remedies.action(one.kind, one.variant, one.share),
            )
            for one in chosen
        )

    def _share(self, variant: Variant) -> float:
        """What goes away of the layer's noise."""
        return 1 - self._noise[variant] / self._noise[Variant(variant.layer)]

    def _candidates(self, layer: str) -> Iterator[_Found]:
        for variant in self._noise:
            if variant.layer != layer or variant.mechanism in ("none", "exact"):
                continue
            gone = self._share(variant)
            if not self._counts(variant, gone):
                continue
            if variant.mechanism == "own" and not self._tied(variant.tensor):
                if self._idle(variant) >= GAP:
                    yield _Found("outliers", gone, variant)
            elif variant.mechanism == "centred":
                seen = self._seen(layer)
                if seen is not None and seen.shifted >= ENOUGH:
                    yield _Found("mean shift", gone, variant)
            else:
                yield _Found(_KINDS[variant.mechanism], gone, variant)

    def _counts(self, variant: Variant, gone: float) -> bool:
        """Whether a cause explains enough: of all the noise, or most of a tensor's that makes much of it."""
        exact = Variant(variant.layer, variant.part, "exact", variant.tensor)
        if exact not in self._noise:
            return gone >= ENOUGH
        whole = self._share(exact)
        return whole >= PART and gone >= min(ENOUGH, MOST_OF * whole)

    def _without_followers(self, found: list[_Found]) -> list[_Found]:
        """Without what follows from another: one tensor has one cause, and what is off anyway is off in the mean."""
        kept: list[_Found] = []
        for one in sorted(found, key=_rank):
            where = {(other.variant.part, other.variant.tensor) for other in kept}
            follows = one.kind == "mean shift" or one.variant.part == "all"
            explained = sum(other.share for other in kept) >= EXPLAINED
            if (follows and kept) or explained or (one.variant.part, one.variant.tensor) in where:
                continue
            kept.append(one)
        return kept

    def _too_coarse(self, layer: str) -> list[_Found]:
        """The part whose rounding makes most of the noise."""
        if self._quantized.placement[layer].bits != 8:
            return []
        parts = [v for v in self._noise if v.layer == layer and v.mechanism == "exact"]
        worst = max(parts, key=self._share)
        return [_Found("too coarse", max(self._share(worst), 0.0), worst)]

    def _evidence(self, one: _Found) -> str:
        if one.kind == "too coarse" and one.share < PART:
            return "Its roundings add up: none of them alone makes much of its noise."
        gone = "all" if one.share >= ALL else share(one.share)
        return f"{self._numbers(one)} {_WITHOUT[one.variant.mechanism]}, {gone} of the layer's noise would go."

    def _numbers(self, one: _Found) -> str:
        variant = one.variant
        if variant.mechanism == "unsaturated":
            bits = narrowest(self._quantized.target, self._quantized.placement[variant.layer].bits)
            return f"Sums of products saturate the {bits}-bit accumulator."
        if variant.mechanism == "centred":
            return self._shift(variant.layer)
        if variant.part == "weights":
            return self._weights(variant)
        seen, chosen = self._views.seen(variant.tensor), self._format(variant)
        if seen is None or chosen is None:
            return _ROUNDED[variant.part]
        return self._value(variant, seen, chosen)

    def _shift(self, layer: str) -> str:
        seen = self._seen(layer)
        assert seen is not None
        worst = int(np.argmax(np.abs(seen.shift)))
        return (
            f"{share(seen.shifted)} of the noise at its output is a constant shift of each channel, "
            f"{seen.shift[worst]:+.3g} in channel {worst}."
        )

    def _weights(self, variant: Variant) -> str:
        node = self._nodes[variant.layer]
        index = weights_index(node, self._quantized)
        assert index is not None
        weights = node.const(index)
        assert weights is not None
        if variant.mechanism == "few":
            heavy = np.abs(weights)
            few, below = f"{share(FEW_WEIGHTS)} of the weights {variant.tensor!r}", np.quantile(heavy, 1 - FEW_WEIGHTS)
            return f"Less than {few} reach up to {heavy.max():.3g}, all others stay below {below:.3g}."
        largest = largest_of(weights, channel_axis(node, self._quantized, index))
        if variant.mechanism == "channels":
            return _unlike(f"the weights {variant.tensor!r}", largest, self._quantized.placement[node.name].bits)
        return f"The weights {variant.tensor!r} are rounded to 8 bits, and fill them."

    def _value(self, variant: Variant, seen: Seen, chosen: Format) -> str:
        name, limit = repr(variant.tensor), chosen.largest
        reach = _reach(seen)
        if variant.mechanism == "channels":
            return _unlike(name, seen.largest, chosen.bits)
        if variant.mechanism == "few":
            few, below = f"{share(FEW)} of the elements of {name}", seen.reach(FEW)
            return f"Less than {few} reach up to {reach:.3g}, all others stay below {below:.3g}."
        if variant.mechanism == "clipping":
            few = f"{100 * seen.clipped:.2g} % of the elements of {name}"
            return f"{few} lie beyond {limit:.3g}, where its format ends, and reach up to {reach:.3g}."
        if variant.mechanism == "own":
            return self._shared(variant.tensor, chosen)
        step = 2.0**chosen.exponent
        fills = "fills its format, which ends at" if reach > limit / 2 else "is in a format that ends at"
        return f"{name} reaches {reach:.3g} and {fills} {limit:.3g}; its steps are {step:.3g}."

    def _shared(self, value: str, chosen: Format) -> str:
        """Of what a value is made of the one that its exponent suits least."""
        parts = {name: seen for name in self._views.sources(value) if (seen := self._views.seen(name)) is not None}
        own = {name: fit_exponent(seen.lowest, seen.highest, chosen.bits) for name, seen in parts.items()}
        name = min(own, key=lambda name: own[name])
        tied = self._tied_to(name)
        why = "which is what the calibration samples asked for"
        if tied:
            seen = self._views.seen(tied)
            why = f"the exponent of {tied!r}" + ("" if seen is None else f", which reaches {_reach(seen):.3g}")
        inside = f" in {value!r}" if name != value else ""
        return (
            f"{name!r} reaches {_reach(parts[name]):.3g} and could have steps of 2^{own[name]}; "
            f"it has 2^{chosen.exponent}{inside}, {why}."
        )

    def _format(self, variant: Variant) -> Format | None:
        formats = self._quantized.formats
        if variant.part != "input" or variant.mechanism == "clipping":
            return formats.values.get(variant.tensor)
        node = self._nodes[variant.layer]
        for index, operand in enumerate(node.inputs):
            if operand is not None and operand.name == variant.tensor:
                return formats.at(node.name, index, operand.name)
        return formats.values.get(variant.tensor)

    def _tied(self, value: str) -> bool:
        return any(self._tied_to(name) for name in self._views.sources(value))

    def _idle(self, variant: Variant) -> int:
        """How many bits finer the exponent could be."""
        seen, chosen = self._views.seen(variant.tensor), self._format(variant)
        if seen is None or chosen is None:
            return 0
        return chosen.exponent - fit_exponent(seen.lowest, seen.highest, chosen.bits)

    def _tied_to(self, value: str) -> str:
        """Of the values that share a value's exponent the one that reaches farthest; empty where it is alone."""
        index = self._groups.of.get(value)
        others = [] if index is None else [name for name in self._groups.measured[index] if name != value]
        seen = {name: found for name in others if (found := self._views.seen(name)) is not None}
        return max(seen, key=lambda name: float(seen[name].largest.max()), default=others[0] if others else "")

    def _seen(self, layer: str) -> Seen | None:
        """Of the layer's own output, its activation included."""
        node = self._nodes[layer]
        for name in self._outputs(layer):
            if (found := self._views.seen(name)) is not None:
                return found
        return self._views.seen(node.outputs[0].name)

    def _outputs(self, layer: str) -> list[str]:
        return [v.tensor for v in self._noise if v.layer == layer and v.part == "output" and v.mechanism == "exact"]


_FIRST: Mapping[Mechanism, float] = {"own": 0.3, "channels": 0.1}
"""What counts for more than the noise that goes away. An exponent for each channel is never coarser than one of its own
for the tensor, which is simpler; and few elements in one channel are a channel unlike the others."""


def _rank(one: _Found) -> tuple[bool, bool, float]:
    """What comes first."""
    return one.kind == "mean shift", one.variant.part == "all", -one.share - _FIRST.get(one.variant.mechanism, 0)


_WITHOUT: Mapping[Mechanism, str] = {
    "exact": "Were this not rounded",
    "channels": "With an exponent for each channel",
    "few": "Without these",
    "clipping": "Were they not cut off",
    "own": "With an exponent of its own",
    "unsaturated": "In a wider one",
    "centred": "With biases that take it away",
}
_ROUNDED: Mapping[Part, str] = {
    "input": "What it reads is rounded to 8 bits.",
    "output": "What it computes is rounded to 8 bits.",
    "inside": "Its own arithmetic rounds.",
}


def _unlike(name: str, largest: NDArray[np.float64], bits: int) -> str:
    present = np.where(largest > 0, largest, np.nan)
    worst = int(np.nanargmax(present))
    return (
        f"Channel {worst} of {name} reaches {largest[worst]:.3g}, the median channel {np.nanmedian(present):.3g}: "
        f"{spread_bits(largest):.1f} bits of {bits}."
    )


def _reach(seen: Seen) -> float:
    return max(seen.highest, -seen.lowest)
