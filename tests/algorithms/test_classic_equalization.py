"""Classic equalization: equal ranges on both sides of every channel, what each option does, the same function."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.algorithms.scalable import canonical, chain, model, run, samples
from tests.e2e.random_models import models
from tinsmith.algorithms.classic_equalization import LARGEST_STEP, ClassicOptions, classic_equalize
from tinsmith.algorithms.draft import separated
from tinsmith.algorithms.equalize import MARGIN, Equalized
from tinsmith.errors import RecipeError
from tinsmith.ops.floatnode import Array, Network

LONG = ClassicOptions(iterations=60, value_threshold=0.0, opt_level=2)


def _equalized(proto: onnx.ModelProto, options: ClassicOptions | None, count: int = 4) -> tuple[Network, Equalized]:
    found, net = canonical(proto)
    net = separated(net)
    return net, classic_equalize(found, net, samples(net, count), options)


def _weights(net: Network, name: str, index: int = 1) -> Array:
    found = next(node for node in net.nodes if node.name == name).const(index)
    assert found is not None
    return found.astype(np.float64)


def _largest(weights: Array, axis: int) -> Array:
    return np.abs(weights).max(axis=tuple(d for d in range(weights.ndim) if d != axis))


def _same(net: Network, changed: Network, count: int = 2) -> None:
    for sample in samples(net, count, seed=9):
        before, after = run(net, sample), run(changed, sample)
        for name, array in before.items():
            assert np.abs(after[name] - array).max() <= 1e-5 * max(float(np.abs(array).max()), 1e-3), name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["Relu", "LeakyRelu", "Identity"]), st.sampled_from([2.0, 30.0]))
def test_pairs_end_with_equal_ranges(seed: int, activation: str, spread: float) -> None:
    """Conv, depthwise, Conv, pooling, Gemm: as large before every channel as behind it; the same function."""
    net, result = _equalized(chain(np.random.default_rng(seed), spread, activation), LONG)
    first, depthwise, point, last = (
        _weights(result.network, n) for n in ("first", "depthwise", "pointwise", "classes")
    )
    columns = 1 if next(n for n in net.nodes if n.name == "classes").integer("transB", 0) else 0
    assert np.allclose(_largest(first, 0), _largest(depthwise, 0), rtol=1e-3)
    assert np.allclose(_largest(depthwise, 0), _largest(point, 1), rtol=1e-3)
    assert np.allclose(_largest(point, 0), _largest(last, columns), rtol=1e-3)
    _same(net, result.network)


@settings(max_examples=25, deadline=None)
@given(models(), st.integers(0, 1))
def test_the_function_stays_the_same(proto: onnx.ModelProto, level: int) -> None:
    """Whatever the network, up to float rounding."""
    net, result = _equalized(proto, ClassicOptions(opt_level=level + 1, value_threshold=0.1, including_bias=True))
    (sample,) = samples(net, 1, 0)  # one that was seen, so that no ceiling surprises
    before, after = run(net, sample), run(result.network, sample)
    for name, array in before.items():
        assert np.allclose(after[name], array, atol=2e-4 * float(np.abs(array).max(initial=1e-3)), rtol=1e-3), name


def test_factors_are_what_values_were_divided_by() -> None:
    """By name, broadcast to the value's shape."""
    net, result = _equalized(chain(np.random.default_rng(1), 10.0), None)
    assert {"c1", "a1", "c2", "a2", "c3", "p"} <= set(result.factors)
    assert not {"x", "y"} & set(result.factors)
    (sample,) = samples(net, 1)
    for name in ("a1", "a2", "p"):
        operand = next(o for node in net.nodes for o in node.outputs if o.name == name)
        old, new = (run(Network(n.nodes, n.inputs, (operand,)), sample)[name] for n in (net, result.network))
        assert result.factors[name].shape == old.shape
        assert np.allclose(new * result.factors[name], old, rtol=1e-4, atol=1e-6)


def _pair(up: Array, down: Array, bias: Array | None = None, activation: str = "Relu") -> onnx.ModelProto:
    """Two 1×1 convolutions with diagonal weights, one number per channel."""
    count = len(up)
    constants = {
        "u": np.diag(up).reshape(count, count, 1, 1),
        "d": np.diag(down).reshape(count, count, 1, 1),
        "b": np.zeros(count) if bias is None else bias,
    }
    nodes = [
        helper.make_node("Conv", ["x", "u", "b"], ["c"], name="up"),
        helper.make_node(activation, ["c"], ["a"], name="act"),
        helper.make_node("Conv", ["a", "d"], ["y"], name="down"),
    ]
    return model(nodes, {"x": (1, count, 2, 2)}, {"y": (1, count, 2, 2)}, constants)


def _up(options: ClassicOptions, up: list[float], down: list[float], bias: list[float] | None = None) -> Array:
    proto = _pair(np.asarray(up), np.asarray(down), None if bias is None else np.asarray(bias))
    return np.diag(_weights(_equalized(proto, options)[1].network, "up")[:, :, 0, 0])


def test_the_threshold_leaves_small_channels_alone() -> None:
    """A channel whose two ranges add up to less than the threshold."""
    up, down = [0.3, 0.3, 4.0], [0.1, 0.3, 0.25]
    assert np.allclose(_up(ClassicOptions(value_threshold=0.5), up, down), [0.3, 0.3, 1.0])
    assert np.allclose(_up(ClassicOptions(value_threshold=0.3), up, down), [np.sqrt(0.03), 0.3, 1.0])
    assert np.allclose(_up(ClassicOptions(value_threshold=5.0), up, down), up)


def test_one_iteration_moves_a_factor_by_ten_at_most() -> None:
    """Several go all the way; none does nothing; a range of zero cannot be made equal to anything."""
    up, down = [4e4, 1.0], [1e-2, 0.0]
    assert np.allclose(_up(ClassicOptions(iterations=1), up, down), [4e4 / LARGEST_STEP, 1.0])
    assert np.allclose(_up(ClassicOptions(iterations=4), up, down), [20.0, 1.0])
    assert np.array_equal(_up(ClassicOptions(iterations=0), up, down), np.float32(up))


def test_the_bias_counts_where_it_is_included() -> None:
    """Multiplied: 8 times one half is a range of four."""
    up, down, bias = [1.0, 1.0], [1.0, 1.0], [8.0, -1.0]
    assert np.allclose(_up(ClassicOptions(), up, down, bias), [1, 1])
    assert np.allclose(_up(ClassicOptions(including_bias=True), up, down, bias), [0.5, 1])
    assert np.allclose(_up(ClassicOptions(including_bias=True, bias_multiplier=2.0), up, down, bias), [0.25, 0.5**0.5])


def test_activations_count_where_they_are_included() -> None:
    """The largest result before the activation, on the samples; ranges end equal with it."""
    proto = _pair(np.asarray([1.0, 1.0]), np.asarray([1.0, 1.0]), np.asarray([0.0, -30.0]))
    found, net = canonical(proto)
    data = samples(net, 4)
    largest = np.max([np.abs(s["x"][0] - np.float32([[[0]], [[30]]])).max(axis=(1, 2)) for s in data], axis=0)
    options = ClassicOptions(including_activation=True, activation_multiplier=0.5)
    result = classic_equalize(found, separated(net), data, options)
    expected = 1 / np.sqrt(np.maximum(1, 0.5 * largest))
    assert largest[1] > 4
    assert np.allclose(np.diag(_weights(result.network, "up")[:, :, 0, 0]), expected, rtol=1e-5)


def _residual(rng: np.random.Generator) -> onnx.ModelProto:
    """Two convolutions, one behind the other, added, and a third behind; a fourth pair besides the sum."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one"),
        helper.make_node("Conv", ["a", "w2"], ["m"], name="inner"),
        helper.make_node("Relu", ["m"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "w3"], ["b"], name="two"),
        helper.make_node("Add", ["a", "b"], ["s"], name="sum"),
        helper.make_node("Conv", ["s", "w4"], ["y"], name="three"),
    ]
    scale = 10.0 ** rng.uniform(-1, 1, (4, 1, 1, 1))
    weights = {"w1": rng.standard_normal((4, 3, 1, 1)) * scale, "w2": rng.standard_normal((6, 4, 1, 1)) * 9}
    weights |= {"w3": rng.standard_normal((4, 6, 1, 1)), "w4": rng.standard_normal((4, 4, 1, 1))}
    return model(nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 4, 4, 4)}, weights)


def test_levels() -> None:
    """Level 1 leaves channels alone that are added; level 2 takes all branches together."""
    proto = _residual(np.random.default_rng(2))
    net, one = _equalized(proto, ClassicOptions(opt_level=1, value_threshold=0.0, iterations=40))
    _, two = _equalized(proto, LONG)
    assert np.array_equal(_weights(one.network, "one"), _weights(net, "one"))
    assert np.array_equal(_weights(one.network, "three"), _weights(net, "three"))
    assert np.allclose(
        _largest(_weights(one.network, "inner"), 0), _largest(_weights(one.network, "two"), 1), rtol=1e-3
    )
    before = np.maximum(_largest(_weights(two.network, "one"), 0), _largest(_weights(two.network, "two"), 0))
    behind = np.maximum(_largest(_weights(two.network, "inner"), 1), _largest(_weights(two.network, "three"), 1))
    assert np.allclose(before, behind, rtol=1e-3)
    assert set(one.factors) == {"m", "r"}
    assert set(two.factors) == {"a", "m", "r", "b", "s"}
    _same(net, one.network)
    _same(net, two.network)


def test_only_interested_layers() -> None:
    """By name or by pattern: only channels that they compute."""
    proto = chain(np.random.default_rng(3), 20.0)
    names = {"first": {"c1", "a1"}, "^depth": {"c2", "a2"}, "wise": {"c2", "a2", "c3", "p", "f"}}
    for name, values in names.items():
        net, result = _equalized(proto, ClassicOptions(value_threshold=0.0, interested_layers=(name,)))
        assert set(result.factors) <= values
        assert min(values) in result.factors
        _same(net, result.network)


@pytest.mark.parametrize(("name", "match"), [("frist", "Close names: 'first'"), ("(", "no regular expression")])
def test_unknown_layers_are_an_error(name: str, match: str) -> None:
    """With what was perhaps meant."""
    with pytest.raises(RecipeError, match=match) as caught:
        _equalized(chain(np.random.default_rng(3)), ClassicOptions(interested_layers=(name,)))
    assert caught.value.subject == "interested_layers"


@pytest.mark.parametrize(
    "wrong", [{"opt_level": 3}, {"iterations": -1}, {"value_threshold": -0.5}, {"bias_multiplier": float("inf")}]
)
def test_numbers_out_of_range(wrong: dict[str, float]) -> None:
    """The option is named."""
    with pytest.raises(RecipeError) as caught:
        ClassicOptions(**wrong)  # type: ignore[arg-type]
    assert caught.value.subject == next(iter(wrong))


def test_ceilings_limit_factors() -> None:
    """Cut channels keep the factor one, others grow no further than the ceiling allows; nothing without samples."""
    proto = chain(np.random.default_rng(3), spread=6.0, activation="Clip")
    net, result = _equalized(proto, LONG, count=8)
    data = samples(net, 8)
    for name, channels in (("c1", 12), ("c2", 12)):
        operand = next(o for node in net.nodes for o in node.outputs if o.name == name)
        shown = [run(Network(net.nodes, net.inputs, (operand,)), sample)[name] for sample in data]
        largest = np.max([array.max(axis=(0, 2, 3)) for array in shown], axis=0)
        factors = np.broadcast_to(result.factors[name], operand.shape)[0, :, 0, 0]
        assert len(factors) == channels
        assert np.all(factors[largest >= 6] == 1)
        free = factors[largest < 6]
        assert np.all(largest[largest < 6] / free <= np.maximum(6 / MARGIN, largest[largest < 6]) * (1 + 1e-6))
        assert np.any(free != 1)
    for sample in data:
        assert np.allclose(run(result.network, sample)["y"], run(net, sample)["y"], rtol=1e-4, atol=1e-5)
    _, blind = _equalized(proto, LONG, count=0)
    assert set(blind.factors) <= {"c3", "p", "f"}
