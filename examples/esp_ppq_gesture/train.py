"""Trains a small gesture network and writes it as ONNX. About a minute on one core."""

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from data import SIZE, Split, load


class Block(nn.Module):
    """An inverted residual: widened, filtered, narrowed again."""

    def __init__(self, inputs: int, outputs: int, stride: int, factor: int = 4) -> None:
        super().__init__()
        wide = inputs * factor
        self.added = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.conv(image) if self.added else self.conv(image)


class GestureNet(nn.Module):
    """[N, 1, 96, 96] gray to [N, 10] scores."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            Block(16, 24, 2),
            Block(24, 24, 1),
            Block(24, 32, 2),
            Block(32, 32, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(image)), 1))


def train(split: Split, epochs: int, batch: int = 32) -> nn.Module:
    torch.manual_seed(0)
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    model = GestureNet(int(labels.max()) + 1)
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


def export(model: nn.Module, path: Path) -> None:
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, SIZE, SIZE),),
        str(path),
        input_names=["image"],
        output_names=["scores"],
        opset_version=13,
        dynamo=False,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=8)
    options.add_argument("--data", type=Path, help="an .npz with X [N, 96, 96] and y [N] (enlarged digits)")
    options.add_argument("--first-test", type=int, help="the row from which on the data are the test set")
    options.add_argument("--output", type=Path, default=Path("output/esp_ppq_gesture"))
    chosen = options.parse_args()
    torch.set_num_threads(1)
    chosen.output.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    training, test = load(chosen.data, chosen.first_test)
    model = train(training, chosen.epochs)
    with torch.no_grad():
        answers = model(torch.from_numpy(test.images)).argmax(1).numpy()
    path = chosen.output / "gesture_model.onnx"
    export(model, path)
    right = (answers == test.labels).mean()
    print(f"{right:.2%} of {len(test.labels)} test pictures right; {path} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
