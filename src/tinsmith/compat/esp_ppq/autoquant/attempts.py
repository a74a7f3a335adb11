"""Trying one candidate after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.api.arguments import OF_FILES, Arguments
from tinsmith.compat.esp_ppq.autoquant.building import RANKED, Ranking, built
from tinsmith.compat.esp_ppq.autoquant.record import CONFIG, SETTING, RunFolder, as_json, judged, text_of
from tinsmith.compat.esp_ppq.autoquant.search import Candidate, strategies
from tinsmith.compat.esp_ppq.autoquant.setting import AutoQuantSearchSetting
from tinsmith.compat.esp_ppq.log.logger import NaiveLogger
from tinsmith.errors import RecipeError
from tinsmith.targets import Target, find

TRAINED = ("tqt", "blockwise_reconstruction")
"""Modules that need gradients."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a script wants to have quantized; see `espdl_auto_quantize_onnx`."""

    model: Path
    export: Path
    loader: Any
    steps: int
    collate_fn: Callable[[Any], Any] | None
    shape: tuple[Any, ...]
    target: str
    kwargs: Mapping[str, Any]
    evaluate: Callable[[Any], Any]


class Attempts:
    """Tries candidates, each way to quantize once.

    Args:
        task: What is quantized.
        setting: What is searched.
        direction: ``maximize`` or ``minimize``.

    Raises:
        RecipeError: An option is unknown, or all that is searched needs gradients.
        FormatError: There is something to resume that cannot be read.
    """

    def __init__(self, task: Task, setting: AutoQuantSearchSetting, direction: str) -> None:
        from tinsmith import importers
        from tinsmith.compat.esp_ppq.layer_names import LayerNames
        from tinsmith.compat.esp_ppq.samples import batched

        self._task, self._setting, self._direction = task, setting, direction
        self._log = NaiveLogger.get_logger("AutoQuant")
        self._target: Target = find(task.target)
        self._source = importers.load(task.model)
        self._names = LayerNames.of(self._source)
        self._shapes = batched(self._source, task.shape)
        self._model = hashlib.sha256(task.model.read_bytes()).hexdigest()
        self._refuse_trained()
        self.run = RunFolder(setting.run_dir, resume=setting.resume)
        if self.run.records:
            self._log.info(f"{len(self.run.records)} are known from before")

    def __call__(self, one: Candidate) -> float | None:
        """The score of a candidate; None for one that needs gradients."""
        if any(one.strategy.get(module) for module in TRAINED):
            return None
        ranking = self._ranking if any(one.strategy.get(module) for module in RANKED) else Ranking()
        setting, bits, more = built(one, self._target, ranking, self._setting.quant_setting)
        digest = self._digest(setting, bits, more)
        known = self.run.scores.get(digest)
        if known is not None:
            return known
        from tinsmith.compat.esp_ppq.files import export
        from tinsmith.compat.esp_ppq.parser.native import NativeExporter

        graph = self._quantized(setting, bits, more)
        score, extras = judged(self._task.evaluate(graph))
        index, folder = self.run.folder()
        options = {name: self._task.kwargs[name] for name in OF_FILES if name in self._task.kwargs}
        written = export(graph, folder / self._task.export.with_suffix(".espdl").name, **options)
        native = folder / self._task.export.with_suffix(".native").name
        NativeExporter().export(native, graph)
        params = as_json(one.params)
        record = {
            "hash": digest,
            "index": index,
            "folder": str(folder),
            "files": [SETTING, *(path.name for path in (*written, native))],
            "strategy": dict(one.strategy),
            "params": params,
            "score": score,
            **as_json(extras),
        }
        config = {"strategy": dict(one.strategy), "params": params, "runtime": self._runtime()}
        self.run.add(record, {folder / CONFIG: text_of(config), folder / SETTING: setting.to_json()})
        self._log.info(f"{index:04d}: score {score:.6g} with {_described(one)}")
        return score

    def _quantized(self, setting: Any, bits: int, more: Mapping[str, Any]) -> Any:
        from tinsmith.compat.esp_ppq.api.run import quantized_graph

        task = self._task
        arguments = Arguments.checked(task.target, bits, None, setting, (None, None, None, None), task.kwargs)
        graph, _ = quantized_graph(
            task.model, arguments, task.loader, task.steps, task.collate_fn, self._shapes, more=more
        )
        return graph

    @cached_property
    def _ranking(self) -> Ranking:
        """The layers, by the error that each alone makes at the outputs when nothing else is done."""
        from tinsmith.compat.esp_ppq.api.setting import QuantizationSettingFactory
        from tinsmith.compat.esp_ppq.quantization.analyse import layerwise_error_analyse

        graph = self._quantized(QuantizationSettingFactory.espdl_setting(), 8, {"effort": "fast"})
        errors = layerwise_error_analyse(
            graph=graph,
            running_device="cpu",
            dataloader=self._task.loader,
            collate_fn=self._task.collate_fn,
            verbose=False,
        )
        known = set(self._names.known)
        return Ranking.of(graph, {name: error for name, error in errors.items() if name in known})

    def _refuse_trained(self) -> None:
        found = strategies(self._setting)
        asked = [any(one.get(module) for module in TRAINED) for one in found]
        if all(asked):
            names = " and ".join(f"strategy_space[{module!r}]" for module in TRAINED)
            raise RecipeError("all that is searched needs gradients.", subject=names, hint="Let them be [False].")
        if any(asked):
            self._log.warning(
                "tqt and blockwise_reconstruction need gradients and are left out; the effort trains none."
            )

    def _digest(self, setting: Any, bits: int, more: Mapping[str, Any]) -> str:
        """Of everything that the result depends on."""
        from tinsmith.compat.esp_ppq.mapping import choices_of

        choices = choices_of(setting, self._names, bits).choices
        facts = [self._model, self._target.name, self._task.steps, self._task.shape, {**choices, **more}]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def _runtime(self) -> dict[str, Any]:
        task = self._task
        return {
            "onnx_import_file": str(task.model),
            "espdl_export_file": str(task.export),
            "input_shape": list(task.shape),
            "target": task.target,
            "calib_steps": task.steps,
            "search_mode": self._setting.search_mode,
            "score_direction": self._direction,
        }


def _described(one: Candidate) -> str:
    parts = [f"{name} {tuple(options.values())}" for name, options in one.params.items() if options]
    return ", ".join(parts)
