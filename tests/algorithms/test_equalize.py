"""Equalization: the noise it says it lowers is lowered, on the chip; Clips are respected."""

from __future__ import annotations

import numpy as np
import pytest

import tinsmith
from tests.algorithms.scalable import canonical, chain, run, samples
from tinsmith.algorithms.channels import classes
from tinsmith.algorithms.equalize import MARGIN, equalize, limits
from tinsmith.algorithms.factor_cost import FactorCost, factor_cost
from tinsmith.algorithms.fill import LEAST_RESERVE, MOST_RESERVE, reserve
from tinsmith.algorithms.portrait import portraits
from tinsmith.algorithms.sensitivity import costs
from tinsmith.ops.floatnode import Network
from tinsmith.targets import find

TARGETS = ["esp32s3", "esp32p4"]


def _noise(proto, target: str, effort: str, **options: object) -> float:  # type: ignore[no-untyped-def]
    _, net = canonical(proto)
    data = [sample["x"] for sample in samples(net, 32)]
    quantized = tinsmith.quantize(proto, np.concatenate(data), target, effort=effort, **options)
    test = samples(net, 32, seed=1)
    found = tinsmith.dequantize(quantized.program, quantized.simulate(np.concatenate([s["x"] for s in test])))["y"]
    wanted = np.concatenate([run(net, sample)["y"] for sample in test])
    return float(np.square(found - wanted).sum() / np.square(wanted).sum())


@pytest.mark.parametrize("target", TARGETS)
def test_channels_of_different_size_no_longer_hurt(target: str) -> None:
    """Channels that differ by a factor of up to 900: data not calibrated with has at least 8 dB less noise."""
    proto = chain(np.random.default_rng(1), spread=30.0)
    assert _noise(proto, target, "default") < 0.16 * _noise(proto, target, "fast")


@pytest.mark.parametrize("target", TARGETS)
def test_values_read_in_fewer_bits_count(target: str) -> None:
    """A wide layer in front: what the next one reads in 8 bits is equalized as if all were 8 bits."""
    proto = chain(np.random.default_rng(1), spread=30.0)
    assert _noise(proto, target, "default", int16="first") < 0.16 * _noise(proto, target, "fast", int16="first")


@pytest.mark.parametrize("target", TARGETS)
def test_alike_channels_do_no_harm(target: str) -> None:
    """Where nothing is to be gained, no bit is lost."""
    proto = chain(np.random.default_rng(2), spread=1.0)
    assert _noise(proto, target, "default") < 4 * _noise(proto, target, "fast")


def test_clips_are_respected() -> None:
    """A channel that the ceiling cuts keeps its factor, another stays below the ceiling, with room."""
    proto = chain(np.random.default_rng(3), spread=6.0, activation="Clip")
    found, net = canonical(proto)
    data = samples(net, 8)
    result = equalize(found, net, {n.name: 8 for n in net.nodes}, find("esp32s3"), data)
    for before in ("c1", "c2"):
        largest = np.max([_value(net, sample, before).max(axis=(0, 2, 3)) for sample in data], axis=0)
        factors = np.broadcast_to(result.factors.get(before, np.ones(())), (1, 12, 8, 8))[0, :, 0, 0]
        cut = largest >= 6
        assert cut.any() or before == "c2"
        assert np.array_equal(factors[cut], np.ones(int(cut.sum())))
        assert np.all(largest[~cut] / factors[~cut] <= 6 / MARGIN * (1 + 1e-6))
    for sample in data:
        assert np.allclose(run(result.network, sample)["y"], run(net, sample)["y"], rtol=1e-3, atol=1e-3)


def _value(net: Network, sample: dict[str, np.ndarray], name: str) -> np.ndarray:
    operand = next(o for node in net.nodes for o in node.outputs if o.name == name)
    return run(Network(net.nodes, net.inputs, (operand,)), sample)[name]


def _cost(target: str) -> tuple[FactorCost, int]:
    found, net = canonical(chain(np.random.default_rng(4), spread=4.0))
    values = ["x", *(o.name for node in net.nodes for o in node.outputs)]
    seen = portraits(found, values, samples(net, 4))
    partition = classes(net)
    bits = {node.name: 8 for node in net.nodes}
    return factor_cost(net, partition, bits, find(target), seen, costs(net, seen)), partition.count


def _total(cost: FactorCost, position: np.ndarray) -> float:
    """The noise by its formula, with true maxima, window by window."""
    total = 0.0
    for value in cost.values:
        at = position[value.classes]
        total += value.weight * np.exp(value.ranges - at).max() ** 2 * (value.costs * np.exp(2 * at)).sum()
    for term in cost.weights:
        inner, outer = position[term.site.columns], position[term.site.rows]
        sizes = np.exp(term.sizes - outer[:, None] + (inner[:, None] if term.depthwise else inner[None, :]))
        rows, columns = term.rows * np.exp(2 * outer), term.columns * np.exp(-2 * inner)
        met = columns if term.depthwise else np.full(len(rows), columns.sum())
        largest = sizes.max(axis=1) if term.per_channel else np.full(len(rows), sizes.max())
        total += float((largest**2 * rows * met).sum())
    return total


@pytest.mark.parametrize("target", TARGETS)
def test_the_descent_goes_down(target: str) -> None:
    """A small step against the gradient lowers the noise by what the gradient says, as far as a maximum is smooth."""
    cost, count = _cost(target)
    position = np.random.default_rng(5).uniform(-0.5, 0.5, count)
    cost.recenter(position)
    gradient = cost.gradient(position)
    step = 1e-3 * gradient / np.abs(gradient).max()
    fallen = _total(cost, position) - _total(cost, position - step)
    assert 0.5 * (gradient @ step) < fallen < 1.5 * (gradient @ step)


def test_the_sizes_of_a_reference_do_not_matter() -> None:
    """The gradient is the same wherever the powers were computed."""
    cost, count = _cost("esp32s3")
    position = np.random.default_rng(6).uniform(-0.3, 0.3, count)
    cost.recenter(position)
    one = cost.gradient(position)
    cost.recenter(np.zeros(count))
    assert np.allclose(one, cost.gradient(position), rtol=1e-3, atol=1e-9 * np.abs(one).max())


def test_values_fill_their_range() -> None:
    """After equalization no value that could be scaled leaves much of its exponent's range empty, or beyond it."""
    found, net = canonical(chain(np.random.default_rng(7), spread=4.0))
    data = samples(net, 16)
    bits = {node.name: 8 for node in net.nodes}
    result = equalize(found, net, bits, find("esp32p4"), data)
    for name in ("a1", "a2"):
        largest = max(float(np.abs(_value(result.network, sample, name)).max()) for sample in data) * reserve(16 * 64)
        filled = largest / 2.0 ** np.round(np.log2(largest))
        assert 0.7 < filled < 1.2, name


def test_the_reserve_shrinks_with_what_was_seen() -> None:
    """A channel of which little was seen gets more room."""
    assert reserve(1) == reserve(100) == MOST_RESERVE
    assert reserve(10_000) == reserve(1e9) == LEAST_RESERVE
    assert LEAST_RESERVE < reserve(1_000) < MOST_RESERVE


def test_limits_of_stuck_elements() -> None:
    """Class 0 has the factor one."""
    found, net = canonical(chain(np.random.default_rng(8)))
    partition = classes(net)
    low, high = limits(net, partition, portraits(found, ["x", "c1"], samples(net, 1)))
    assert low[0] == high[0] == 0
    assert np.all(np.isinf(low[1:]))
    assert np.all(np.isinf(high[1:]))
