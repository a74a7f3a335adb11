"""The sine on the chip, as in the ESP-DL tutorial: one angle in, its sine out, in int8 and in int16."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime as ort

import tinsmith

MODEL = Path(__file__).with_name("sin.onnx")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--target", default="esp32s3", help="the chip, as `tinsmith targets` lists them")
    options.add_argument("--output", type=Path, default=Path("output/sin"), help="folder for the files")
    chosen = options.parse_args()

    calibration = np.linspace(0, 2 * np.pi, 64, dtype=np.float32)[:, np.newaxis]
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (1000, 1)).astype(np.float32)
    (in_float,) = ort.InferenceSession(MODEL).run(None, {"angle": angles})

    print(f"\nsine on {chosen.target}: largest error over {len(angles)} angles")
    print(f"  float  {np.abs(in_float - np.sin(angles)).max():.4f}")
    for bits in (8, 16):
        file = (
            tinsmith.quantize(MODEL, calibration, target=chosen.target, bits=bits)
            .save(chosen.output, f"sin_int{bits}")
            .espdl
        )
        program = tinsmith.read(file)
        sines = tinsmith.dequantize(program, tinsmith.simulate(program, {"angle": angles}))["sine"]
        print(
            f"  int{bits:<3} {np.abs(sines - np.sin(angles)).max():.4f}, "
            f"{np.abs(sines - in_float).max():.4f} from float; {file}  {file.stat().st_size:,} bytes"
        )


if __name__ == "__main__":
    main()
