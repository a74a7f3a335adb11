"""What is known about the values of a network: from data, or from the ranges that a quantized model brings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from tinsmith.calibrate.assumed import derived, from_ranges, noise, widened
from tinsmith.calibrate.guidance import Guidance, guidance
from tinsmith.calibrate.inputs import input_specs
from tinsmith.calibrate.observe import observe
from tinsmith.calibrate.per_sample import Share
from tinsmith.calibrate.sources import open_data
from tinsmith.calibrate.spread import Spread
from tinsmith.calibrate.stats import Stats
from tinsmith.errors import DataError
from tinsmith.graph.ranges import ranges_of
from tinsmith.ops.floatnode import Array, Network
from tinsmith.quant.rounding import Rounding
from tinsmith.recipe import Recipe
from tinsmith.report.labels import Labels, check_count, labels_for

Progress = Callable[[int, int | None], None]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find out.

    Attributes:
        values: Names of the values that decide exponents.
        bits: The widths they may be stored in.
        rounding: The chip's.
        histograms: Whether a method needs them.
        kept: How many samples to keep, at most.
    """

    values: Sequence[str]
    bits: Sequence[int]
    rounding: Rounding
    histograms: bool
    kept: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What was found out.

    Attributes:
        stats: Of the values.
        samples: All of them, or as many as are kept, spread evenly over the data: data are often sorted.
        labels: Their classes, where they are known.
        notes: What is worth telling about where it comes from.
        guidance: What the samples are good for; None where there are none.
    """

    stats: Stats
    samples: Sequence[Mapping[str, Array]]
    labels: Labels | None = None
    notes: tuple[str, ...] = ()
    guidance: Guidance | None = None

    @property
    def real(self) -> bool:
        """Whether there were data."""
        return self.guidance is not None

    @property
    def labels_digest(self) -> str:
        """SHA-256 (hex) of the labels; empty where there are none."""
        return "" if self.labels is None else hashlib.sha256(self.labels.astype("<i8").tobytes()).hexdigest()


def on_data(
    model: ir.Model, wanted: Wanted, data: Any, recipe: Recipe, progress: Progress, labels: Any = None
) -> Calibrated:
    """Observe the values on data.

    Args:
        model: The canonical float model.
        wanted: What to find out.
        data: See `open_data`.
        recipe: How data become samples.
        progress: Told samples done and in all.
        labels: The classes of the samples.

    Raises:
        DataError: The data are unusable; the message names the sample. Labels cannot be read, or do not fit.
    """
    known = None if labels is None else labels_for(labels, data)
    pictures = recipe.preprocessing
    source = open_data(
        data,
        input_specs(model),
        mean=pictures.mean or None,
        std=pictures.std or None,
        size=pictures.size,
        color=pictures.color,
        layout=pictures.layout,
        limit=recipe.samples,
    )
    check_count(known, source.length, recipe.samples)
    kept = Spread(source, wanted.kept)
    shares: dict[str, Sequence[Share]] = {}
    inputs = {value.name for value in model.graph.inputs}
    stats = observe(
        model,
        wanted.values,
        kept,
        rounding=wanted.rounding,
        bits=wanted.bits,
        progress=progress,
        histograms=wanted.histograms,
        limits={name: limits for name, limits in ranges_of(model).items() if name not in inputs},
        shares=shares,
    )
    check_count(known, stats.samples, recipe.samples)
    advice = guidance(stats.samples, kept.noted, shares, min(wanted.bits, default=8))
    labelled = None if known is None else known[list(kept.chosen)]
    return Calibrated(stats, kept.samples, labelled, advice.notes, advice)


def on_ranges(
    model: ir.Model, network: Network, wanted: Wanted, unmeasured: Callable[[Set[str]], Sequence[str]]
) -> Calibrated:
    """Take the ranges that the model brings; values without one are seen on noise that fills those of the inputs.

    Args:
        model: The canonical float model.
        network: Its nodes.
        wanted: What to find out.
        unmeasured: Of all values those that must be observed beside some that are known.

    Raises:
        DataError: The model brings no ranges.
    """
    ranges = ranges_of(model)
    if not ranges:
        raise DataError(
            "the model brings no ranges of its own (it is not a quantized model).",
            subject="calibration data",
            hint="Give calibration data: a few dozen samples (data=…, --data PATH).",
        )
    samples = noise(input_specs(model), ranges)
    known = derived(ranges, network)
    found = {name: known[name] for name in wanted.values if name in known}
    missing = unmeasured(found.keys())
    notes = ["no calibration data: formats follow the ranges that the model brings."]
    if missing:
        seen = observe(model, missing, samples, rounding=wanted.rounding, bits=wanted.bits)
        found |= widened(seen, network)
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        names = ", ".join(map(repr, missing[:_NAMED])) + more
        notes.append(f"the model has no range for {names}: estimated on noise. Calibration data would tell.")
    stats = from_ranges(found, network, wanted.rounding, wanted.bits, histograms=wanted.histograms)
    return Calibrated(stats, samples[: wanted.kept], notes=tuple(notes))
