"""`quantize` and `examine`: from a user's arguments to a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.pipeline.opening import Progress
from tinsmith.pipeline.order import examine_data, run
from tinsmith.quantized import Quantized
from tinsmith.recipe import Equalization, Recipe, Scope, Split
from tinsmith.targets import Target, find

if TYPE_CHECKING:
    from tinsmith.calibrate.guidance import Guidance


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
    fit_cache: bool | None = None,
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
    example_input: Any = None,
    progress: Progress | None = None,
) -> Quantized:
    """Quantize a trained float model for a chip.

    Args:
        model: What `tinsmith.importers.load` takes: the path of a file, or a model in memory. Never modified.
        data: Calibration data: `.npy`, `.npz` or a folder of images by path, arrays, or any iterable of samples or
            batches; see `tinsmith.calibrate`. None for a model that is quantized already (QuantizeLinear,
            DequantizeLinear, QLinearConv…): the formats follow the ranges it brings. With data, its values count as
            saturated at those ranges, and the data decide within them.
        target: The chip; `esp32s3` where neither this nor the recipe says so.
        esp_dl: The version of ESP-DL in the firmware, such as `3.3.9`, which is the default.
        bits: 8 (default) or 16.
        int16: Layers that run in int16: names, module paths (`features.1.conv`), or regular expressions.
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
        fit_cache: Make several of each layer whose weights are larger than the chip's cache, with a part of its output
            channels each, where that saves time by the estimate (`tinsmith.estimate.latency`).
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
        example_input: What a PyTorch model is called with: a tensor or array with its batch axis, a tuple of them, or a
            dict by the name of the argument. By default inputs of ``input_shapes``, else the first of the data.
        progress: Called while stages run.

    Returns:
        The quantized model: `.save(folder)`, `.simulate(x)`, `.program`.

    Raises:
        ModelError: The model cannot be read or cannot run on the chip.
        DataError: The data are unusable; the message names the sample.
        QuantizationError: No formats satisfy the chip's rules.
        RecipeError: An option is unknown or contradictory.
    """
    chosen, chip = _chosen(
        target,
        recipe,
        esp_dl=esp_dl,
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
        fit_cache=fit_cache,
        input_shapes=_shapes(input_shapes),
        outputs=_several(outputs),
        samples=samples,
        preprocessing=_pictures(mean, std, size, color, layout),
    )
    return run(model, data, chosen, chip, progress, labels, example_input=example_input)


def examine(
    model: Any,
    data: Any,
    target: str | Target | None = None,
    *,
    esp_dl: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | str | None = None,
    samples: int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    size: int | Sequence[int] | None = None,
    color: str | None = None,
    layout: str | None = None,
    recipe: Recipe | str | Path | None = None,
    example_input: Any = None,
    methods: bool = False,
    progress: Progress | None = None,
) -> Guidance:
    """Say what calibration data are good for, without quantizing.

    Args and raised errors: as for `quantize`, whose result has the same as its `calibration`; with ``methods``, what
    the methods of calibration would choose for each value is there as well.
    """
    chosen, chip = _chosen(
        target,
        recipe,
        esp_dl=esp_dl,
        input_shapes=_shapes(input_shapes),
        outputs=_several(outputs),
        samples=samples,
        preprocessing=_pictures(mean, std, size, color, layout),
    )
    return examine_data(model, data, chosen, chip, progress, methods=methods, example_input=example_input)


def _chosen(
    target: str | Target | None,
    recipe: Recipe | str | Path | None,
    *,
    esp_dl: str | None,
    preprocessing: Mapping[str, Any],
    **choices: Any,
) -> tuple[Recipe, Target]:
    """The recipe with the arguments that are given in place of its own choices, and the chip."""
    base = recipe if isinstance(recipe, Recipe) else Recipe() if recipe is None else Recipe.read(recipe)
    given = {key: value for key, value in preprocessing.items() if value is not None}
    chosen = base.changed(
        target=target.name if isinstance(target, Target) else target,
        esp_dl=str(target.esp_dl) if esp_dl is None and isinstance(target, Target) else esp_dl,
        preprocessing={**base.preprocessing.model_dump(), **given},
        **choices,
    )
    return chosen, find(target if isinstance(target, Target) else chosen.target, chosen.esp_dl)


def _pictures(mean: Any, std: Any, size: Any, color: str | None, layout: str | None) -> dict[str, Any]:
    return {"mean": _numbers(mean), "std": _numbers(std), "size": _extents(size), "color": color, "layout": layout}


def _shapes(value: Mapping[str, Sequence[int]] | None) -> dict[str, tuple[int, ...]] | None:
    return None if value is None else {name: tuple(shape) for name, shape in value.items()}


def _several(value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    return value if value is None else (value,) if isinstance(value, str) else tuple(value)


def _extents(value: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    return value if value is None or isinstance(value, int) else tuple(value)


def _numbers(value: Sequence[float] | float | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return (float(value),) if isinstance(value, (int, float)) else tuple(float(v) for v in value)
