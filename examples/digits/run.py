"""From a trained float CNN to the file an Espressif chip runs, and what that chip will answer.

Quantizes digits.onnx with 64 training images, writes the files, reads the .espdl back and runs that very file on the PC
over all held images. The report says what the model costs on the chip and where it loses accuracy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime as ort

import tinsmith
from data import load

MODEL = Path(__file__).with_name("digits.onnx")
CALIBRATION_IMAGES = 64


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--target", default="esp32s3", help="the chip, as `tinsmith targets` lists them")
    options.add_argument("--bits", type=int, choices=(8, 16), default=8, help="width of weights and activations")
    options.add_argument("--output", type=Path, default=Path("output/digits"), help="folder for the files")
    chosen = options.parse_args()

    training, held = load()
    quantized = tinsmith.quantize(MODEL, training.images[:CALIBRATION_IMAGES], target=chosen.target, bits=chosen.bits)
    files = quantized.save(chosen.output, "digits")
    report = tinsmith.save_report(tinsmith.insight(quantized, training.images, name="digits"), chosen.output)

    program = tinsmith.read(files.espdl)
    (on_chip,) = tinsmith.simulate(program, {"image": held.images}).values()
    (in_float,) = ort.InferenceSession(MODEL).run(None, {"image": held.images})
    answers, float_answers = on_chip.argmax(1), in_float.argmax(1)

    print(f"\ndigits on {chosen.target}, int{chosen.bits}: {len(held.labels)} held images")
    print(f"  float     {100 * np.mean(float_answers == held.labels):7.2f} % right")
    print(f"  on chip   {100 * np.mean(answers == held.labels):7.2f} % right")
    print(f"  agreement {100 * np.mean(answers == float_answers):7.2f} % of the answers")
    print(f"  digits.onnx {MODEL.stat().st_size:,} bytes")
    for path in (*files, report.html):
        print(f"  {path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
