"""Trains the network and writes mnist.onnx beside this file. Needs torch; takes half a minute.

The result is in the repository, so nobody has to run this to run the example.
"""

from pathlib import Path

import torch
from torch import nn

from data import SIZE, TEST, load

EPOCHS = 12
BATCH = 32


class Net(nn.Module):
    """[N, 28, 28, 1] ink from 0 to 1 to [N, 10] scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.fc = nn.Linear(24 * 4 * 4, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found = nn.functional.max_pool2d(torch.relu(self.conv1(image.permute(0, 3, 1, 2))), 2)
        found = nn.functional.max_pool2d(torch.relu(self.norm2(self.conv2(found))), 2)
        return self.fc(torch.relu(self.conv3(found)).flatten(1))


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pictures, digits = (torch.from_numpy(array) for array in load())
    pictures /= 255
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    images, labels = pictures[TEST:], digits[TEST:]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=EPOCHS * (len(images) // BATCH))
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images))
        for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    model.eval()
    path = Path(__file__).with_name("mnist.onnx")
    torch.onnx.export(
        model,
        (torch.zeros(1, SIZE, SIZE, 1),),
        str(path),
        input_names=["image"],
        output_names=["scores"],
        opset_version=13,
        training=torch.onnx.TrainingMode.PRESERVE,  # keeps the normalization, for the optimizer to fold
        do_constant_folding=False,
        dynamo=False,
    )
    with torch.no_grad():
        right = (model(pictures[:TEST]).argmax(1) == digits[:TEST]).float().mean().item()
    print(f"{right:.2%} of {TEST} test pictures right; {path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
