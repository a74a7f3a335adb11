"""Trains the digits network and writes digits.onnx beside this file. Needs torch and onnxscript; takes half a minute.

The result is in the repository, so nobody has to run this to run the example.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from data import load

EPOCHS = 60
BATCH = 64


def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A depthwise-separable convolution, as in MobileNet."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class Digits(nn.Module):
    """[N, 1, 8, 8] ink to [N, 10] logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            block(16, 32, 1),
            block(32, 64, 2),
            block(64, 64, 1),
        )
        self.classes = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.features(image), 1).flatten(1)
        return self.classes(pooled)


def shifted(images: Tensor) -> Tensor:
    """The batch moved by up to one pixel in each direction."""
    rows, columns = (int(torch.randint(-1, 2, ())) for _ in range(2))
    return torch.roll(nn.functional.pad(images, (1, 1, 1, 1)), (rows, columns), (2, 3))[:, :, 1:-1, 1:-1]


def train() -> Digits:
    """The trained network, in evaluation mode."""
    torch.manual_seed(0)
    split, _ = load()
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    model = Digits()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images))
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(shifted(images[chosen])), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    return model.eval()


def main() -> None:
    torch.set_num_threads(1)
    path = Path(__file__).with_name("digits.onnx")
    program = torch.onnx.export(
        train(),
        (torch.zeros(2, 1, 8, 8),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
    )
    ClearMetadataAndDocStringPass()(program.model)  # the exporter's stack traces
    program.save(str(path), external_data=False)
    session = ort.InferenceSession(str(path))
    for name, split in zip(("training", "held"), load(), strict=True):
        logits = session.run(None, {"image": split.images})[0]
        print(f"{name}: {np.mean(np.argmax(logits, 1) == split.labels):.2%} of {len(split.labels)}")
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
