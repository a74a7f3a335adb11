"""The angles both scripts use, and how far a model is from the sine."""

from collections.abc import Callable

import torch


def angles(count: int) -> torch.Tensor:
    """[count, 1], evenly from 0 to 2 pi."""
    return torch.linspace(0, 2 * torch.pi, count)[:, None]


@torch.no_grad()
def evaluate(model: Callable[[torch.Tensor], torch.Tensor]) -> tuple[float, float]:
    """The largest error and the mean squared error over 1,000 angles."""
    samples = angles(1000)
    errors = torch.cat([model(sample[None]) for sample in samples]) - torch.sin(samples)
    return errors.abs().max().item(), errors.square().mean().item()
