"""Times esp-ppq's error analysis of MODEL on IMAGES.npy, files into FOLDER; runs where it is, prints JSON last."""

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

import numpy as np
import torch
from esp_ppq.api import espdl_quantize_onnx
from esp_ppq.quantization.analyse import graphwise_error_analyse, layerwise_error_analyse

TARGET = "esp32p4"


def seconds(work: Callable[[], object]) -> float:
    """Of one call whose chatter is swallowed."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(2)
    original, images_file, folder = sys.argv[1:]
    model = Path(folder) / "model.onnx"
    shutil.copy(original, model)  # it is written over
    images = torch.from_numpy(np.load(images_file))
    loader = [images[index : index + 1] for index in range(len(images))]
    with contextlib.redirect_stdout(io.StringIO()):
        graph = espdl_quantize_onnx(
            str(model),
            str(Path(folder) / "model.espdl"),
            loader,
            len(loader),
            [1, *images.shape[1:]],
            target=TARGET,
            error_report=False,
            skip_export=True,
        )
    steps = len(loader)
    graphwise = seconds(lambda: graphwise_error_analyse(graph, "cpu", loader, steps=steps, verbose=False))
    usual = seconds(lambda: layerwise_error_analyse(graph, loader, running_device="cpu", verbose=False))
    layerwise = seconds(lambda: layerwise_error_analyse(graph, loader, None, None, "cpu", "snr", steps, verbose=False))
    times = {"graphwise": graphwise, "layerwise": layerwise, "layerwise_8": usual}
    print(json.dumps({"version": version("esp-ppq"), **times}))


if __name__ == "__main__":
    main()
