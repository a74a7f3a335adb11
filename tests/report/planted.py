"""Small networks with one defect each, and none besides: every other tensor fills its format evenly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from tests.report.analysed import model_of

Floats = NDArray[np.float32]
Wide = NDArray[Any]
SIZE = 10
COUNT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A network with a defect.

    Attributes:
        model: The network.
        data: Calibration samples.
        target: The chip on which it is one.
        layers: Where it shows.
        kind: What it is.
    """

    model: onnx.ModelProto
    data: Floats
    target: str
    layers: tuple[str, ...]
    kind: str


def _even(rng: np.random.Generator, *shape: int) -> Wide:
    """Weights that fill 8 bits: uniform, every output channel up to the same magnitude, mean zero."""
    found = rng.uniform(-1, 1, shape)
    rows = found.reshape(shape[0], -1)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    return np.asarray(found / np.sqrt(rows.shape[1]))


def _data(rng: np.random.Generator, channels: int, count: int = 24) -> Floats:
    casts = rng.uniform(-0.5, 0.5, (count, channels, 1, 1))
    return np.asarray(casts + rng.uniform(-0.5, 0.5, (count, channels, SIZE, SIZE)), np.float32)


def _conv(name: str, read: str, made: str, weights: str, group: int = 1) -> NodeProto:
    return helper.make_node("Conv", [read, weights], [made], name, pads=[1, 1, 1, 1], group=group)


def _net(
    nodes: list[NodeProto], last: str, channels: int, constants: Mapping[str, Wide], given: int = COUNT
) -> onnx.ModelProto:
    nodes = [
        *nodes,
        helper.make_node("Conv", [last, "v"], ["end"], "end", kernel_shape=[3, 3], strides=[3, 3]),
    ]
    end = {"v": _even(np.random.default_rng(9), 6, channels, 3, 3)}
    return model_of(nodes, {"x": (1, given, SIZE, SIZE)}, ["end"], {**end, **constants})


def few_elements() -> Planted:
    """One element in two thousand of the input is fifty times as large as the others."""
    rng = np.random.default_rng(1)
    data = _data(rng, COUNT)
    data = np.where(rng.random(data.shape) < 1 / 2000, 50, data).astype(np.float32)
    nodes = [_conv("first", "x", "a", "w")]
    model = _net(nodes, "a", COUNT, {"w": _even(rng, COUNT, COUNT, 3, 3)})
    return Planted(model, data, "esp32p4", ("first",), "outliers")


def few_weights() -> Planted:
    """Nine in a thousand weights are sixty times as large as the others, in all channels; what they meet is zero."""
    rng = np.random.default_rng(8)
    channels = 12
    data = _data(rng, channels)
    data[:, 0] = 0
    weights = _even(rng, COUNT, channels, 3, 3)
    weights[:, 0, 1, 1] = 60 * weights.max()
    model = _net([_conv("first", "x", "a", "w")], "a", COUNT, {"w": weights}, channels)
    return Planted(model, data, "esp32p4", ("first",), "outliers")


def large_channel() -> Planted:
    """Channel 3 of the first result is forty times as large as the others, and read with weights as much smaller."""
    rng = np.random.default_rng(2)
    first, second = _even(rng, COUNT, COUNT, 3, 3), _even(rng, COUNT, COUNT, 3, 3)
    first[3] *= 40
    second[:, 3] /= 40
    nodes = [_conv("first", "x", "a", "w"), _conv("second", "a", "b", "u")]
    model = _net(nodes, "b", COUNT, {"w": first, "u": second})
    return Planted(model, _data(rng, COUNT), "esp32p4", ("first", "second"), "channel imbalance")


def unlike_depthwise() -> Planted:
    """A depthwise layer whose channels have weights from 1/64 to 1: its input's channels are as unlike."""
    rng = np.random.default_rng(3)
    factors = 2.0 ** -np.array([0, 5, 6, 5, 6, 5, 6, 5]).reshape(-1, 1, 1, 1)
    depthwise = _even(rng, COUNT, 1, 3, 3) * factors
    mixing = _even(rng, COUNT, COUNT, 1, 1) / factors.reshape(1, -1, 1, 1)
    nodes = [
        _conv("depthwise", "x", "a", "w", group=COUNT),
        helper.make_node("Conv", ["a", "u"], ["b"], "mixing"),
    ]
    model = _net(nodes, "b", COUNT, {"w": depthwise, "u": mixing})
    return Planted(model, _data(rng, COUNT), "esp32s3", ("depthwise",), "channel imbalance")


def joined() -> Planted:
    """A Concat of results that reach 1 and 60, read with weights that make up for that."""
    rng = np.random.default_rng(4)
    half = COUNT // 2
    large, small = 60 * _even(rng, half, COUNT, 3, 3), _even(rng, half, COUNT, 3, 3)
    reading = _even(rng, COUNT, COUNT, 3, 3)
    reading[:, :half] /= 60
    nodes = [
        _conv("large", "x", "a", "w"),
        _conv("small", "x", "b", "u"),
        helper.make_node("Concat", ["a", "b"], ["both"], "join", axis=1),
        _conv("reading", "both", "c", "r"),
    ]
    model = _net(nodes, "c", COUNT, {"w": large, "u": small, "r": reading})
    return Planted(model, _data(rng, COUNT), "esp32p4", ("small", "reading"), "shared exponent")


def shifted() -> Planted:
    """All weights of a channel lie almost half a step beside what they are rounded to, and what they meet is positive.

    The last layer takes differences, so that what all channels have in common is no signal.
    """
    rng = np.random.default_rng(5)
    beside = np.where(np.arange(COUNT) % 2, 0.45, -0.45).reshape(-1, 1, 1, 1)
    steps = rng.integers(60, 126, (COUNT, COUNT, 1, 1)) + beside
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], "first")]
    model = _net(nodes, "a", COUNT, {"w": steps / 2.0**12})
    data = 1 + 0.1 * _data(rng, COUNT)
    return Planted(model, np.asarray(data, np.float32), "esp32p4", ("first",), "mean shift")


def saturating() -> Planted:
    """144 products of numbers near their largest, in 20 bits; on vectors, which take 16 channels at a time."""
    rng = np.random.default_rng(6)
    channels = 16
    weights = rng.uniform(100, 127, (16, channels, 3, 3)) / 2.0**14
    widening = rng.uniform(0.5, 1, (channels, COUNT, 1, 1))
    nodes = [
        helper.make_node("Conv", ["x", "u"], ["wide"], "widen"),
        _conv("sums", "wide", "a", "w"),
    ]
    model = _net(nodes, "a", 16, {"w": weights, "u": widening})
    data = np.abs(_data(rng, COUNT, 12)) + 0.5
    return Planted(model, np.asarray(data, np.float32), "esp32s3", ("sums",), "saturating accumulator")


def differences() -> Planted:
    """The second layer takes differences of channels that are almost equal."""
    rng = np.random.default_rng(7)
    pairs = _even(rng, COUNT, COUNT, 3, 3)
    pairs[1::2] = pairs[::2] + 0.02 * pairs[1::2]
    taking = np.zeros((COUNT, COUNT, 1, 1))
    for channel in range(COUNT):
        pair = 2 * (channel // 2)
        taking[channel, pair], taking[channel, pair + 1] = 1, -1
    nodes = [
        _conv("pairs", "x", "a", "w"),
        helper.make_node("Conv", ["a", "u"], ["b"], "taking"),
    ]
    model = _net(nodes, "b", COUNT, {"w": pairs, "u": taking})
    return Planted(model, _data(rng, COUNT), "esp32p4", ("pairs", "taking"), "too coarse")


EVERY = {
    one.__name__: one
    for one in (few_elements, few_weights, large_channel, unlike_depthwise, joined, shifted, saturating, differences)
}
