"""Trains a small MobileNetV2 on enlarged digits and writes it as ONNX. About a minute on one core."""

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from data import SIZE, Split, digits

TEST = 400
"""So many of the first digits train nothing."""


def convolution(inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution with normalization and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = inputs * factor
        self.added = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([convolution(inputs, wide)] if factor > 1 else []),
            convolution(wide, wide, 3, stride, wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.conv(image) if self.added else self.conv(image)


class MobileNetV2(nn.Module):
    """[N, 3, 32, 32] to [N, 10] scores."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        plan = [(1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 32, 1), (6, 64, 2), (6, 64, 1)]
        blocks: list[nn.Module] = [convolution(3, 16, 3, 1)]
        channels = 16
        for factor, outputs, stride in plan:
            blocks.append(InvertedResidual(channels, outputs, stride, factor))
            channels = outputs
        self.features = nn.Sequential(*blocks, convolution(channels, 128))
        self.classifier = nn.Linear(128, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(nn.functional.adaptive_avg_pool2d(self.features(image), 1).flatten(1))


def train(split: Split, epochs: int, batch: int = 32) -> nn.Module:
    torch.manual_seed(0)
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    model = MobileNetV2()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        for rows in order[: len(order) // batch * batch].split(batch):
            loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    return model.eval()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--output", type=Path, default=Path("output/esp_ppq_mobilenet"))
    chosen = options.parse_args()
    torch.set_num_threads(1)
    chosen.output.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    data = digits()
    model = train(Split(data.images[TEST:], data.labels[TEST:]), chosen.epochs)
    with torch.no_grad():
        answers = model(torch.from_numpy(data.images[:TEST])).argmax(1).numpy()
    path = chosen.output / "mobilenet_v2.onnx"
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, SIZE, SIZE),),
        str(path),
        input_names=["input"],
        output_names=["output"],
        opset_version=13,
        dynamo=False,
    )
    right = (answers == data.labels[:TEST]).mean()
    print(f"{right:.2%} of {TEST} test pictures right; {path} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
