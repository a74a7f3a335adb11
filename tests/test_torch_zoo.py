"""Networks of PyTorch, on one chip of each family: read, quantized, written, read back, simulated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))  # its files are scripts

import torch_zoo
from tests.importers.contract import TOLERANCE
from torch_nets import nets

SMALL = {name: net for name, net in nets(32).items() if not net.home}
LARGE = {name: net for name, net in nets(64).items() if net.home}
DECIBELS = {"MCUNet-like": 8, "TCN": 25, "nn.GRU": 30, "nn.LSTM": 30, "nn.TransformerEncoder": 25}
"""Far below what is measured: less means that something is wrong, not that something is a little worse."""


def measured(net: Any, targets: tuple[str, ...], **options: Any) -> torch_zoo.Measured:
    found = torch_zoo.measured(net, targets, "fast", **options)
    # Some networks make any error larger on the way, PyTorch's own included.
    assert found.difference <= max(TOLERANCE, 4 * found.rounding)
    assert len(found.results) == len(targets)
    return found


@pytest.mark.parametrize("name", ["MCUNet-like", "TCN", "nn.GRU"])
def test_small(name: str) -> None:
    for result in measured(SMALL[name], torch_zoo.TARGETS, samples=8, held=4).results:
        assert result.snr > DECIBELS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nn.LSTM", "nn.TransformerEncoder"])
def test_more(name: str) -> None:
    for result in measured(SMALL[name], torch_zoo.TARGETS).results:
        assert result.snr > DECIBELS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large(name: str) -> None:
    pytest.importorskip(LARGE[name].home, reason="the package that defines it is not installed")
    # With random weights and none of the tuning some of them answer with as much noise as signal.
    for result in measured(LARGE[name], torch_zoo.TARGETS).results:
        assert result.snr > -3
