"""Channel split: the same function, smaller weights, costs as stated, and it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.algorithms.deployed import deployed, noise
from tests.algorithms.scalable import canonical, chain, model, run, samples
from tests.algorithms.test_split_layers import difference
from tests.e2e.random_models import models
from tinsmith.algorithms.split_channels import ChannelSplitOptions, split_channels
from tinsmith.errors import RecipeError
from tinsmith.graph.network import network
from tinsmith.ops.floatnode import Array, Network

ROOT = np.sqrt(0.5)


def _weights(net: Network, name: str, index: int = 1) -> Array:
    found = next(node for node in net.nodes if node.name == name).const(index)
    assert found is not None
    return found


def _same(before: Network, after: Network, limit: float = 1e-5) -> None:
    for sample in samples(before, 2, seed=3):
        one, other = run(before, sample), run(after, sample)
        assert one.keys() == other.keys()
        for name, array in one.items():
            assert np.abs(other[name] - array).max() <= limit * max(float(np.abs(array).max()), 1e-2), name


def _pair(between: list[onnx.NodeProto], up: list[float], down: list[float], **more: Array) -> onnx.ModelProto:
    """Convolutions "up" x → a and "down" b → y with diagonal weights; ``between`` leads from a to b."""
    count = len(up)
    constants = {
        "u": np.diag(up).reshape(count, count, 1, 1),
        "d": np.diag(down).reshape(count, count, 1, 1),
        "c": np.linspace(-1, 1, count),
        **more,
    }
    nodes = [
        helper.make_node("Conv", ["x", "u", "c"], ["a"], name="up"),
        *between,
        helper.make_node("Conv", ["b", "d"], ["y"], name="down"),
    ]
    return model(nodes, {"x": (1, count, 4, 4)}, {"y": (1, count, 4, 4)}, constants)


def _relu() -> onnx.NodeProto:
    return helper.make_node("Relu", ["a"], ["b"], name="act")


def test_both_sides_get_smaller() -> None:
    """Where a factor passes: copies are smaller by √½, and so is what reads them."""
    found, net = canonical(_pair([_relu()], [4.0, 0.1, 4.0], [1.0, 8.0, 0.1]))
    result = split_channels(found, ChannelSplitOptions(iterations=1))
    after = network(result.model)
    (doubled,) = result.doubled
    assert (doubled.before, doubled.behind, doubled.channels, doubled.copies) == (("up",), ("down",), 3, 1)
    assert doubled.smaller
    assert np.allclose(_weights(after, "up")[:, :, 0, 0], [[4 * ROOT, 0, 0], [0, 0.1, 0], [0, 0, 4], [4 * ROOT, 0, 0]])
    assert np.allclose(_weights(after, "up", 2), [-ROOT, 0, 1, -ROOT])
    assert np.allclose(_weights(after, "down")[:, :, 0, 0], [[ROOT, 0, 0, ROOT], [0, 8, 0, 0], [0, 0, 0.1, 0]])
    assert [o.shape for node in after.nodes for o in node.outputs] == [(1, 4, 4, 4), (1, 4, 4, 4), (1, 3, 4, 4)]
    assert result.extra == doubled.extra == difference(found, result.model)
    assert result.extra.weights == 6
    _same(net, after)


def test_below_a_ceiling_only_readers_profit() -> None:
    """A ReLU6 takes no factor: copies are what the channel was, their weights behind it are halved."""
    clip = helper.make_node("Clip", ["a", "zero", "six"], ["b"], name="act")
    found, net = canonical(_pair([clip], [4.0, 0.1, 4.0], [1.0, 8.0, 0.1], zero=np.zeros(()), six=np.full((), 6.0)))
    result = split_channels(found, ChannelSplitOptions(iterations=1))
    after = network(result.model)
    (doubled,) = result.doubled
    assert (doubled.copies, doubled.smaller) == (2, False)
    assert np.allclose(np.abs(_weights(after, "up")).max(axis=(1, 2, 3)), [4, 0.1, 4, 4, 0.1])
    assert np.allclose(np.abs(_weights(after, "down")).max(axis=(0, 2, 3)), [0.5, 4, 0.1, 0.5, 4])
    _same(net, after)


def test_copies_are_copied_until_nothing_is_large() -> None:
    """Or until the iterations are used up."""
    found, net = canonical(_pair([_relu()], [3.9, 3.9], [3.9, 0.3]))
    for iterations, copies, largest in (
        (0, 0, 3.9),
        (1, 1, 3.9 * ROOT),
        (3, 7, 3.9 * ROOT**3),
        (99, 63, 3.9 * ROOT**6),
    ):
        result = split_channels(found, ChannelSplitOptions(iterations=iterations))
        assert sum(one.copies for one in result.doubled) == copies
        assert np.isclose(np.abs(_weights(network(result.model), "down")).max(), largest)
        _same(net, network(result.model))


def test_the_bias_counts_where_it_is_included() -> None:
    """Multiplied: 3 times one half is large, 3 times 0.1 is not."""
    found, _ = canonical(_pair([_relu()], [0.2, 0.2], [1.0, 1.0], c=np.array([0.0, 3.0])))
    counts = [
        len(split_channels(found, ChannelSplitOptions(iterations=1, **options)).doubled)  # type: ignore[arg-type]
        for options in ({}, {"including_bias": True}, {"including_bias": True, "bias_multiplier": 0.1})
    ]
    assert counts == [0, 1, 0]


_BETWEEN = {
    "depthwise": ([helper.make_node("Conv", ["a", "w", "k"], ["b"], name="depthwise", group=3)], True),
    "transposed": ([helper.make_node("ConvTranspose", ["a", "w", "k"], ["b"], name="depthwise", group=3)], True),
    "slopes": ([helper.make_node("PRelu", ["a", "slope"], ["b"], name="act")], True),
    "leaky": ([helper.make_node("LeakyRelu", ["a"], ["b"], name="act", alpha=0.3)], True),
    "sigmoid": ([helper.make_node("Sigmoid", ["a"], ["b"], name="act")], False),
    "swish": ([helper.make_node("Sigmoid", ["a"], ["g"]), helper.make_node("Mul", ["a", "g"], ["b"])], False),
    "pool": ([helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[3, 3], pads=[1] * 4)], True),
    "scaled": (
        [
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("Mul", ["r", "slope"], ["m"]),
            helper.make_node("Sigmoid", ["m"], ["b"]),
        ],
        False,
    ),
    "shifted": (
        [
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("Add", ["r", "slope"], ["s"]),
            helper.make_node("Add", ["s", "one"], ["t"]),
            helper.make_node("Relu", ["t"], ["b"]),
        ],
        True,
    ),
}


@pytest.mark.parametrize("kind", _BETWEEN)
def test_what_may_be_in_between(kind: str) -> None:
    """Whatever treats each channel for itself, with its weights, slopes and constants."""
    between, smaller = _BETWEEN[kind]
    constants = {
        "w": np.array([1.0, -2.0, 0.5]).reshape(3, 1, 1, 1),
        "k": np.array([0.5, 0.1, -0.3]),
        "slope": np.array([0.1, -0.2, 0.7]).reshape(3, 1, 1),
        "one": np.ones(()),
    }
    used = {name for node in between for name in node.input}
    chosen = {name: array for name, array in constants.items() if name in used}
    found, net = canonical(_pair(between, [4.0, 0.1, 4.0], [1.0, 8.0, 2.0], **chosen))
    result = split_channels(found, ChannelSplitOptions(iterations=2, opt_level=2))
    (doubled,) = result.doubled
    assert doubled.smaller == smaller
    assert doubled.copies > 0
    assert result.extra == difference(found, result.model)
    _same(net, network(result.model))


def _residual() -> onnx.ModelProto:
    """Channels that are added, of which two layers compute and two read them."""
    rng = np.random.default_rng(2)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one"),
        helper.make_node("Conv", ["a", "w2"], ["m"], name="inner"),
        helper.make_node("Relu", ["m"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "w3"], ["b"], name="two"),
        helper.make_node("Add", ["a", "b"], ["s"], name="sum"),
        helper.make_node("Conv", ["s", "w4"], ["y"], name="three"),
    ]
    weights = {"w1": rng.standard_normal((4, 3, 1, 1)), "w2": rng.standard_normal((6, 4, 1, 1))}
    weights |= {"w3": rng.standard_normal((4, 6, 1, 1)), "w4": rng.standard_normal((4, 4, 1, 1))}
    return model(nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 4, 4, 4)}, weights)


def test_levels() -> None:
    """Level 1 leaves channels alone that are added; level 2 copies them on all branches."""
    found, net = canonical(_residual())
    one = split_channels(found, ChannelSplitOptions(iterations=1))
    two = split_channels(found, ChannelSplitOptions(iterations=1, opt_level=2))
    assert [doubled.before for doubled in one.doubled] == [("inner",)]
    assert [(set(d.before), set(d.behind)) for d in two.doubled] == [
        ({"one", "two"}, {"inner", "three"}),
        ({"inner"}, {"two"}),
    ]
    _same(net, network(one.model))
    _same(net, network(two.model))


@pytest.mark.parametrize(
    "between",
    [
        [helper.make_node("Softmax", ["a"], ["b"], name="soft", axis=1)],
        [helper.make_node("Transpose", ["a"], ["b"], name="turn", perm=[0, 1, 3, 2])],
        [helper.make_node("Slice", ["a", "two", "four", "two"], ["s"]), helper.make_node("Relu", ["s"], ["b"])],
    ],
)
def test_what_may_not_be_in_between(between: list[onnx.NodeProto]) -> None:
    """Nodes that mix channels, move them, or fix their number."""
    used = {"two": np.array([2]), "four": np.array([4])} if len(between) > 1 else {}
    found, net = canonical(_pair(between, [4.0] * 4, [4.0] * 4, **used))
    result = split_channels(found, ChannelSplitOptions(interested_layers=("^up$",)))
    assert result.doubled == ()
    assert [node.outputs[0].shape for node in network(result.model).nodes] == [n.outputs[0].shape for n in net.nodes]


def test_results_of_the_network_keep_their_channels() -> None:
    """A layer whose channels are also an output of the network."""
    proto = _pair([_relu()], [4.0] * 3, [4.0] * 3)
    proto.graph.output.append(helper.make_tensor_value_info("b", 1, (1, 3, 4, 4)))
    assert split_channels(canonical(proto)[0]).doubled == ()


def test_interested_layers() -> None:
    """Those that compute the channels, by name or pattern; unknown ones are an error with what was perhaps meant."""
    found, net = canonical(chain(np.random.default_rng(3), 4.0))
    options = {"value_threshold": 0.3, "iterations": 1}
    chosen = split_channels(found, ChannelSplitOptions(interested_layers=("^point",), **options))  # type: ignore[arg-type]
    assert [one.before for one in chosen.doubled] == [("pointwise",)]
    assert chosen.doubled[0].behind == ("classes",)
    everything = split_channels(found, ChannelSplitOptions(**options))  # type: ignore[arg-type]
    assert [one.before for one in everything.doubled] == [("first",), ("pointwise",)]
    _same(net, network(chosen.model))
    _same(net, network(everything.model))
    with pytest.raises(RecipeError, match="Close names: 'pointwise'"):
        split_channels(found, ChannelSplitOptions(interested_layers=("pointwize",)))


@pytest.mark.parametrize(
    ("most", "copies", "readers"),
    [(np.inf, 2, [0.8, 0.45, 0.8, 0.1]), (0.3, 1, [0.8, 0.9, 0.8, 0.1]), (0.1, 0, [1.6, 0.9, 0.8, 0.1])],
)
def test_a_share_of_the_largest_weight(most: float, copies: int, readers: list[float]) -> None:
    """Only what is read counts, and only that gets smaller; the largest first, as many as there is room for."""
    found, net = canonical(_pair([_relu()], [0.1, 4.0, 4.0, 4.0], [1.6, 0.9, 0.8, 0.1]))
    options = ChannelSplitOptions(iterations=9, value_threshold=0.51, relative=True, most=most)
    result = split_channels(found, options)
    assert [one.copies for one in result.doubled] == [copies] * (copies > 0)
    assert not any(one.smaller for one in result.doubled)
    after = network(result.model)
    assert np.allclose(np.abs(_weights(after, "down")).max(axis=(0, 2, 3))[:4], readers)
    assert np.allclose(np.abs(_weights(after, "up")).max(axis=(1, 2, 3))[:4], [0.1, 4, 4, 4])
    _same(net, after)


@pytest.mark.parametrize(
    "wrong", [{"most": 0.0}, {"opt_level": 0}, {"iterations": -1}, {"value_threshold": 0.0}, {"bias_multiplier": -1.0}]
)
def test_numbers_out_of_range(wrong: dict[str, Any]) -> None:
    """The option is named."""
    with pytest.raises(RecipeError) as caught:
        ChannelSplitOptions(**wrong)
    assert caught.value.subject == next(iter(wrong))


def test_the_model_given_stays_as_it_is() -> None:
    """Rewrites of a copy."""
    found, _ = canonical(chain(np.random.default_rng(3), 4.0))
    before = ir.to_proto(found).SerializeToString(deterministic=True)
    assert split_channels(found, ChannelSplitOptions(value_threshold=0.1)).doubled
    assert ir.to_proto(found).SerializeToString(deterministic=True) == before


@settings(max_examples=25, deadline=None)
@given(models(), st.integers(1, 2))
def test_random_networks_stay_the_same(proto: onnx.ModelProto, level: int) -> None:
    """Whatever the network; costs are what the network says."""
    found, net = canonical(proto)
    result = split_channels(found, ChannelSplitOptions(iterations=2, value_threshold=0.4, opt_level=level))
    assert result.extra == difference(found, result.model)
    after = network(result.model)
    (sample,) = samples(net, 1)
    one, other = run(net, sample), run(after, sample)
    for name, array in one.items():
        assert np.allclose(other[name], array, atol=1e-4 * float(np.abs(array).max(initial=1e-3)), rtol=1e-4), name


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("activation", ["Relu", "Clip"])
def test_it_runs(target: str, bits: int, activation: str) -> None:
    """Split, quantized, lowered, written; close to the float network."""
    found, net = canonical(chain(np.random.default_rng(6), 2.0, activation))
    result = split_channels(found, ChannelSplitOptions(value_threshold=0.3, iterations=2))
    assert len(result.doubled) == (2 if activation == "Relu" else 1)
    after, program = deployed(result.model, target, bits)
    wanted = [run(net, sample)["y"] for sample in samples(net, 8)]
    assert noise(after, program, target, wanted) < (0.1 if bits == 8 else 1e-5)


def test_it_helps_where_few_weights_are_large() -> None:
    """One input channel whose weights take all the range: at least 3 dB less noise in int8."""
    proto = chain(np.random.default_rng(4), activation="Clip")
    for index, tensor in enumerate(proto.graph.initializer):
        if tensor.name == "w3":
            array = onnx.numpy_helper.to_array(tensor).copy()
            array[:, 5] *= 10
            proto.graph.initializer[index].CopyFrom(onnx.numpy_helper.from_array(array, "w3"))
    found, net = canonical(proto)
    wanted = [run(net, sample)["y"] for sample in samples(net, 32)]
    options = ChannelSplitOptions(value_threshold=1.2, interested_layers=("first",))
    split = split_channels(found, options)
    before, after = (noise(*deployed(m, "esp32s3", 8), "esp32s3", wanted) for m in (found, split.model))
    assert after < 0.5 * before
