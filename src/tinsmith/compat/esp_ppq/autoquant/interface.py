"""`espdl_auto_quantize_onnx`: tries settings and keeps the best."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.autoquant.attempts import Attempts, Task
from tinsmith.compat.esp_ppq.autoquant.candidates import best
from tinsmith.compat.esp_ppq.autoquant.search import search
from tinsmith.compat.esp_ppq.autoquant.setting import AutoQuantSearchSetting, Record, load_best_setting
from tinsmith.errors import DataError, RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph

__all__ = ["espdl_auto_quantize_onnx", "load_best_setting"]

_SUFFIXES = (".espdl", ".info", ".json")
_WORST = 3


def espdl_auto_quantize_onnx(
    onnx_import_file: str,
    espdl_export_file: str,
    calib_dataloader: Any,
    calib_steps: int,
    input_shape: Sequence[int],
    evaluate_fn: Callable[[BaseGraph], tuple[float, dict[str, float]]] | None = None,
    target: str = "esp32p4",
    collate_fn: Callable[[Any], Any] | None = None,
    setting: AutoQuantSearchSetting | None = None,
    device: str = "cpu",
    verbose: int = 0,
    **kwargs: Any,
) -> list[Record]:
    """Quantize an ONNX file in several ways, and write the best.

    Ways that come to the same here are tried once.

    Args:
        onnx_import_file: The float model; never modified.
        espdl_export_file: Where the best one's `.espdl`, `.info` and `.json` go.
        calib_dataloader: Batches of samples.
        calib_steps: How many batches to use.
        input_shape: Of one sample, with or without the batch, or one for each input.
        evaluate_fn: Gives the score of a quantized graph, and further numbers by name. None: the mean of the three
            largest errors at layers' outputs (noise over signal), of which the smallest is best.
        target: The chip.
        collate_fn: Applied to each batch.
        setting: What is searched, and how.
        device: Of no effect.
        verbose: Of no effect.
        **kwargs: As for `espdl_quantize_onnx`.

    Returns:
        The best candidates, best first: ``index``, ``folder``, ``files``, ``strategy``, ``params``, ``score``, and what
        `evaluate_fn` gave beside the score. The same is in ``candidates.json`` of the run's folder, everything that
        was tried in ``summary.json``.

    Raises:
        ModelError: The model cannot be read, or cannot run on the chip.
        DataError: The data do not fit the model, or `evaluate_fn` gave no score.
        RecipeError: An option is unknown, or nothing of what is searched can be had.
        FormatError: There is something to resume that cannot be read.
    """
    chosen = AutoQuantSearchSetting() if setting is None else setting
    if not isinstance(chosen, AutoQuantSearchSetting):
        raise RecipeError(f"is a {type(chosen).__name__}.", subject="setting", hint="Give an AutoQuantSearchSetting.")
    chosen.check()
    if calib_dataloader is None:
        raise DataError("there are none.", subject="calib_dataloader", hint="Give batches of samples.")

    def by_noise(graph: BaseGraph) -> tuple[float, dict[str, float]]:
        return _noise(graph, calib_dataloader, collate_fn)

    direction = "minimize" if evaluate_fn is None else chosen.score_direction
    task = Task(
        Path(onnx_import_file),
        Path(espdl_export_file),
        calib_dataloader,
        calib_steps,
        collate_fn,
        tuple(input_shape),
        target,
        dict(kwargs),
        by_noise if evaluate_fn is None else evaluate_fn,
    )
    attempts = Attempts(task, chosen, direction)
    search(chosen, attempts, direction)
    kept = best(attempts.run.records, chosen.num_of_candidates, direction, chosen.candidate_filter)
    shown = [{name: value for name, value in one.items() if name != "hash"} for one in kept]
    attempts.run.keep(shown)
    _export(shown[0], task.export)
    return shown


def _export(record: Record, destination: Path) -> None:
    """The files of the best one, where the script wants them."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    for suffix in _SUFFIXES:
        source = Path(record["folder"]) / destination.with_suffix(suffix).name
        if source.is_file():
            temporary = destination.with_suffix(f"{suffix}.part")
            shutil.copyfile(source, temporary)
            temporary.replace(destination.with_suffix(suffix))


def _noise(graph: BaseGraph, loader: Any, collate_fn: Callable[[Any], Any] | None) -> tuple[float, dict[str, float]]:
    """The mean of the largest errors at layers' outputs."""
    from tinsmith.compat.esp_ppq.quantization.analyse import graphwise_error_analyse

    errors = graphwise_error_analyse(
        graph=graph, running_device="cpu", dataloader=loader, collate_fn=collate_fn, method="snr", verbose=False
    )
    if not errors:
        hint = "Give an evaluate_fn."
        raise DataError("no layer of the graph multiplies with weights.", subject="evaluate_fn", hint=hint)
    worst = sorted(errors.values(), reverse=True)[:_WORST]
    mean = float(sum(worst) / len(worst))
    return mean, {"topn_mean_error": mean, "topn_used": len(worst), "num_layers": len(errors)}
