"""Which channels share a factor: on known shapes, and by putting any factors in: the function stays the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.algorithms.scalable import canonical, chain, model, run, samples
from tests.e2e.random_models import models
from tinsmith.algorithms.channels import classes
from tinsmith.algorithms.draft import separated
from tinsmith.algorithms.equalize import scaled

RNG = np.random.default_rng(0)


def _conv(name: str, source: str, result: str, weights: str) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, weights], [result], name=name)


def test_a_chain() -> None:
    """Convolutions start classes, activations keep them, a depthwise one has its own, input and output are stuck."""
    _, net = canonical(chain(RNG))
    found = classes(net)
    assert not found.of["x"].any()
    assert not found.of["y"].any()
    first, second, third = (np.unique(found.of[name]) for name in ("c1", "c2", "c3"))
    assert (len(first), len(second), len(third)) == (12, 12, 16)
    assert not set(first) & set(second)
    assert np.array_equal(found.of["a1"], found.of["c1"])
    assert np.array_equal(found.of["p"].ravel(), third)
    assert found.count == 1 + 12 + 12 + 16


def test_a_sum_ties_its_operands() -> None:
    """Residual connections: one class per channel on both sides."""
    nodes = [
        _conv("one", "x", "a", "w1"),
        _conv("two", "a", "b", "w2"),
        helper.make_node("Add", ["a", "b"], ["s"], name="sum"),
        _conv("three", "s", "y", "w2"),
    ]
    weights = {"w1": RNG.standard_normal((4, 3, 1, 1)), "w2": RNG.standard_normal((4, 4, 1, 1))}
    _, net = canonical(model(nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 4, 4, 4)}, weights))
    found = classes(net)
    assert np.array_equal(found.of["a"], found.of["b"])
    assert np.array_equal(found.of["a"], found.of["s"])
    assert len(np.unique(found.of["s"])) == 4


@pytest.mark.parametrize("kind", ["Sigmoid", "Exp", "Tanh"])
def test_other_functions_stop_factors(kind: str) -> None:
    """A channel that goes through a function that is not linear cannot be scaled."""
    nodes = [_conv("one", "x", "a", "w1"), helper.make_node(kind, ["a"], ["b"], name="f"), _conv("two", "b", "y", "w2")]
    weights = {"w1": RNG.standard_normal((4, 3, 1, 1)), "w2": RNG.standard_normal((4, 4, 1, 1))}
    _, net = canonical(model(nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 4, 4, 4)}, weights))
    assert classes(net).count == 1


def test_movers_take_labels_along() -> None:
    """Channels that a Split and a Concat exchange keep their classes."""
    nodes = [
        _conv("one", "x", "a", "w1"),
        helper.make_node("Split", ["a", "sizes"], ["l", "r"], name="split", axis=1),
        helper.make_node("Relu", ["l"], ["lr"], name="relu"),
        helper.make_node("Concat", ["r", "lr"], ["c"], name="concat", axis=1),
        _conv("two", "c", "y", "w2"),
    ]
    weights = {
        "w1": RNG.standard_normal((6, 3, 1, 1)),
        "w2": RNG.standard_normal((4, 6, 1, 1)),
        "sizes": np.array([2, 4], np.int64),
    }
    _, net = canonical(model(nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 4, 4, 4)}, weights))
    found = classes(net)
    a, c = found.of["a"][0, :, 0, 0], found.of["c"][0, :, 0, 0]
    assert np.array_equal(c, np.concatenate([a[2:], a[:2]]))
    assert len(np.unique(a)) == 6


@settings(max_examples=25, deadline=None)
@given(models(), st.integers(0, 2**31))
def test_any_factors_leave_the_function_alone(proto: onnx.ModelProto, seed: int) -> None:
    """Whatever the network, whatever the factors: the outputs are the same, up to float rounding."""
    _, net = canonical(proto)
    net = separated(net)
    found = classes(net)
    rng = np.random.default_rng(seed)
    factors = np.exp(rng.uniform(-1.5, 1.5, found.count))
    factors[0] = 1.0
    for node in net.nodes:  # the ceiling of a Clip is no matter of classes
        if node.op_type == "Clip":
            factors[found.of[node.outputs[0].name]] = 1.0
    changed = scaled(net, found, factors)
    (sample,) = samples(net, 1, seed)
    before, after = run(net, sample), run(changed, sample)
    for name, array in before.items():
        size = float(np.abs(array).max(initial=1e-3))
        assert np.allclose(after[name], array, atol=2e-4 * size, rtol=1e-3), name
