"""Trains a small network on the sine and writes sin.onnx beside this file. Needs torch and onnxscript.

The result is in the repository, so nobody has to run this to run the example.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import nn

STEPS = 6000
WIDTH = 32


def train() -> nn.Module:
    """[N, 1] angles from 0 to 2 pi, to [N, 1] sines."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(1, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    angles = torch.linspace(0, 2 * torch.pi, 1024)[:, None]
    for step in range(STEPS):
        loss = nn.functional.mse_loss(model(angles), torch.sin(angles))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 1000 == 999:
            print(f"step {step + 1}: mean squared error {loss.item():.2e}")
    return model.eval()


def main() -> None:
    torch.set_num_threads(1)
    path = Path(__file__).with_name("sin.onnx")
    program = torch.onnx.export(
        train(),
        (torch.zeros(2, 1),),
        input_names=["angle"],
        output_names=["sine"],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
    )
    ClearMetadataAndDocStringPass()(program.model)  # the exporter's stack traces
    program.save(str(path), external_data=False)
    angles = np.linspace(0, 2 * np.pi, 1000, dtype=np.float32)[:, np.newaxis]
    sines = ort.InferenceSession(str(path)).run(None, {"angle": angles})[0]
    print(f"largest error {np.abs(sines - np.sin(angles)).max():.4f}; {path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
