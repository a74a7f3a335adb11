"""The order in which layers go to int16: beside the best of all choices, and what the exact chip says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.algorithms.scalable import canonical, chain, samples
from tests.networks import S3, Net
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.layer_noise import LayerNoise, Term, layer_noise
from tinsmith.algorithms.promote import Promotion, and_those_of_both_widths, promotions, until
from tinsmith.algorithms.scales import choose_formats
from tinsmith.algorithms.units import units
from tinsmith.algorithms.walk import Exact
from tinsmith.calibrate.observe import observe
from tinsmith.ops.floatnode import Network
from tinsmith.simulator.legality import violations

LAYERS = 6


def convs(count: int = LAYERS) -> Network:
    """Convs one behind the other, all alike: called Y0, Y1…"""
    net = Net()
    net.input("x", 1, 16, 64, 64)
    for index in range(count):
        net.conv("x" if index == 0 else f"y{index - 1}", f"y{index}", 16, 3)
    return net.network(f"y{count - 1}")


def noise_of(net: Network, terms: dict[tuple[str, ...], float], **bits: int) -> LayerNoise:
    widths = {node.name: bits.get(node.name, 8) for node in net.nodes}
    return LayerNoise(
        tuple(Term("", "", frozenset(needs), noise) for needs, noise in terms.items()), units(net, widths, S3)
    )


def names(steps: tuple[Promotion, ...]) -> list[set[str]]:
    return [set(step.nodes) for step in steps]


def test_the_most_noise_first() -> None:
    order = promotions(convs(3), noise_of(convs(3), {("Y0",): 1.0, ("Y1",): 3.0, ("Y2",): 2.0}))
    assert names(order) == [{"Y1"}, {"Y2"}, {"Y0"}]
    assert [step.gain for step in order] == [3.0, 2.0, 1.0]
    assert [step.share for step in order] == pytest.approx([1 / 3] * 3)
    assert all(step.macs == 64 * 64 * 16 * 16 * 9 for step in order)


def test_neighbours_that_gain_together_go_together() -> None:
    order = promotions(convs(4), noise_of(convs(4), {("Y0", "Y1"): 5.0, ("Y3",): 2.0}))
    assert names(order) == [{"Y0", "Y1"}, {"Y3"}]
    assert [step.gain for step in order] == [5.0, 2.0]


def test_borders_have_a_price() -> None:
    """Of two layers with equal gain, the neighbour of one that is in int16 anyway is promoted first."""
    order = promotions(convs(5), noise_of(convs(5), {("Y0",): 1.0, ("Y3",): 1.01}, Y1=16))
    assert names(order) == [{"Y0"}, {"Y3"}]
    order = promotions(convs(5), noise_of(convs(5), {("Y2",): 1.0, ("Y3",): 1.01}, Y0=32))
    assert names(order) == [{"Y3"}, {"Y2"}]


def test_what_gains_nothing_stays() -> None:
    order = promotions(convs(3), noise_of(convs(3), {("Y0",): 1.0, (): 4.0}))
    assert names(order) == [{"Y0"}]


def test_what_is_kept_stays_and_so_does_what_would_need_it() -> None:
    noise = noise_of(convs(3), {("Y0", "Y1"): 5.0, ("Y1",): 2.0, ("Y2",): 1.0})
    assert names(promotions(convs(3), noise, kept={"Y0"})) == [{"Y1"}, {"Y2"}]


@given(st.data())
def test_prefixes_are_near_the_best_choice(data: st.DataObject) -> None:
    """Equal layers: no set of as many gains 1.5 times as much as a prefix of the order, whatever gains together."""
    pool = [(a,) for a in range(LAYERS)] + [(a, a + 1) for a in range(LAYERS - 1)]
    values = data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(pool), max_size=len(pool)))
    noise = noise_of(convs(), {tuple(f"Y{a}" for a in needs): value for needs, value in zip(pool, values, strict=True)})
    found: set[str] = set()
    gained = 0.0
    for step in promotions(convs(), noise):
        found |= step.nodes
        gained += step.gain
        best = min(
            noise.left(frozenset(chosen)) for chosen in itertools.combinations(sorted(noise.units.free), len(found))
        )
        assert noise.total - noise.left(frozenset(found)) == pytest.approx(gained)
        assert noise.total - best <= 1.5 * gained + 0.1 * noise.total


def step(share: float, name: str = "a") -> Promotion:
    return Promotion(frozenset({name}), 1.0, 0, share)


def test_a_budget_is_spent_on_what_fits() -> None:
    """Six equal layers: what gains most together may not fit, and a part of it still gain something."""
    noise = noise_of(convs(), {("Y0", "Y1"): 9.0, ("Y1",): 1.0, ("Y3",): 3.0, ("Y5",): 2.0})
    assert names(promotions(convs(), noise)) == [{"Y0", "Y1"}, {"Y3"}, {"Y5"}]
    assert names(promotions(convs(), noise, budget=1 / 6)) == [{"Y3"}]
    assert names(promotions(convs(), noise, kept={"Y3", "Y5"}, budget=1 / 6)) == [{"Y1"}]
    assert names(promotions(convs(), noise, budget=3 / 6)) == [{"Y0", "Y1"}, {"Y3"}]
    assert names(promotions(convs(), noise, budget=0.1)) == []


@given(st.integers(0, 40), st.integers(0, 41))
def test_until_finds_the_shortest_prefix_with_few_measurements(count: int, needed: int) -> None:
    order = tuple(step(0.01, f"n{index}") for index in range(count))
    asked: list[frozenset[str]] = []

    def measure(nodes: frozenset[str]) -> float:
        asked.append(nodes)
        return 0.0 if len(nodes) >= needed else 1.0

    found = until(order, 0.5, measure)
    assert len(asked) == len(set(asked)) <= 13
    if needed > count:
        assert found is None
    else:
        assert found == (order[:needed], 0.0)


def test_until_looks_first_where_the_noise_should_be_low_enough() -> None:
    """Measurements that follow the noise: the second one meets the target, others make sure that it is the first to."""
    order = tuple(Promotion(frozenset({f"n{index}"}), 0.5**index, 0, 0.01) for index in range(40))
    asked: list[int] = []

    def measure(nodes: frozenset[str]) -> float:
        asked.append(len(nodes))
        return 7 * 0.5 ** len(nodes)

    found = until(order, 7 * 0.5**20, measure, total=2.0)
    assert found is not None
    assert len(found[0]) == 20
    assert asked[:2] == [0, 20]
    assert len(asked) <= 7


def test_until_tells_what_was_measured() -> None:
    assert until((), 1.0, lambda nodes: 0.25) == ((), 0.25)
    assert until((), 0.0, lambda nodes: 0.25) is None


@pytest.mark.parametrize("activation", ["Relu", "Clip"])
def test_the_chip_gains_what_the_order_says(activation: str) -> None:
    """Every prefix runs on the chip, and the noise there falls from one to the next, about as far as predicted."""
    model, net = canonical(chain(np.random.default_rng(0), spread=4.0, activation=activation))
    data = samples(net, 12)
    bits = dict.fromkeys((node.name for node in net.nodes), 8)
    values, observed_bits = and_those_of_both_widths(net, bits, [], [])
    stats = observe(model, values, data, rounding=S3.rounding, bits=observed_bits)
    wanted = [FloatNodes(net.nodes, net.outputs)(sample)["y"] for sample in data]

    def measured(promoted: frozenset[str]) -> float:
        widths = units(net, bits, S3).promoted(bits, promoted)
        formats = choose_formats(net, widths, stats, S3)
        exact = Exact(net, formats, widths, S3, checked=True)
        assert not violations(exact.program, S3)
        found = [formats.values["y"].dequantize(exact.run(sample)["y"]) for sample in data]
        return float(np.square(np.subtract(found, wanted)).sum() / np.square(wanted).sum())

    noise = layer_noise(net, net, choose_formats(net, bits, stats, S3), bits, S3, data, corrected=False)
    order = promotions(net, noise)
    chosen: frozenset[str] = frozenset()
    before = start = measured(chosen)
    assert noise.total == pytest.approx(start, rel=0.5)
    for one in order:
        chosen |= one.nodes
        now = measured(chosen)
        assert now < 1.1 * before
        before = now
    assert chosen == set(bits)
    assert before < 1e-4 * start
