"""Small networks in PyTorch; importing this needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Block(nn.Sequential):
    """Convolution, normalization whose statistics are not trivial, activation."""

    def __init__(self, into: int, out: int, kernel: int = 3, *, groups: int = 1, act: Any = nn.ReLU6) -> None:
        conv = nn.Conv2d(into, out, kernel, padding=kernel // 2, groups=groups, bias=False)
        norm = nn.BatchNorm2d(out)
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        super().__init__(conv, norm, act())


class Cnn(nn.Module):
    """Convolutions, pooling, a classifier; the argument is called ``image``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(Block(3, 8), Block(8, 12, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(12, 5))

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.classifier(self.pool(self.features(image)).flatten(1))
        return found


class Depthwise(nn.Module):
    """A bottleneck with a skip, SiLU, HardSwish, HardSigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = Block(4, 8, 1, act=nn.SiLU)
        self.depth = Block(8, 8, groups=8, act=nn.Hardswish)
        self.project = nn.Conv2d(8, 4, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Hardsigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depth(self.expand(x)))
        return x + y * self.gate(y)


class Recurrent(nn.Module):
    """A recurrent layer, and a linear one that reads every step."""

    def __init__(self, layer: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.rnn = layer(6, 8, **options)
        self.head = nn.Linear(16 if options.get("bidirectional") else 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.rnn(x)[0])
        return found


class Attention(nn.Module):
    """Self-attention by one module."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return found


class Scaled(nn.Module):
    """Self-attention by function."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Linear(16, 48)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in self.parts(x).chunk(3, -1))
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Several(nn.Module):
    """Two inputs, one of which may be left out; a dict and a tuple as outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 4), nn.Linear(6, 4)

    def forward(self, left: Tensor, right: Tensor, scale: Tensor | None = None) -> dict[str, Any]:
        a, b = self.left(left), self.right(right)
        scaled = a if scale is None else a * scale
        return {"sum": scaled + b, "parts": (scaled, b)}


class Choosing(nn.Module):
    """Decides by the data what to compute: only the older exporter takes this."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y * 2 if float(x.sum()) > 0 else y


class Embedded(nn.Module):
    """Takes integers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(10, 8), nn.Linear(8, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.head(self.table(tokens).mean(1))
        return found


def seeded(make: Any, *args: Any, **options: Any) -> Any:
    """The same weights in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return make(*args, **options)


def numbers(*shape: int) -> Tensor:
    """Normal, the same in every run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))
