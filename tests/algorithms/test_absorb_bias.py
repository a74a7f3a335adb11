"""Absorption: ranges are centred or lowered, the function stays, and nothing goes where it would be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import helper

from tests.algorithms.deployed import deployed, noise
from tests.algorithms.scalable import canonical, model, run, samples
from tests.e2e.random_models import models
from tinsmith.algorithms.absorb_bias import RESERVE, Absorbed, absorb
from tinsmith.algorithms.draft import separated
from tinsmith.algorithms.shift_paths import shift_paths
from tinsmith.graph.network import with_constants
from tinsmith.ops.floatnode import Array, Network

Nodes = list[onnx.NodeProto]


def _conv(name: str, source: str, result: str, weights: str, *more: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, weights, *more], [result], name=name, **attributes)


def _net(nodes: Nodes, channels: int = 4, size: int = 6, **constants: Array) -> tuple[onnx.ModelProto, Network]:
    """First a convolution "start" x → a with large biases; ``nodes`` compute y from a."""
    known = {
        "w0": np.random.default_rng(1).standard_normal((channels, 3, 1, 1)),
        "b0": np.linspace(-9, 12, channels),
        **constants,
    }
    start = _conv("start", "x", "a", "w0", "b0")
    used = {name for node in nodes for name in node.input} | {"w0", "b0"}
    wanted = {name: array for name, array in known.items() if name in used}
    probe = model([start, *nodes], {"x": (1, 3, size, size)}, {}, wanted)
    probe.graph.output.append(onnx.ValueInfoProto(name="y"))
    shape = onnx.shape_inference.infer_shapes(probe).graph.output[0].type.tensor_type.shape
    extents = tuple(dim.dim_value for dim in shape.dim)
    proto = model([start, *nodes], {"x": (1, 3, size, size)}, {"y": extents}, wanted)
    return proto, separated(canonical(proto)[1])


def _absorbed(proto: onnx.ModelProto, count: int = 6) -> tuple[Network, Absorbed, list[dict[str, Array]]]:
    found, net = canonical(proto)
    net = separated(net)
    data = samples(net, count)
    result = absorb(found, net, data)
    for sample in data[:3]:
        before, after = run(net, sample), run(result.network, sample)
        for name, array in before.items():
            assert np.abs(after[name] - array).max() <= 1e-5 * max(float(np.abs(array).max()), 1.0), name
    return net, result, data


def _range(net: Network, data: list[dict[str, Array]], name: str) -> tuple[Array, Array]:
    """Lowest and highest of each channel."""
    operand = next(o for node in net.nodes for o in node.outputs if o.name == name)
    arrays = [run(Network(net.nodes, net.inputs, (operand,)), sample)[name] for sample in data]
    axes = tuple(d for d in range(arrays[0].ndim) if d != 1)
    return np.min([a.min(axis=axes) for a in arrays], axis=0), np.max([a.max(axis=axes) for a in arrays], axis=0)


POINT = {
    "w1": np.random.default_rng(2).standard_normal((5, 4, 1, 1)),
    "b1": np.random.default_rng(2).standard_normal(5),
}


def test_a_linear_bottleneck_is_centred() -> None:
    """Each channel lies as far above zero as below; the value's range shrinks; who reads it pays with its bias."""
    proto, _ = _net([_conv("next", "a", "y", "w1", "b1")], **POINT)
    net, result, data = _absorbed(proto)
    low, high = _range(result.network, data, "a")
    assert np.allclose(low, -high, atol=1e-5)
    before = _range(net, data, "a")
    assert np.abs(high).max() < 0.5 * max(np.abs(before[0]).max(), np.abs(before[1]).max())
    assert np.allclose(np.unique(result.shifts["a"]), np.unique((before[0] + before[1]) / 2), atol=1e-5)
    assert set(result.shifts) == {"a"}


def test_the_model_can_be_written_with_a_new_bias() -> None:
    """A layer that had none gets one, in the network and in the model made from it."""
    proto, _ = _net([_conv("next", "a", "y", "w1")], **POINT)
    net, result, data = _absorbed(proto)
    assert not net.nodes[1].has(2)
    assert result.network.nodes[1].has(2)
    found, plain = canonical(proto)
    changed = with_constants(found, plain, result.network)
    (reader,) = [node for node in changed.graph if node.name == "next"]
    assert reader.inputs[2] is not None
    from tinsmith.graph.network import network

    assert np.allclose(run(network(changed), data[0])["y"], run(net, data[0])["y"], atol=1e-4)


def test_residual_sums() -> None:
    """Each block's layer centres its own result and the sum it leads to, as well as one constant can."""
    nodes = [
        _conv("inner", "a", "m", "w1", "b1"),
        helper.make_node("Relu", ["m"], ["r"], name="relu"),
        _conv("outer", "r", "b", "w2", "b2"),
        helper.make_node("Add", ["a", "b"], ["s"], name="sum"),
        _conv("next", "s", "y", "w1", "b1"),
    ]
    proto, _ = _net(nodes, w2=np.random.default_rng(2).standard_normal((4, 5, 1, 1)), b2=np.full(4, 5.0), **POINT)
    _, result, data = _absorbed(proto)
    low, high = _range(result.network, data, "a")
    assert np.allclose(low, -high, atol=1e-4)
    one, two = _range(result.network, data, "b"), _range(result.network, data, "s")
    assert np.allclose(np.minimum(one[0], two[0]), -np.maximum(one[1], two[1]), atol=1e-4)
    assert np.allclose(result.shifts["s"], result.shifts["a"] + result.shifts["b"])


def test_a_difference_subtracts_the_constants() -> None:
    """The second operand's constants arrive with the other sign."""
    nodes = [
        _conv("other", "x", "b", "w2", "b2"),
        helper.make_node("Sub", ["a", "b"], ["s"], name="difference"),
        _conv("next", "s", "y", "w1", "b1"),
    ]
    proto, _ = _net(nodes, w2=np.random.default_rng(2).standard_normal((4, 3, 1, 1)), b2=np.full(4, 5.0), **POINT)
    _, result, _ = _absorbed(proto)
    assert np.allclose(result.shifts["s"], result.shifts["a"] - result.shifts["b"])
    assert np.abs(result.shifts["b"]).min() > 1


@pytest.mark.parametrize(
    "nodes",
    [
        [_conv("next", "a", "y", "w3", pads=[1] * 4)],
        [_conv("next", "a", "y", "w1", pads=[0, 0, 0, 1])],
        [helper.make_node("Sigmoid", ["a"], ["y"], name="s")],
        [helper.make_node("Sigmoid", ["a"], ["g"], name="s"), helper.make_node("Mul", ["a", "g"], ["y"], name="m")],
        [helper.make_node("Add", ["a", "a"], ["y"], name="twice")],
        [helper.make_node("Add", ["a", "a"], ["t"], name="twice"), _conv("next", "t", "y", "w1")],
        [helper.make_node("Relu", ["a"], ["y"], name="end")],
        [helper.make_node("ConvTranspose", ["a", "w4"], ["y"], name="up", strides=[2, 2])],
        [helper.make_node("LeakyRelu", ["a"], ["l"], name="leaky"), _conv("next", "l", "y", "w1")],
        [
            helper.make_node("AveragePool", ["a"], ["p"], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
            _conv("next", "p", "y", "w1"),
        ],
        [
            _conv("next", "a", "b", "w1"),
            _conv("padded", "a", "c", "w3", pads=[1] * 4),
            helper.make_node("Add", ["b", "c"], ["y"]),
        ],
    ],
)
def test_where_nothing_may_be_shifted(nodes: Nodes) -> None:
    """Borders of zeros, functions, results of the network, positions that are treated differently."""
    proto, _ = _net(
        nodes,
        w3=np.random.default_rng(2).standard_normal((5, 4, 3, 3)),
        w4=np.random.default_rng(2).standard_normal((4, 2, 2, 2)),
        **POINT,
    )
    net, result, _ = _absorbed(proto)
    assert result.network is net
    assert not result.shifts


@pytest.mark.parametrize(
    "nodes",
    [
        [_conv("next", "a", "y", "w3")],
        [_conv("next", "a", "y", "w1", strides=[2, 2])],
        [_conv("next", "a", "d", "w5", group=4), helper.make_node("Relu", ["d"], ["y"])],
        [helper.make_node("ConvTranspose", ["a", "w6"], ["y"], name="up")],
        [helper.make_node("GlobalAveragePool", ["a"], ["p"]), _conv("next", "p", "y", "w1")],
        [helper.make_node("AveragePool", ["a"], ["p"], kernel_shape=[2, 2]), _conv("next", "p", "y", "w1")],
        [helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[3, 3], pads=[1] * 4), _conv("next", "p", "y", "w1")],
        [
            helper.make_node("GlobalAveragePool", ["a"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "w7", "b1"], ["y"], transB=1),
        ],
        [helper.make_node("Flatten", ["a"], ["f"]), helper.make_node("Gemm", ["f", "w8"], ["y"])],
        [
            helper.make_node("Split", ["a", "sizes"], ["l", "r"], axis=1),
            helper.make_node("Concat", ["r", "l"], ["c"], axis=1),
            _conv("next", "c", "y", "w1"),
        ],
        [_conv("next", "a", "b", "w1"), _conv("last", "a", "c", "w1"), helper.make_node("Add", ["b", "c"], ["y"])],
        [
            helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[1, 2]),
            helper.make_node("Add", ["p", "k"], ["s"], name="sum"),
            _conv("next", "s", "y", "w1"),
        ],
    ],
)
def test_where_everything_may_be_shifted(nodes: Nodes) -> None:
    """Windows without borders, pooling, data movers, several readers, a constant that is added."""
    constants = {
        "w3": np.random.default_rng(2).standard_normal((5, 4, 3, 3)),
        "w5": np.random.default_rng(2).standard_normal((4, 1, 3, 3)),
        "w6": np.random.default_rng(2).standard_normal((4, 2, 1, 1)),
        "w7": np.random.default_rng(2).standard_normal((5, 4)),
        "w8": np.random.default_rng(2).standard_normal((4 * 36, 3)) / 9,
        "sizes": np.array([1, 3], np.int64),
        "k": np.random.default_rng(2).standard_normal((1, 4, 1, 1)),
    }
    proto, _ = _net(nodes, **constants, **POINT)
    _, result, _ = _absorbed(proto)
    assert np.abs(result.shifts["a"]).max() > 5
    assert np.all(result.shifts["a"] != 0)


@pytest.mark.parametrize("kind", ["Relu", "Clip"])
def test_only_channels_that_are_never_cut(kind: str) -> None:
    """Before a Relu or Clip: lowered down to the reserve; channels that either end cuts stay."""
    bounds = ["zero", "top"] if kind == "Clip" else []
    nodes = [helper.make_node(kind, ["a", *bounds], ["r"], name="act"), _conv("next", "r", "y", "w1", "b1")]
    bias = np.array([-20.0, 0.0, 20.0, 45.0])
    proto, _ = _net(nodes, **(POINT | {"zero": np.zeros(()), "top": np.full((), 44.0), "b0": bias}))
    net, result, data = _absorbed(proto)
    before, after = _range(net, data, "a"), _range(result.network, data, "a")
    shifts = (before[0] - after[0]).round(4)
    assert np.array_equal(shifts[:2], [0, 0])
    cut = kind == "Clip"
    assert (shifts[3] == 0) == cut
    for channel in (2,) if cut else (2, 3):
        size = before[1][channel] - before[0][channel]
        assert shifts[channel] > 5
        assert np.isclose(after[0][channel], RESERVE * size, rtol=1e-3)
    assert np.allclose(result.shifts["r"], result.shifts["a"])


def test_nothing_without_samples() -> None:
    """Nobody knows the ranges."""
    proto, net = _net([_conv("next", "a", "y", "w1", "b1")], **POINT)
    found, _ = canonical(proto)
    assert absorb(found, net, []).network is net


@settings(max_examples=30, deadline=None)
@given(models())
def test_random_networks_stay_the_same(proto: onnx.ModelProto) -> None:
    """On the data that were seen, up to float rounding; and no mark says what is not so."""
    found, net = canonical(proto)
    net = separated(net)
    data = samples(net, 3)
    result = absorb(found, net, data)
    for sample in data:
        before, after = run(net, sample), run(result.network, sample)
        for name, array in before.items():
            assert np.allclose(after[name], array, atol=2e-4 * float(np.abs(array).max(initial=1e-3)), rtol=1e-3), name
        for name, shift in result.shifts.items():
            operand = next(o for node in net.nodes for o in node.outputs if o.name == name)
            old, new = (run(Network(n.nodes, n.inputs, (operand,)), sample)[name] for n in (net, result.network))
            assert np.allclose(old - new, shift, atol=1e-3 * max(float(np.abs(old).max()), 1e-3)), name


def test_paths_of_a_block() -> None:
    """Marks are numbers of channels; who takes them is named."""
    _, net = _net([_conv("next", "a", "b", "w1", "b1"), helper.make_node("Relu", ["b"], ["y"])], **POINT)
    (path,) = shift_paths(net)
    assert path.node.name == "start"
    assert [taker.node.name for taker in path.takers] == ["next"]
    assert np.array_equal(path.takers[0].columns, [1, 2, 3, 4])
    assert path.free.all()


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
@pytest.mark.parametrize("bits", [8, 16])
def test_it_runs_and_helps_where_biases_are_high(target: str, bits: int) -> None:
    """Channels between -20 and 20 that vary by a tenth of that: 7 dB less noise on the chip in either width."""
    nodes = [_conv("next", "a", "b", "w1", "b1"), helper.make_node("Relu", ["b"], ["y"], name="relu")]
    proto, _ = _net(nodes, **(POINT | {"b0": np.array([-20.0, 20.0, 15.0, -18.0])}))
    found, net = canonical(proto)
    result = absorb(found, separated(net), samples(net, 8))
    wanted = [run(net, sample)["y"].transpose(0, 2, 3, 1) for sample in samples(net, 8)]
    before, after = (
        noise(*deployed(one, target, bits), target, wanted)
        for one in (found, with_constants(found, net, result.network))
    )
    assert after < 0.2 * before
