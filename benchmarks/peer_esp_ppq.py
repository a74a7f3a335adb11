"""Times esp-ppq on MODEL with IMAGES.npy, files into FOLDER; runs where esp-ppq is installed, prints JSON last."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import esp_ppq.lib as PFL
import numpy as np
import torch
from esp_ppq.api import espdl_quantize_onnx, get_target_platform
from esp_ppq.executor import TorchExecutor
from esp_ppq.quantization.analyse import layerwise_error_analyse

TARGET = "esp32p4"
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of one call whose chatter is swallowed, and its result."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        result = work()
    return time.perf_counter() - start, result


def main() -> None:
    torch.set_num_threads(2)
    original, images_file, folder = sys.argv[1:]
    model = Path(folder) / "model.onnx"
    shutil.copy(original, model)  # it is written over
    images = torch.from_numpy(np.load(images_file))
    loader = [images[index : index + 1] for index in range(len(images))]
    exported = str(Path(folder) / "model.espdl")

    quantize, graph = timed(
        lambda: espdl_quantize_onnx(
            str(model),
            exported,
            loader,
            len(loader),
            [1, *images.shape[1:]],
            target=TARGET,
            error_report=False,
            skip_export=True,
        )
    )
    report, _ = timed(lambda: layerwise_error_analyse(graph, loader, running_device="cpu", verbose=False))
    executor = TorchExecutor(graph, device="cpu")
    executor(loader[0])
    inference, _ = timed(lambda: [executor(image) for image in loader])
    platform = get_target_platform(TARGET, 8)
    export, _ = timed(lambda: PFL.Exporter(platform=platform).export(file_path=exported, graph=graph))
    times = {"quantize": quantize, "report": report, "image": inference / len(loader), "export": export}
    print(json.dumps({"version": version("esp-ppq"), **times}))


if __name__ == "__main__":
    main()
