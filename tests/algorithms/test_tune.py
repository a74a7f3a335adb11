"""Tuning keeps what the chip does best, and nothing it would refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from onnx import TensorProto, helper

import tinsmith
from tests.algorithms.scalable import canonical, chain, model, samples
from tinsmith.algorithms.catalogue import ALGORITHMS
from tinsmith.algorithms.draft import Draft, Workshop, separated
from tinsmith.algorithms.judge import Judge
from tinsmith.algorithms.scale_search import search
from tinsmith.algorithms.scales import choose_formats
from tinsmith.algorithms.tune import PLANS, apply, sample_count, tune
from tinsmith.errors import RecipeError
from tinsmith.recipe.parts import Algorithm

TARGETS = ["esp32s3", "esp32p4", "c"]


def _data(proto, count: int = 16) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.concatenate([sample["x"] for sample in samples(canonical(proto)[1], count)])


def workshop(fast: tinsmith.Quantized, data: list[dict[str, np.ndarray]]) -> tuple[Draft, Workshop]:
    """The plain draft of a network quantized with effort `fast`, and what there is to work with."""
    bits = {name: decision.bits for name, decision in fast.placement.items()}

    def choose(network, widths, stats, steps):  # type: ignore[no-untyped-def]
        return choose_formats(network, widths, stats, fast.target, steps=steps)

    shop = Workshop(fast.model, fast.network, bits, fast.target, data, choose)
    first = Draft("plain", fast.network, fast.formats, {}, fast.network)
    plain = shop.reformatted(first.separated(), "plain", fast.network)
    assert plain.formats == fast.formats
    return plain, shop


@pytest.mark.parametrize("effort", ["default", "best"])
@pytest.mark.parametrize("target", TARGETS)
def test_the_best_candidate_wins(target: str, effort: str) -> None:
    """The noise of the result is the smallest of all candidates', plain formats among them."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    fast = tinsmith.quantize(proto, _data(proto), target, effort="fast")
    plain, shop = workshop(fast, samples(fast.network, 16))
    found = tune(plain, shop, effort)
    assert found.noise[found.best.name] == min(found.noise.values())
    assert found.noise[found.best.name] < found.noise["plain"]
    assert set(found.noise) >= {"plain", "equalized, rounded for the data"}


@pytest.mark.parametrize(
    ("plain_noise", "tuned_noise", "taken"),
    [
        (0.01, 0.0094, False),  # 0.27 dB
        (0.01, 0.0092, True),  # 0.36 dB
        (0.0009, 0.0006, False),  # 30.5 dB, gains 1.8
        (0.0009, 0.0005, True),  # gains 2.6
    ],
)
def test_what_a_gain_must_be(
    plain_noise: float, tuned_noise: float, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.3 dB, and 2 dB where the plain draft is 30 dB above its noise."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    fast = tinsmith.quantize(proto, _data(proto), "esp32s3", effort="fast")
    plain, shop = workshop(fast, samples(fast.network, 16))
    monkeypatch.setattr(
        Judge, "noise", lambda judge, network, *rest: plain_noise if network is plain.network else tuned_noise
    )
    found = tune(plain, shop, "default")
    assert set(found.noise.values()) == {plain_noise, tuned_noise}
    assert (found.best is not plain) == taken


def test_fast_leaves_weights_alone() -> None:
    """Effort `fast` changes no number of the network."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    fast = tinsmith.quantize(proto, _data(proto), "esp32s3", effort="fast")
    default = tinsmith.quantize(proto, _data(proto), "esp32s3")
    _, net = canonical(proto)
    for ours, theirs in zip(fast.network.nodes, net.nodes, strict=True):
        for index in range(len(ours.inputs)):
            const = ours.const(index)
            assert const is None or np.array_equal(const, theirs.const(index))
    assert any("signal to noise" in note for note in default.notes)
    assert not any("signal to noise" in note for note in fast.notes)


def test_few_samples_tune_nothing() -> None:
    """Seven samples cannot tell a gain from luck."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    few = tinsmith.quantize(proto, _data(proto, 7), "esp32s3")
    fast = tinsmith.quantize(proto, _data(proto, 7), "esp32s3", effort="fast")
    assert few.program.constants == fast.program.constants
    assert tinsmith.quantize(proto, _data(proto, 8), "esp32s3").program.constants != few.program.constants


def test_outputs_that_are_no_floats_tune_nothing() -> None:
    """There is no noise to measure on a comparison."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Greater", ["c", "zero"], ["y"], name="greater"),
    ]
    proto = model(nodes, {"x": (1, 3, 4, 4)}, {}, {"w": np.ones((4, 3, 1, 1)), "zero": np.zeros(())})
    proto.graph.output.append(helper.make_tensor_value_info("y", TensorProto.BOOL, [1, 4, 4, 4]))
    data = np.random.default_rng(0).normal(size=(9, 3, 4, 4)).astype(np.float32)
    assert tinsmith.quantize(proto, data, "esp32p4").notes == ()


def test_the_same_data_give_the_same_file() -> None:
    """No randomness, no dependence on threads."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    one, other = (tinsmith.quantize(proto, _data(proto), "esp32s3").program for _ in range(2))
    assert one == other


def test_unknown_efforts_are_refused() -> None:
    """With the choices."""
    with pytest.raises(RecipeError, match="effort"):
        tinsmith.quantize(chain(np.random.default_rng(0)), np.ones((1, 3, 8, 8), np.float32), effort="huge")


def test_shared_constants_are_separated() -> None:
    """Every node gets a constant of its own, with the same elements."""
    proto = chain(np.random.default_rng(0))
    proto.graph.node[4].input[2] = "b1"  # sixteen filters, but the name is what counts
    proto.graph.node[4].input[2] = "b3"
    _, net = canonical(proto)
    twice = type(net)((*net.nodes, *net.nodes), net.inputs, net.outputs)
    names = [i.name for node in separated(twice).nodes for i in node.inputs if i is not None and i.const is not None]
    assert len(names) == len(set(names))


def test_memory_bounds_the_samples() -> None:
    """Large values, fewer samples; two at least."""
    _, small = canonical(chain(np.random.default_rng(0)))
    _, large = canonical(chain(np.random.default_rng(0), shape=1200))
    assert sample_count(small) == 48
    assert 2 <= sample_count(large) < 48


def test_recipes_know_the_algorithms() -> None:
    """Every name a recipe may use is in the catalogue, and the other way round; plans use such names."""
    assert set(get_args(Algorithm)) == set(ALGORITHMS)
    assert {name for plans in PLANS.values() for plan in plans for name in plan} <= set(ALGORITHMS)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_each_algorithm_works_alone(name: str, target: str) -> None:
    """Its result runs as the simulator says, and keeps the function: close to the float network's."""
    proto = chain(np.random.default_rng(5), spread=3.0, activation="Clip")
    quantized = tinsmith.quantize(proto, _data(proto), target, algorithms=[name])
    (sample,) = samples(quantized.network, 1, seed=3)
    exact = quantized.simulate(sample, compiled=False)["y"]
    assert np.array_equal(exact, quantized.simulate(sample)["y"])
    fast = tinsmith.quantize(proto, _data(proto), target, effort="fast")
    if name not in ("absorb_bias", "search"):
        assert quantized.program.constants != fast.program.constants
        assert quantized.choices.won


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_layers_left_alone_keep_their_weights(name: str) -> None:
    """Whatever the algorithm, weights and biases of a layer with `tune = false` are the float network's."""
    proto = chain(np.random.default_rng(6), spread=3.0)
    scopes = [{"layers": ["^depthwise$"], "tune": False}]
    quantized = tinsmith.quantize(proto, _data(proto), "esp32p4", algorithms=[name], scopes=scopes)
    _, net = canonical(proto)
    for ours, theirs in zip(quantized.network.nodes, net.nodes, strict=True):
        if ours.name == "depthwise":
            assert all(np.array_equal(ours.const(index), theirs.const(index)) for index in (1, 2))
    assert any(node.name == "depthwise" for node in quantized.network.nodes)


def test_search_takes_only_steps_that_help() -> None:
    """From an exponent that is off by two, the outputs come closer; where no step helps, the draft itself returns."""
    proto = chain(np.random.default_rng(0))
    fast = tinsmith.quantize(proto, _data(proto), "esp32p4", effort="fast")
    plain, shop = workshop(fast, samples(fast.network, 16))
    steps = {"a1": 2}
    formats = shop.choose(plain.network, shop.bits, plain.stats, steps)
    assert formats.values["a1"].exponent == fast.formats.values["a1"].exponent + 2
    spoilt = replace(plain, formats=formats, steps=steps)
    found = search(spoilt, shop)
    assert found.formats != spoilt.formats
    judge = Judge(shop.network, shop.target, shop.learned)
    noise = [judge.noise(draft.network, draft.formats, shop.bits) for draft in (spoilt, found)]
    assert noise[1] < noise[0]
    again = search(found, shop)
    while again is not found:
        found, again = again, search(again, shop)
    assert search(found, shop) is found


def test_algorithms_are_applied_in_order() -> None:
    """Unconditionally, and each to what the one before has made."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    fast = tinsmith.quantize(proto, _data(proto), "esp32s3", effort="fast")
    plain, shop = workshop(fast, samples(fast.network, 16))
    both = apply(plain.separated(), shop, ("equalize", "correct_bias"))
    one = apply(plain.separated(), shop, ("equalize",))
    assert both.name == "equalized, biases corrected"
    assert one.unrounded is one.network
    assert both.formats == one.formats
    assert both.network.nodes != one.network.nodes
