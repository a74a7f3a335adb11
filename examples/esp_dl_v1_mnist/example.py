"""The flow of the ESP-DL v1 toolkit: optimize the model, calibrate it, evaluate it for the ESP32-S3."""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as rt
from calibrator import Calibrator
from evaluator import Evaluator
from optimizer import optimize_fp_model

from data import TEST, load

BATCH = 64


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--chip", default="esp32s3")
    options.add_argument("--bits", choices=("int8", "int16"), default="int8")
    options.add_argument("--granularity", choices=("per-channel", "per-tensor"), help="of the weights' exponents")
    options.add_argument("--method", choices=("entropy", "minmax"), help="how ranges are chosen")
    options.add_argument("--calibration", type=int, default=100, help="how many training pictures calibrate")
    options.add_argument("--test", type=int, default=TEST, help="so many test pictures")
    options.add_argument("--output", type=Path, default=Path("output/esp_dl_v1_mnist"))
    chosen = options.parse_args()
    granularity = chosen.granularity or ("per-channel" if chosen.bits == "int8" else "per-tensor")
    method = chosen.method or ("entropy" if chosen.bits == "int8" else "minmax")
    chosen.output.mkdir(parents=True, exist_ok=True)
    table = str(chosen.output / "mnist_calib.pickle")

    # Optimize the float model.
    path = chosen.output / "mnist.onnx"
    shutil.copy(Path(__file__).with_name("mnist.onnx"), path)
    optimized = optimize_fp_model(str(path))
    model = onnx.load(optimized)

    pictures, labels = load()
    pictures = pictures / 255
    test_images, test_labels = pictures[: chosen.test], labels[: chosen.test]

    # Calibrate it and write the coefficients.
    start = time.perf_counter()
    calib = Calibrator(chosen.bits, granularity, method)
    calib.set_providers(["CPUExecutionProvider"])
    if calib.check_model(model) == -1:
        raise SystemExit("The chip cannot run this model.")
    calib.generate_quantization_table(model, pictures[TEST : TEST + chosen.calibration], table)
    calib.export_coefficient_to_cpp(model, table, chosen.chip, str(chosen.output), "mnist_coefficient", True)
    seconds = time.perf_counter() - start

    # Evaluate what the chip computes.
    eva = Evaluator(chosen.bits, granularity, chosen.chip)
    eva.set_providers(["CPUExecutionProvider"])
    eva.generate_quantized_model(model, table)
    session = rt.InferenceSession(optimized, providers=["CPUExecutionProvider"])
    names = [output.name for output in model.graph.output]
    right = float_right = 0
    for first in range(0, len(test_images), BATCH):
        batch, answers = test_images[first : first + BATCH], test_labels[first : first + BATCH]
        [outputs, _] = eva.evalute_quantized_model(batch, False)
        right += int((np.argmax(outputs[0], axis=1) == answers).sum())
        float_outputs = session.run(names, {session.get_inputs()[0].name: batch})
        float_right += int((np.argmax(float_outputs[0], axis=1) == answers).sum())
    print(f"accuracy of the {chosen.bits} model on {chosen.chip}: {100 * right / len(test_labels):.2f} %")
    print(f"accuracy of the float model: {100 * float_right / len(test_labels):.2f} %")
    print(f"calibrated in {seconds:.1f} s")


if __name__ == "__main__":
    main()
