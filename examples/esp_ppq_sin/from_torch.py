"""Trains a sine model in PyTorch, quantizes the module itself, and measures it with TorchExecutor."""

import argparse
import time
from pathlib import Path

import torch
from esp_ppq.api import espdl_quantize_torch
from esp_ppq.executor import TorchExecutor
from torch import nn
from torch.utils.data import DataLoader

from sine import angles, evaluate


class Sine(nn.Module):
    """One angle in, its sine out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(1, 64)
        self.second = nn.Linear(64, 64)
        self.last = nn.Linear(64, 1)

    def forward(self, angle: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.first(angle)))))


def train(steps: int) -> nn.Module:
    torch.manual_seed(0)
    model = Sine()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    samples = angles(256)
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(samples), torch.sin(samples))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def collate(batch: torch.Tensor) -> torch.Tensor:
    return batch.to(torch.float32)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--target", default="esp32s3")
    options.add_argument("--bits", type=int, choices=(8, 16), default=8)
    options.add_argument("--steps", type=int, default=1500, help="training steps")
    options.add_argument("--output", type=Path, default=Path("output/esp_ppq_sin"))
    chosen = options.parse_args()

    torch.set_num_threads(1)  # so small a network is slower with more
    model = train(chosen.steps)
    worst, mean = evaluate(model)
    print(f"in float: largest error {worst:.4f}, mean squared error {mean:.2e}")
    calibration = DataLoader(angles(128), batch_size=1, shuffle=False)

    start = time.perf_counter()
    graph = espdl_quantize_torch(
        model=model,
        espdl_export_file=str(chosen.output / "sin_from_torch.espdl"),
        calib_dataloader=calibration,
        calib_steps=len(calibration),
        input_shape=[1, 1],
        inputs=[torch.tensor([[1.0]])],
        target=chosen.target,
        num_of_bits=chosen.bits,
        collate_fn=collate,
        device="cpu",
        error_report=True,
        export_test_values=True,
        verbose=0,
    )
    seconds = time.perf_counter() - start

    executor = TorchExecutor(graph=graph, device="cpu")
    worst, mean = evaluate(lambda batch: executor(batch)[0])
    print(f"from PyTorch: largest error {worst:.4f}, mean squared error {mean:.2e}, quantized in {seconds:.1f} s")


if __name__ == "__main__":
    main()
