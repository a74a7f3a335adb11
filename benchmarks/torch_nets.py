"""Networks in PyTorch: of torchvision and timm where they are installed, small ones written here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Make = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Net:
    """A network and its kind of input.

    Attributes:
        make: Builds it with random weights.
        shape: Of one sample: (channels, height, width) of pictures, two axes of sequences.
        home: The package that defines it; empty where that is this file.
    """

    make: Make
    shape: tuple[int, ...]
    home: str = ""


class Inverted(nn.Module):
    """A bottleneck of MCUNet and MobileNetV2: expand, depthwise, project, and a skip where shapes allow one."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, factor: int) -> None:
        super().__init__()
        inner = into * factor
        self.skip = stride == 1 and into == out
        self.expand = _unit(into, inner, 1) if factor > 1 else nn.Identity()
        self.depth = _unit(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Sequential(nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depth(self.expand(x)))
        return x + y if self.skip else y


def _unit(into: int, out: int, kernel: int, stride: int = 1, *, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU6())


def mcunet() -> nn.Module:
    """In the manner of MCUNet: narrow bottlenecks with kernels of 3, 5 and 7."""
    plan = [(8, 16, 3, 1, 1), (16, 16, 5, 2, 3), (16, 16, 3, 1, 3), (16, 24, 7, 2, 4), (24, 24, 5, 1, 4)]
    plan += [(24, 40, 7, 2, 4), (40, 40, 3, 1, 5), (40, 48, 5, 1, 4), (48, 96, 7, 2, 4), (96, 160, 3, 1, 4)]
    blocks = [Inverted(*one) for one in plan]
    return nn.Sequential(_unit(3, 8, 3, 2), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, 10))


class Causal(nn.Module):
    """Two dilated convolutions that see the past only, and what came in."""

    def __init__(self, into: int, out: int, dilation: int) -> None:
        super().__init__()
        self.pad = 2 * dilation
        self.first, self.norm = nn.Conv1d(into, out, 3, dilation=dilation), nn.BatchNorm1d(out)
        self.second, self.act = nn.Conv1d(out, out, 3, dilation=dilation), nn.ReLU()
        self.skip = nn.Conv1d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.first(functional.pad(x, (self.pad, 0)))))
        y = self.act(self.second(functional.pad(y, (self.pad, 0))))
        found: Tensor = self.act(y + self.skip(x))
        return found


class Tcn(nn.Module):
    """A temporal convolutional network; answers by its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Causal(16, 32, 1), Causal(32, 32, 2), Causal(32, 32, 4))
        self.head = nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.blocks(x)[:, :, -1])
        return found


class Recurrent(nn.Module):
    """A recurrent layer; answers by its last step."""

    def __init__(self, layer: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn, self.head = layer(16, 32, batch_first=True), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.rnn(x)[0][:, -1])
        return found


class Encoder(nn.Module):
    """A transformer's encoder; answers by the mean of all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 32)
        self.place = nn.Parameter(torch.randn(1, 24, 32) * 0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.encoder(self.embed(x) + self.place).mean(1))
        return found


def nets(size: int) -> dict[str, Net]:
    """All networks by name, those of pictures for squares of ``size`` pixels."""
    picture = (3, size, size)
    return {
        "MobileNetV2": Net(_of_torchvision("mobilenet_v2"), picture, "torchvision"),
        "MobileNetV3-small": Net(_of_torchvision("mobilenet_v3_small"), picture, "torchvision"),
        "ShuffleNetV2": Net(_of_torchvision("shufflenet_v2_x1_0"), picture, "torchvision"),
        "EfficientNet-B0": Net(_of_timm("efficientnet_b0"), picture, "timm"),
        "ResNet-18": Net(_of_timm("resnet18"), picture, "timm"),
        "MCUNet-like": Net(mcunet, picture),
        "TCN": Net(Tcn, (16, 64)),
        "nn.GRU": Net(lambda: Recurrent(nn.GRU), (24, 16)),
        "nn.LSTM": Net(lambda: Recurrent(nn.LSTM), (24, 16)),
        "nn.TransformerEncoder": Net(Encoder, (24, 16)),
    }


def _of_timm(name: str) -> Make:
    def make() -> nn.Module:
        with _declared():
            import timm

        found: nn.Module = timm.create_model(name)
        return found

    return make


def _of_torchvision(name: str) -> Make:
    def make() -> nn.Module:
        with _declared():
            from torchvision import models

        found: nn.Module = getattr(models, name)(weights=None)
        return found

    return make


@contextlib.contextmanager
def _declared() -> Iterator[None]:
    """Lets torchvision be imported beside a torch that its own operators were not built for; none is used here."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):  # where they are
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield


def smooth(count: int, shape: tuple[int, ...], seed: int) -> Tensor:
    """Noise whose neighbours resemble each other, of various brightness, contrast and grain, as pictures have."""
    generator = torch.Generator().manual_seed(seed)
    if len(shape) == 2:
        walk = torch.randn(count, *shape, generator=generator).cumsum(-2)
        return (walk - walk.mean((1, 2), keepdim=True)) / walk.std((1, 2), keepdim=True)
    total = torch.randn(count, shape[0], 1, 1, generator=generator)
    for cells in (2, 4, 8, 16, 32):
        coarse = torch.randn(count, shape[0], cells, cells, generator=generator)
        strength = torch.rand(count, 1, 1, 1, generator=generator)
        total = total + strength * functional.interpolate(coarse, shape[1:], mode="bicubic")
    return total / 1.5


def built(net: Net, *, seed: int = 1) -> nn.Module:
    """The network with random weights, and with the statistics that its normalizations find in smooth noise.

    Kernels get a share that is the same everywhere. Those that are noise alone pass little of a picture, normalization
    makes up for that, and after some layers only the noise of integers is left: trained networks are not like that.
    """
    torch.manual_seed(seed)
    module: Any = net.make()
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1):
            _smoothed(part.weight.data)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
    module.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for index in range(4):
            module(smooth(8, net.shape, 100 + index))
    found: nn.Module = module.eval()
    return found


def _smoothed(weight: Tensor) -> None:
    level = torch.randn_like(weight[:, :, :1, :1]) * weight.std()
    weight.mul_(0.3).add_(level)
