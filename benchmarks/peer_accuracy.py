"""Quantizes MODEL for TARGET by a RECIPE of esp-ppq with CALIBRATION.npy; runs where esp-ppq is installed.

Writes `model.espdl` into FOLDER and prints JSON last. With --outputs SAMPLES.npy also what esp-ppq's own executor
computes for those samples, as `outputs.npy`. What fails is a field of the JSON, not an exit status.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import esp_ppq.lib as PFL
import numpy as np
import onnx
import torch
from esp_ppq import QuantizationSettingFactory
from esp_ppq.api import espdl_quantize_onnx, get_target_platform
from esp_ppq.executor import TorchExecutor
from esp_ppq.quantization.analyse import layerwise_error_analyse

THREADS = 2
ACTIVATIONS = ("Clip", "Relu", "PRelu", "LeakyRelu")


@dataclass(frozen=True)
class Recipe:
    """What differs from `espdl_quantize_onnx` left to itself.

    Attributes:
        calibration: How the ranges of activations are chosen; esp-ppq's default (kl) where None.
        equalization: Layerwise equalization, with the numbers of Espressif's MobileNetV2 tutorial.
        relu: ReLU6 turned into ReLU before anything else, as that tutorial does for equalization.
        bias: Bias correction.
        tqt: Steps of training thresholds and weights in each block.
        int16: So many layers with the largest layerwise error go to int16, each with its activation.
    """

    calibration: str | None = None
    equalization: bool = False
    relu: bool = False
    bias: bool = False
    tqt: int = 0
    int16: int = 0


RECIPES = {
    "default": Recipe(),
    "minmax": Recipe("minmax"),
    "percentile": Recipe("percentile"),
    "mse": Recipe("mse"),
    "equalization": Recipe(equalization=True),
    "equalization-relu": Recipe(equalization=True, relu=True),
    "bias-correction": Recipe(bias=True),
    "minmax-bias": Recipe("minmax", bias=True),
    "equalization-bias": Recipe(equalization=True, bias=True),
    "mixed": Recipe(int16=1),
    "mixed-5": Recipe(int16=5),
    "tqt": Recipe(tqt=500),
}


def setting_of(recipe: Recipe, target: str, int16: list[str]) -> Any:
    """esp-ppq's setting for a recipe."""
    setting = QuantizationSettingFactory.espdl_setting()
    if recipe.calibration is not None:
        setting.quantize_activation_setting.calib_algorithm = recipe.calibration
    if recipe.equalization:
        setting.equalization = True
        setting.equalization_setting.iterations = 6
        setting.equalization_setting.value_threshold = 0.5
        setting.equalization_setting.opt_level = 2
        setting.equalization_setting.interested_layers = None
    setting.bias_correct = recipe.bias
    setting.tqt_optimization = recipe.tqt > 0
    setting.tqt_optimization_setting.steps = recipe.tqt
    for name in int16:
        setting.dispatching_table.append(name, get_target_platform(target, 16))
    return setting


def prepared(original: Path, copy: Path, relu: bool) -> None:
    """The model with its batch fixed to 1, as esp-ppq wants it; with ReLU in the place of ReLU6 where asked for."""
    model = onnx.load(str(original))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    if relu and not without_relu6(model):
        raise ValueError("the model has no ReLU6")
    onnx.save(model, str(copy))


def without_relu6(model: onnx.ModelProto) -> int:
    """Turns each Clip from 0 to 6 into Relu; how many there were."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    found = 0
    for node in model.graph.node:
        if node.op_type != "Clip":
            continue
        limits = [a.f for name in ("min", "max") for a in node.attribute if a.name == name]
        limits = limits or [constants[name].item() for name in node.input[1:] if name in constants]
        if limits == [0.0, 6.0]:
            node.op_type = "Relu"
            del node.input[1:], node.attribute[:]
            found += 1
    return found


class Work:
    """One model, its calibration samples and a target."""

    def __init__(self, model: Path, samples: Path, target: str, folder: Path) -> None:
        self.original = model
        self.model = folder / "model.onnx"
        self.folder = folder
        self.target = target
        images = torch.from_numpy(np.load(samples))
        self.loader = [images[index : index + 1] for index in range(len(images))]

    def quantized(self, recipe: Recipe, int16: list[str]) -> Any:
        """esp-ppq's graph, not exported."""
        prepared(self.original, self.model, recipe.relu)  # a copy each time: it is written over
        return espdl_quantize_onnx(
            str(self.model),
            str(self.folder / "model.espdl"),
            self.loader,
            len(self.loader),
            list(self.loader[0].shape),
            target=self.target,
            setting=setting_of(recipe, self.target, int16),
            error_report=False,
            skip_export=True,
        )

    def worst(self, count: int) -> list[str]:
        """The layers with the largest layerwise error when all are in int8, each with its activation."""
        graph = self.quantized(Recipe(), [])
        errors = layerwise_error_analyse(graph, self.loader, running_device="cpu", verbose=False)
        names = []
        for name in sorted(errors, key=lambda one: -errors[one])[:count]:
            after = graph.operations[name].outputs[0].dest_ops
            names += [name, *(op.name for op in after if op.type in ACTIVATIONS)]
        return names

    def export(self, graph: Any) -> None:
        """Writes the file for the chip."""
        platform = get_target_platform(self.target, 8)
        PFL.Exporter(platform=platform).export(file_path=str(self.folder / "model.espdl"), graph=graph)

    def outputs(self, graph: Any, samples: Path) -> None:
        """What esp-ppq computes itself, (N, …)."""
        executor = TorchExecutor(graph, device="cpu")
        images = torch.from_numpy(np.load(samples))
        found = [executor(images[index : index + 1])[0].numpy() for index in range(len(images))]
        np.save(self.folder / "outputs.npy", np.concatenate(found))


def attempt(work: Callable[[], Any]) -> tuple[Any, str | None]:
    """The result, or why there is none."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return work(), None
    except Exception as error:  # whatever it is, it is the result of this recipe
        lines = str(error).strip().splitlines() or [""]
        return None, f"{type(error).__name__}: {lines[0]}"[:300]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("calibration", type=Path)
    options.add_argument("target")
    options.add_argument("recipe", choices=RECIPES)
    options.add_argument("folder", type=Path)
    options.add_argument("--outputs", type=Path)
    chosen = options.parse_args()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    recipe = RECIPES[chosen.recipe]
    work = Work(chosen.model, chosen.calibration, chosen.target, chosen.folder)
    result: dict[str, Any] = {"version": version("esp-ppq"), "failed": None, "not_exported": None, "int16": []}

    def quantize() -> Any:
        result["int16"] = work.worst(recipe.int16) if recipe.int16 else []
        return work.quantized(recipe, result["int16"])

    start, busy = time.perf_counter(), time.process_time()
    graph, result["failed"] = attempt(quantize)
    result["seconds"], result["cpu_seconds"] = time.perf_counter() - start, time.process_time() - busy
    if graph is not None and chosen.outputs is not None:  # before the export, which changes the graph
        _, result["failed"] = attempt(lambda: work.outputs(graph, chosen.outputs))
    if graph is not None:
        _, result["not_exported"] = attempt(lambda: work.export(graph))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
