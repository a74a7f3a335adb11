"""`quantize`: the only place that knows the order of the stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.errors import DataError, ProgramError, QuantizationError, UnsupportedError
from tinsmith.program import Array, Program
from tinsmith.quantized import Quantized
from tinsmith.recipe import Recipe
from tinsmith.targets import Target, caveat, find

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.calibrate.sources import DataSource
    from tinsmith.calibrate.stats import Stats
    from tinsmith.lower.lowerer import Lowered
    from tinsmith.ops.floatnode import Network
    from tinsmith.placement import Decision
    from tinsmith.quant.format import Formats

Progress = Callable[[str, int, int | None], None]
"""Called with the stage's name, how far it is, and how far it goes (None: unknown)."""

CHECKED_SAMPLES = 4
"""Calibration samples on which accumulators that saturate are watched."""
SEMANTICS_VERSION = "1"


def quantize(
    model: Any,
    data: Any = None,
    target: str | Target | None = None,
    *,
    esp_dl: str | None = None,
    bits: int | None = None,
    int16: Sequence[str] | None = None,
    calibration: str | None = None,
    effort: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | str | None = None,
    samples: int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    size: int | Sequence[int] | None = None,
    color: str | None = None,
    layout: str | None = None,
    recipe: Recipe | str | Path | None = None,
    progress: Progress | None = None,
) -> Quantized:
    """Quantize a trained float model for a chip.

    Args:
        model: A path to an ONNX file, an `onnx.ModelProto` or an onnx-ir model. Never modified.
        data: Calibration data: `.npy`, `.npz` or a folder of images by path, arrays, or any iterable of samples or
            batches; see `tinsmith.calibrate`. None for a model that is quantized already (QuantizeLinear,
            DequantizeLinear, QLinearConv…): the formats follow the ranges it brings. With data, its values count as
            saturated at those ranges, and the data decide within them.
        target: The chip; `esp32s3` where neither this nor the recipe says so.
        esp_dl: The version of ESP-DL in the firmware, such as `3.3.9`, which is the default.
        bits: 8 (default) or 16.
        int16: Regular expressions of layer names that run in int16.
        calibration: `mse` (default), `minmax`, `percentile` or `kl`.
        effort: `default`, or `fast`: exponents only, weights and biases stay as they are.
        input_shapes: Shapes of inputs with open dimensions.
        outputs: Cut the model at these values; `auto` before the heads of detectors (`tinsmith.graph.head`).
        samples: Use at most so many samples.
        mean: For folders of images, as the next four: see `tinsmith.recipe.Preprocessing`.
        std: Likewise.
        size: Likewise.
        color: Likewise.
        layout: Likewise.
        recipe: A `Recipe` or the path of a TOML file; the other arguments override it.
        progress: Called while stages run.

    Returns:
        The quantized model: `.save(folder)`, `.simulate(x)`, `.program`.

    Raises:
        ModelError: The model cannot be read or cannot run on the chip.
        DataError: The data are unusable; the message names the sample.
        QuantizationError: No formats satisfy the chip's rules.
        RecipeError: An option is unknown or contradictory.
    """
    base = recipe if isinstance(recipe, Recipe) else Recipe() if recipe is None else Recipe.read(recipe)
    pictures = base.preprocessing.model_dump()
    given = {"mean": _numbers(mean), "std": _numbers(std), "size": _extents(size), "color": color, "layout": layout}
    pictures.update({key: value for key, value in given.items() if value is not None})
    chosen = base.changed(
        target=target.name if isinstance(target, Target) else target,
        esp_dl=str(target.esp_dl) if esp_dl is None and isinstance(target, Target) else esp_dl,
        bits=bits,
        int16=None if int16 is None else tuple([int16] if isinstance(int16, str) else int16),
        calibration=calibration,
        effort=effort,
        input_shapes=None if input_shapes is None else {k: tuple(v) for k, v in input_shapes.items()},
        outputs=None if outputs is None else tuple([outputs] if isinstance(outputs, str) else outputs),
        samples=samples,
        preprocessing=pictures,
    )
    chip = find(target if isinstance(target, Target) else chosen.target, chosen.esp_dl)
    return run(model, data, chosen, chip, progress)


def run(model: Any, data: Any, recipe: Recipe, target: Target, progress: Progress | None = None) -> Quantized:
    """Run all stages with the choices of ``recipe``."""
    from tinsmith import importers
    from tinsmith.graph.canonical import canonicalize
    from tinsmith.graph.functions import small_tables, without_functions
    from tinsmith.graph.head import head_notes, way_out
    from tinsmith.graph.network import network
    from tinsmith.lower import lower
    from tinsmith.placement import forced
    from tinsmith.simulator.headroom import headroom

    tell: Progress = progress if progress is not None else lambda stage, done, total: None
    tell("read the model", 0, None)
    source = importers.load(model)
    with way_out(source, bool(recipe.outputs)):
        canonical = canonicalize(source, input_shapes=recipe.input_shapes or None, outputs=recipe.outputs or None)
        net = network(canonical)
        placement = _placed(net, recipe, target)
    widths = {name: decision.bits for name, decision in placement.items()}
    small = small_tables(net, widths, target)
    if small:
        net = without_functions(net, small)
        placement = _placed(net, recipe, target)
        widths = {name: decision.bits for name, decision in placement.items()}
    seen = _calibrated(canonical, net, widths, data, recipe, target, tell)
    tell("choose formats", 0, None)
    placement, formats = _formats(net, placement, seen.stats, recipe, target)
    widths = {name: decision.bits for name, decision in placement.items()}
    net, formats, gained = _tuned(canonical, net, formats, widths, seen, recipe, target, tell)
    tell("lower", 0, None)
    program = finish(lower(net, formats, widths, target), recipe, target, seen.stats.digest)
    refuse_illegal(program, target)
    tell("check accumulators", 0, None)
    notes = (
        *_version_notes(target),
        *forced(placement),
        *(() if recipe.outputs else head_notes(source)),
        *seen.notes,
        *gained,
        *headroom(program, target, seen.samples[:CHECKED_SAMPLES]),
    )
    return Quantized(canonical, net, placement, formats, program, target, recipe, seen.samples[0], notes)


def _placed(net: Network, recipe: Recipe, target: Target) -> dict[str, Decision]:
    """The placement; where it fails and the file fixes a larger batch, that is the first thing to try."""
    from tinsmith.placement import place

    try:
        return place(net, target, bits=recipe.bits, int16=recipe.int16)
    except UnsupportedError as error:
        batches = [operand for operand in net.inputs if len(operand.shape) > 2 and operand.shape[0] > 1]
        if not batches or error.hint:
            raise
        shapes = " ".join(f"--input-shape {one.name}={','.join(map(str, (1, *one.shape[1:])))}" for one in batches)
        hint = f"If the model's first dimension, {batches[0].shape[0]}, is a batch: {shapes}."
        raise UnsupportedError(error.reason, subject=error.subject, hint=hint) from error


def _formats(
    net: Network, placement: dict[str, Decision], stats: Stats, recipe: Recipe, target: Target
) -> tuple[dict[str, Decision], Formats]:
    """The formats, and the placement with nodes in int16 whose int8 kernel overflows on what was observed."""
    from tinsmith.algorithms.narrow import widened
    from tinsmith.algorithms.scales import beyond_int8, choose_formats
    from tinsmith.placement import widen

    widths = {name: decision.bits for name, decision in placement.items()}
    method = (recipe.calibration, recipe.percentile)
    try:
        return placement, choose_formats(net, widths, stats, target, *method)
    except QuantizationError:
        names = beyond_int8(net, widths, stats, target, *method)
        if not names:
            raise
    placement = widen(placement, widened(net, widths, target, names))
    widths = {name: decision.bits for name, decision in placement.items()}
    return placement, choose_formats(net, widths, stats, target, *method)


@dataclass(frozen=True, slots=True, eq=False)
class _Calibrated:
    """What is known about the values, the first samples, and what to tell about where it comes from."""

    stats: Stats
    samples: Sequence[Mapping[str, Array]]
    notes: tuple[str, ...] = ()
    real: bool = True


def _tuned(
    model: ir.Model,
    net: Network,
    formats: Formats,
    widths: Mapping[str, int],
    seen: _Calibrated,
    recipe: Recipe,
    target: Target,
    tell: Progress,
) -> tuple[Network, Formats, tuple[str, ...]]:
    """Equalization and rounding for the data, where there are 8-bit layers and real data, and what they gained."""
    from tinsmith.algorithms.scales import choose_formats
    from tinsmith.algorithms.tune import tune
    from tinsmith.calibrate.exponents import method_named
    from tinsmith.graph.ranges import ranges_of

    if recipe.effort == "fast" or not seen.real or 8 not in widths.values():
        return net, formats, ()
    tuned = tune(
        model,
        net,
        formats,
        widths,
        target,
        seen.samples,
        lambda network, stats: choose_formats(network, widths, stats, target, recipe.calibration, recipe.percentile),
        scalable=not ranges_of(model),
        histograms=method_named(recipe.calibration).histograms,
        progress=tell,
    )
    if tuned.best.name == "plain":
        return net, formats, ()
    before, after = tuned.noise["plain"], tuned.noise[tuned.best.name]
    note = f"{tuned.best.name}: {_decibels(after)} dB signal to noise at the outputs, {_decibels(before)} dB without."
    return tuned.best.network, tuned.best.formats, (note,)


def _decibels(noise: float) -> str:
    return f"{-10 * math.log10(max(noise, 1e-12)):.1f}"


def _calibrated(
    model: ir.Model,
    net: Network,
    widths: Mapping[str, int],
    data: Any,
    recipe: Recipe,
    target: Target,
    tell: Progress,
) -> _Calibrated:
    """Observes the values on the data, or takes the model's own ranges where there are none."""
    from tinsmith.algorithms.narrow import values_to_observe
    from tinsmith.algorithms.tune import MOST_OBSERVED
    from tinsmith.calibrate.exponents import method_named
    from tinsmith.calibrate.inputs import input_specs
    from tinsmith.calibrate.observe import observe
    from tinsmith.calibrate.sources import open_data
    from tinsmith.graph.ranges import ranges_of

    ranges = ranges_of(model)
    if data is None:
        return _from_ranges(model, net, widths, ranges, recipe, target)
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
    kept = _First(source, max(CHECKED_SAMPLES, MOST_OBSERVED))
    values, observed_widths = values_to_observe(net, widths, target)
    inputs = {operand.name for operand in net.inputs}
    stats = observe(
        model,
        values,
        kept,
        rounding=target.rounding,
        bits=observed_widths,
        progress=lambda done, total: tell("calibrate", done, total),
        histograms=method_named(recipe.calibration).histograms,
        limits={name: limits for name, limits in ranges.items() if name not in inputs},
    )
    return _Calibrated(stats, kept.samples)


def _from_ranges(
    model: ir.Model,
    net: Network,
    widths: Mapping[str, int],
    ranges: Mapping[str, tuple[float, float]],
    recipe: Recipe,
    target: Target,
) -> _Calibrated:
    """The ranges that the model brings; values without one are seen on noise that fills the ranges of the inputs."""
    from tinsmith.algorithms.narrow import values_to_observe
    from tinsmith.algorithms.scales import unmeasured
    from tinsmith.calibrate.assumed import derived, from_ranges, noise, widened
    from tinsmith.calibrate.exponents import method_named
    from tinsmith.calibrate.inputs import input_specs
    from tinsmith.calibrate.observe import observe

    if not ranges:
        raise DataError(
            "the model brings no ranges of its own (it is not a quantized model).",
            subject="calibration data",
            hint="Give calibration data: a few dozen samples (data=…, --data PATH).",
        )
    samples = noise(input_specs(model), ranges)
    values, observed_widths = values_to_observe(net, widths, target)
    known = derived(ranges, net)
    found = {name: known[name] for name in values if name in known}
    missing = unmeasured(net, widths, target, found.keys())
    notes = ["no calibration data: formats follow the ranges that the model brings."]
    if missing:
        seen = observe(model, missing, samples, rounding=target.rounding, bits=observed_widths)
        found |= widened(seen, net)
        names = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        notes.append(f"the model has no range for {names}: estimated on noise. Calibration data would tell.")
    histograms = method_named(recipe.calibration).histograms
    stats = from_ranges(found, net, target.rounding, observed_widths, histograms=histograms)
    return _Calibrated(stats, samples[:CHECKED_SAMPLES], tuple(notes), real=False)


class _First:
    """Passes samples on and keeps the first few."""

    def __init__(self, source: DataSource, count: int) -> None:
        self.samples: list[dict[str, Array]] = []
        self.length = source.length
        self._source = source
        self._count = count

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for sample in self._source:
            if len(self.samples) < self._count:
                self.samples.append({name: array.copy() for name, array in sample.items()})
            yield sample


def finish(lowered: Lowered, recipe: Recipe, target: Target, calibration_digest: str) -> Program:
    """The program with its producer and metadata."""
    from tinsmith import __version__
    from tinsmith.simulator.inputs import LAYOUTS_KEY, Original, layouts_text
    from tinsmith.simulator.legality import needed_version

    program = lowered.program
    originals = {}
    for value in (*program.inputs, *program.outputs):
        perm = lowered.perms[value.name]
        shape = tuple(value.shape[perm.index(axis)] for axis in range(len(perm)))
        originals[value.name] = Original(shape, perm)
    metadata = {
        "target": target.name,
        "tinsmith": __version__,
        "recipe_sha256": recipe.digest(),
        "calibration_sha256": calibration_digest,
        "semantics": SEMANTICS_VERSION,
        "esp_dl": f">={needed_version(program, target)}",
        LAYOUTS_KEY: layouts_text(originals),
    }
    return replace(program, metadata=metadata, producer_name="tinsmith", producer_version=__version__)


def refuse_illegal(program: Program, target: Target) -> None:
    """Refuse what the chip would crash on or compute as garbage.

    Raises:
        ProgramError: A rule is broken; all of them, with their nodes.
    """
    from tinsmith.simulator.legality import violations

    broken = violations(program, target)
    if broken:
        raise ProgramError("\n  ".join([f"{target.name} would not run it:", *broken]), subject="program")


def _version_notes(target: Target) -> tuple[str, ...]:
    note = caveat(target)
    return () if note is None else (note,)


def _extents(value: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    return value if value is None or isinstance(value, int) else tuple(value)


def _numbers(value: Sequence[float] | float | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return (float(value),) if isinstance(value, (int, float)) else tuple(float(v) for v in value)
