"""`quantize`: the only place that knows the order of the stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.errors import ProgramError, QuantizationError, RecipeError, UnsupportedError
from tinsmith.program import Program
from tinsmith.quantized import Quantized
from tinsmith.recipe import Equalization, Recipe, Scope, Split
from tinsmith.targets import Target, caveat, find

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.calibrate.stage import Calibrated
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
    percentile: float | None = None,
    max_drop: float | None = None,
    int16_budget: float | str | None = None,
    algorithms: Sequence[str] | None = None,
    equalization: Equalization | Mapping[str, Any] | None = None,
    scopes: Sequence[Scope | Mapping[str, Any]] | None = None,
    splits: Sequence[Split | Mapping[str, Any]] | None = None,
    labels: Any = None,
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
        effort: `default`; `fast`: exponents only, weights and biases stay as they are; `best`: takes up to ten times as
            long.
        percentile: For `calibration="percentile"`: the share of magnitudes kept, in percent.
        max_drop: Run layers in int16 until no more than so many points are lost: of accuracy with `labels`, else of
            agreement with the float model.
        int16_budget: Run layers in int16 that do at most this share of all multiply-accumulates: 0.1 or `10%`.
        algorithms: What may change weights and biases, by name; by default what the effort says.
        equalization: Options of `classic_equalize`: see `tinsmith.recipe.Equalization`.
        scopes: Choices for some layers: see `tinsmith.recipe.Scope`.
        splits: Layers to split: see `tinsmith.recipe.Split`.
        labels: Class indices of the calibration samples, for `max_drop`: see `tinsmith.report.labels.read_labels`.
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
        int16=_several(int16),
        calibration=calibration,
        effort=effort,
        percentile=percentile,
        max_drop=max_drop,
        int16_budget=int16_budget,
        algorithms=_several(algorithms),
        equalization=equalization,
        scopes=None if scopes is None else tuple(scopes),
        splits=None if splits is None else tuple(splits),
        input_shapes=None if input_shapes is None else {k: tuple(v) for k, v in input_shapes.items()},
        outputs=_several(outputs),
        samples=samples,
        preprocessing=pictures,
    )
    chip = find(target if isinstance(target, Target) else chosen.target, chosen.esp_dl)
    return run(model, data, chosen, chip, progress, labels)


def run(
    model: Any, data: Any, recipe: Recipe, target: Target, progress: Progress | None = None, labels: Any = None
) -> Quantized:
    """Run all stages with the choices of ``recipe``."""
    from tinsmith.lower import lower
    from tinsmith.placement import forced
    from tinsmith.simulator.headroom import headroom

    tell: Progress = progress if progress is not None else lambda stage, done, total: None
    _refuse_idle(recipe, data, labels)
    _refuse_unconnected(recipe)
    opened = _opened(model, recipe, target, tell)
    seen = _calibrated(opened, data, recipe, target, tell, labels)
    tell("choose formats", 0, None)
    state = _formats(opened, seen.stats, recipe, target)
    state, gained = _tuned(opened.model, state, seen, recipe, target, tell)
    tell("lower", 0, None)
    program = finish(lower(state.network, state.formats, state.widths, target), recipe, target, seen.stats.digest)
    refuse_illegal(program, target)
    tell("check accumulators", 0, None)
    notes = (
        *_version_notes(target),
        *forced(state.placement),
        *opened.notes,
        *seen.notes,
        *gained,
        *headroom(program, target, seen.samples[:CHECKED_SAMPLES]),
    )
    return Quantized(
        opened.model, state.network, state.placement, state.formats, program, target, recipe, seen.samples[0], notes
    )


def _refuse_idle(recipe: Recipe, data: Any, labels: Any) -> None:
    """Refuse options that nothing would heed.

    Raises:
        RecipeError: Names one.
    """
    if labels is not None and recipe.max_drop is None:
        reason = "labels are given, and nothing asks for them."
        raise RecipeError(reason, subject="labels", hint="They are for max_drop (--max-drop).")
    if data is None and (recipe.max_drop is not None or recipe.int16_budget is not None):
        option = "max_drop" if recipe.max_drop is not None else "int16_budget"
        raise RecipeError("needs calibration data.", subject=option, hint="Give a few dozen samples (data=…, --data).")


def _refuse_unconnected(recipe: Recipe) -> None:
    """Refuse options that no stage reads so far, rather than leave them out silently."""
    standard = Recipe()
    for option in ("max_drop", "int16_budget", "algorithms", "equalization", "splits"):
        if getattr(recipe, option) != getattr(standard, option):
            raise RecipeError("is not available yet.", subject=option, hint="Leave it out.")
    if recipe.effort == "best":
        raise RecipeError("'best' is not available yet.", subject="effort", hint="Leave it out.")
    if any(scope.tune is not None for scope in recipe.scopes):
        raise RecipeError("is not available yet.", subject="tune", hint="Leave it out, or effort = 'fast'.")


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A model in canonical form, and which precision its nodes start in."""

    model: ir.Model
    network: Network
    placement: Mapping[str, Decision]
    notes: tuple[str, ...]

    @property
    def widths(self) -> dict[str, int]:
        return {name: decision.bits for name, decision in self.placement.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What has been chosen so far; each stage makes a new one."""

    network: Network
    placement: Mapping[str, Decision]
    formats: Formats

    @property
    def widths(self) -> dict[str, int]:
        return {name: decision.bits for name, decision in self.placement.items()}


def _opened(model: Any, recipe: Recipe, target: Target, tell: Progress) -> _Opened:
    """Read, bring into canonical form, place."""
    from tinsmith import importers
    from tinsmith.graph.canonical import canonicalize
    from tinsmith.graph.functions import small_tables, without_functions
    from tinsmith.graph.head import head_notes, way_out
    from tinsmith.graph.network import network

    tell("read the model", 0, None)
    source = importers.load(model)
    with way_out(source, bool(recipe.outputs)):
        canonical = canonicalize(source, input_shapes=recipe.input_shapes or None, outputs=recipe.outputs or None)
        net = network(canonical)
        placement = _placed(net, recipe, target)
    small = small_tables(net, {name: decision.bits for name, decision in placement.items()}, target)
    if small:
        net = without_functions(net, small)
        placement = _placed(net, recipe, target)
    return _Opened(canonical, net, placement, () if recipe.outputs else head_notes(source))


def _placed(net: Network, recipe: Recipe, target: Target) -> dict[str, Decision]:
    """The placement; where it fails and the file fixes a larger batch, that is the first thing to try."""
    from tinsmith.placement import place

    try:
        return place(net, target, bits=recipe.bits, int16=recipe.int16, scopes=recipe.scopes)
    except UnsupportedError as error:
        batches = [operand for operand in net.inputs if len(operand.shape) > 2 and operand.shape[0] > 1]
        if not batches or error.hint:
            raise
        shapes = " ".join(f"--input-shape {one.name}={','.join(map(str, (1, *one.shape[1:])))}" for one in batches)
        hint = f"If the model's first dimension, {batches[0].shape[0]}, is a batch: {shapes}."
        raise UnsupportedError(error.reason, subject=error.subject, hint=hint) from error


def _calibrated(
    opened: _Opened, data: Any, recipe: Recipe, target: Target, tell: Progress, labels: Any = None
) -> Calibrated:
    """Observe the values on the data, or take the model's own ranges where there are none."""
    from tinsmith.algorithms.narrow import values_to_observe
    from tinsmith.algorithms.scales import unmeasured
    from tinsmith.algorithms.tune import MOST_OBSERVED
    from tinsmith.calibrate.stage import Wanted, on_data, on_ranges

    values, bits = values_to_observe(opened.network, opened.widths, target)
    kept = max(CHECKED_SAMPLES, MOST_OBSERVED)
    wanted = Wanted(values, bits, target.rounding, _histograms(recipe), kept)
    if data is not None:
        return on_data(opened.model, wanted, data, recipe, lambda done, total: tell("calibrate", done, total), labels)
    return on_ranges(
        opened.model,
        opened.network,
        wanted,
        lambda known: unmeasured(opened.network, opened.widths, target, known),
    )


def _histograms(recipe: Recipe) -> bool:
    """Whether a method that the recipe names needs them."""
    from tinsmith.calibrate.exponents import method_named

    methods = {recipe.calibration, *(scope.calibration for scope in recipe.scopes if scope.calibration)}
    return any(method_named(name).histograms for name in methods)


def _formats(opened: _Opened, stats: Stats, recipe: Recipe, target: Target) -> _State:
    """The formats, and the placement with nodes in int16 whose int8 kernel overflows on what was observed."""
    from tinsmith.algorithms.narrow import widened
    from tinsmith.algorithms.scales import beyond_int8, choose_formats
    from tinsmith.placement import widen
    from tinsmith.scopes import ways

    net, widths = opened.network, opened.widths
    method = (recipe.calibration, recipe.percentile, ways(net, recipe.scopes, recipe.calibration, recipe.percentile))
    try:
        return _State(net, opened.placement, choose_formats(net, widths, stats, target, *method))
    except QuantizationError:
        names = beyond_int8(net, widths, stats, target, *method)
        if not names:
            raise
    placement = widen(opened.placement, widened(net, widths, target, names))
    widths = {name: decision.bits for name, decision in placement.items()}
    return _State(net, placement, choose_formats(net, widths, stats, target, *method))


def _tuned(
    model: ir.Model, state: _State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
) -> tuple[_State, tuple[str, ...]]:
    """Equalization and rounding for the data, where there are 8-bit layers and real data, and what they gained."""
    from tinsmith.algorithms.scales import choose_formats
    from tinsmith.algorithms.tune import tune
    from tinsmith.graph.ranges import ranges_of
    from tinsmith.scopes import ways

    if recipe.effort == "fast" or not seen.real or 8 not in state.widths.values():
        return state, ()
    method = (recipe.calibration, recipe.percentile)
    scoped = ways(state.network, recipe.scopes, *method)
    tuned = tune(
        model,
        state.network,
        state.formats,
        state.widths,
        target,
        seen.samples,
        lambda network, stats: choose_formats(network, state.widths, stats, target, *method, scoped),
        scalable=not ranges_of(model),
        histograms=_histograms(recipe),
        progress=tell,
    )
    if tuned.best.name == "plain":
        return state, ()
    before, after = tuned.noise["plain"], tuned.noise[tuned.best.name]
    note = f"{tuned.best.name}: {_decibels(after)} dB signal to noise at the outputs, {_decibels(before)} dB without."
    return replace(state, network=tuned.best.network, formats=tuned.best.formats), (note,)


def _decibels(noise: float) -> str:
    return f"{-10 * math.log10(max(noise, 1e-12)):.1f}"


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


def _several(value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    return value if value is None else (value,) if isinstance(value, str) else tuple(value)


def _extents(value: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    return value if value is None or isinstance(value, int) else tuple(value)


def _numbers(value: Sequence[float] | float | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return (float(value),) if isinstance(value, (int, float)) else tuple(float(v) for v in value)
