"""Tuning keeps what the chip does best, and nothing it would refuse."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import tinsmith
from tests.algorithms.scalable import canonical, chain, model, samples
from tinsmith.algorithms.tune import sample_count, separated, tune
from tinsmith.errors import RecipeError

TARGETS = ["esp32s3", "esp32p4", "c"]


def _data(proto, count: int = 16) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.concatenate([sample["x"] for sample in samples(canonical(proto)[1], count)])


@pytest.mark.parametrize("target", TARGETS)
def test_the_best_candidate_wins(target: str) -> None:
    """The noise of the result is the smallest of all candidates', plain formats among them."""
    proto = chain(np.random.default_rng(0), spread=10.0)
    fast = tinsmith.quantize(proto, _data(proto), target, effort="fast")
    bits = {name: decision.bits for name, decision in fast.placement.items()}

    def choose(network, stats):  # type: ignore[no-untyped-def]
        from tinsmith.algorithms.scales import choose_formats

        return choose_formats(network, bits, stats, fast.target)

    data = samples(fast.network, 16)
    found = tune(fast.model, fast.network, fast.formats, bits, fast.target, data, choose)
    assert found.noise[found.best.name] == min(found.noise.values())
    assert found.noise[found.best.name] < found.noise["plain"]
    assert set(found.noise) >= {"plain", "equalized, rounded for the data"}


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
    assert sample_count(small) == 32
    assert 2 <= sample_count(large) < 32
