"""Quantizes a sine model that is an ONNX file, writes it with test values, and measures it with TorchExecutor."""

import argparse
import shutil
import time
from pathlib import Path

import torch
from esp_ppq.api import espdl_quantize_onnx
from esp_ppq.executor import TorchExecutor
from torch.utils.data import DataLoader

from sine import angles, evaluate

MODEL = Path(__file__).resolve().parents[1] / "sin" / "sin.onnx"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--target", default="esp32s3")
    options.add_argument("--bits", type=int, choices=(8, 16), default=8)
    options.add_argument("--output", type=Path, default=Path("output/esp_ppq_sin"))
    chosen = options.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)

    model = chosen.output / "sin.onnx"
    shutil.copy(MODEL, model)  # esp-ppq writes the simplified model over the file it is given
    calibration = DataLoader(angles(128), batch_size=1, shuffle=False)

    start = time.perf_counter()
    graph = espdl_quantize_onnx(
        onnx_import_file=str(model),
        espdl_export_file=str(chosen.output / "sin_from_onnx.espdl"),
        calib_dataloader=calibration,
        calib_steps=len(calibration),
        input_shape=[1, 1],
        inputs=[torch.tensor([[1.0]])],  # the test value: sin(1) = 0.8415
        target=chosen.target,
        num_of_bits=chosen.bits,
        device="cpu",
        error_report=True,
        export_test_values=True,
        verbose=0,
    )
    seconds = time.perf_counter() - start

    executor = TorchExecutor(graph=graph, device="cpu")
    worst, mean = evaluate(lambda batch: executor(batch)[0])
    print(f"from ONNX: largest error {worst:.4f}, mean squared error {mean:.2e}, quantized in {seconds:.1f} s")


if __name__ == "__main__":
    main()
