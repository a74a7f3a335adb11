"""Horizontal layer split: the same function, smaller weights, costs as stated, and it runs."""

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
from tests.e2e.random_models import models
from tinsmith.algorithms.split_layers import LAYERS, Extra, SplitOptions, split_layers
from tinsmith.errors import RecipeError
from tinsmith.graph.network import as_float_node, network
from tinsmith.graph.provenance import origins
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network
from tinsmith.placement import place
from tinsmith.targets import find


def _node(net: Network, name: str) -> FloatNode:
    return next(node for node in net.nodes if node.name == name)


def _weights(net: Network, name: str) -> Array:
    found = _node(net, name).const(1)
    assert found is not None
    return found


def _same(before: Network, after: Network) -> None:
    for sample in samples(before, 2, seed=3):
        one, other = run(before, sample), run(after, sample)
        assert one.keys() == other.keys()
        for name, array in one.items():
            assert np.abs(other[name] - array).max() <= 1e-5 * max(float(np.abs(array).max()), 1e-3), name


def costs(found: ir.Model) -> tuple[int, int]:
    """Multiply-accumulates and weights, node by node."""
    nodes = [as_float_node(node) for node in found.graph]
    weights = [node.const(1) for node in nodes if node.op_type in LAYERS]
    macs = sum(operators()[node.op_type].cost(node).macs for node in nodes)
    return macs, sum(array.size for array in weights if array is not None)


def difference(before: ir.Model, after: ir.Model) -> Extra:
    """What one costs more than the other."""
    one, other = costs(before), costs(after)
    return Extra(other[0] - one[0], other[1] - one[1])


def _outlier() -> onnx.ModelProto:
    """A chain whose pointwise layer has a few weights 40 times as large as the others."""
    proto = chain(np.random.default_rng(4))
    for index, tensor in enumerate(proto.graph.initializer):
        if tensor.name == "w3":
            array = onnx.numpy_helper.to_array(tensor).copy()
            array[3, 5] = array[9, 1] = 8.0
            proto.graph.initializer[index].CopyFrom(onnx.numpy_helper.from_array(array, "w3"))
    return proto


def test_a_layer_becomes_two() -> None:
    """Weights beyond the threshold are halved; names stay where they were; the costs are what the network says."""
    found, net = canonical(_outlier())
    result = split_layers(found, SplitOptions(("pointwise",)))
    after = network(result.model)
    ((layer),) = result.layers
    old, first, second = (
        _weights(n, name) for n, name in ((net, "pointwise"), (after, layer.layer), (after, layer.part))
    )
    large = np.abs(old) > 2
    assert layer.shared == large.sum() == 2
    assert np.array_equal(first + second, old)
    assert np.array_equal(second, np.where(large, old / 2, 0))
    assert layer.largest == (8.0, 4.0, 4.0)
    assert _node(after, layer.layer).has(2)
    assert not _node(after, layer.part).has(2)
    assert _node(after, layer.sum).op_type == "Add"
    assert [o.name for o in _node(after, layer.sum).outputs] == [o.name for o in _node(net, "pointwise").outputs]
    assert result.extra == layer.extra == difference(found, result.model)
    assert layer.extra.macs >= 16 * 12 * 64
    assert (layer.extra.weight_bytes(8), layer.extra.weight_bytes(16)) == (16 * 12, 2 * 16 * 12)
    _same(net, after)


def test_random_shares_are_the_same_every_time() -> None:
    """Between zero and the whole weight; another seed, other shares."""
    found, net = canonical(_outlier())

    def second(seed: int) -> Array:
        result = split_layers(found, SplitOptions(("pointwise",), method="random", seed=seed))
        _same(net, network(result.model))
        return _weights(network(result.model), result.layers[0].part)

    one = second(0)
    assert np.array_equal(one, second(0))
    assert not np.array_equal(one, second(1))
    assert np.count_nonzero(one) == 2
    assert np.all((one >= 0) & (one < 8))


def test_small_weights_are_left_alone() -> None:
    """Nothing beyond the threshold: the layer is named, the graph is what it was."""
    found, net = canonical(_outlier())
    result = split_layers(found, SplitOptions(("pointwise", "first"), value_threshold=8.0))
    assert result.untouched == ("first", "pointwise")
    assert result.layers == ()
    assert result.extra == Extra(0, 0)
    assert [node.name for node in network(result.model).nodes] == [node.name for node in net.nodes]


def test_the_model_given_stays_as_it_is() -> None:
    """Rewrites of a copy."""
    found, _ = canonical(_outlier())
    before = ir.to_proto(found).SerializeToString(deterministic=True)
    split_layers(found, SplitOptions((".*",), value_threshold=0.0))
    assert ir.to_proto(found).SerializeToString(deterministic=True) == before


def test_the_old_name_means_all_parts() -> None:
    """Of options for layers, and of reports."""
    found, _ = canonical(_outlier())
    result = split_layers(found, SplitOptions(("pointwise",)))
    (layer,) = result.layers
    wide = {
        name for name, d in place(network(result.model), find("esp32s3"), int16=["^pointwise$"]).items() if d.bits == 16
    }
    assert {layer.layer, layer.part, layer.sum} <= wide
    assert "first" not in wide
    (origin,) = [origin for origin in origins(result.model) if origin.node == "pointwise"]
    assert set(origin.into) == {layer.layer, layer.part, layer.sum}


@pytest.mark.parametrize(
    ("options", "subject", "match"),
    [
        ({"interested_layers": ()}, "interested_layers", "no layer is named"),
        ({"interested_layers": ("a",), "value_threshold": -1.0}, "value_threshold", "at least 0"),
        ({"interested_layers": ("a",), "method": "half"}, "method", "neither 'balance' nor 'random'"),
    ],
)
def test_wrong_options(options: dict[str, Any], subject: str, match: str) -> None:
    """Named, with the reason."""
    with pytest.raises(RecipeError, match=match) as caught:
        SplitOptions(**options)
    assert caught.value.subject == subject


@pytest.mark.parametrize("name", ["pointwize", "act1"])
def test_layers_that_cannot_be_split(name: str) -> None:
    """Unknown ones, and nodes without weights."""
    with pytest.raises(RecipeError, match="matches no layer with constant weights"):
        split_layers(canonical(_outlier())[0], SplitOptions((name,)))


@settings(max_examples=25, deadline=None)
@given(models(), st.sampled_from(["balance", "random"]))
def test_random_networks_stay_the_same(proto: onnx.ModelProto, method: str) -> None:
    """Every layer split, whatever the network; costs are what the network says."""
    found, net = canonical(proto)
    if not any(node.op_type in LAYERS for node in net.nodes):
        return
    result = split_layers(found, SplitOptions((".*",), value_threshold=0.1, method=method))
    after = network(result.model)
    assert result.extra == difference(found, result.model)
    (sample,) = samples(net, 1)
    one, other = run(net, sample), run(after, sample)
    for name, array in one.items():
        assert np.allclose(other[name], array, atol=1e-4 * float(np.abs(array).max(initial=1e-3)), rtol=1e-4), name


def _kinds() -> onnx.ModelProto:
    """Conv with groups, ConvTranspose, depthwise Conv and Gemm."""
    rng = np.random.default_rng(5)
    weights = {
        "w1": rng.standard_normal((16, 3, 3, 3)),
        "w2": rng.standard_normal((16, 16, 2, 2)) / 4,
        "w3": rng.standard_normal((16, 1, 3, 3)),
        "w4": rng.standard_normal((16, 5)),
        "b": rng.standard_normal(16),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b"], ["c"], name="conv", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("ConvTranspose", ["r", "w2", "b"], ["t"], name="up", strides=[2, 2]),
        helper.make_node("Conv", ["t", "w3", "b"], ["d"], name="depthwise", group=16),
        helper.make_node("GlobalAveragePool", ["d"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w4"], ["y"], name="classes"),
    ]
    return model(nodes, {"x": (1, 3, 6, 6)}, {"y": (1, 5)}, weights)


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_kind_runs(target: str, bits: int) -> None:
    """Split, quantized, lowered, written; close to the float network."""
    found, net = canonical(_kinds())
    result = split_layers(found, SplitOptions((".*",), value_threshold=0.5))
    assert [layer.layer for layer in result.layers] == ["conv", "up", "depthwise", "classes"]
    assert [layer.unfused for layer in result.layers] == ["relu", "", "", ""]
    _same(net, network(result.model))
    after, program = deployed(result.model, target, bits)
    wanted = [run(net, sample)["y"] for sample in samples(net, 8)]
    assert noise(after, program, target, wanted) < (0.05 if bits == 8 else 1e-5)


def test_it_helps_where_few_weights_are_large() -> None:
    """Two weights that take all the range: at least 3 dB less noise in int8."""
    found, net = canonical(_outlier())
    wanted = [run(net, sample)["y"] for sample in samples(net, 32)]
    split = split_layers(found, SplitOptions(("pointwise",))).model
    before, after = (noise(*deployed(m, "esp32s3", 8), "esp32s3", wanted) for m in (found, split))
    assert after < 0.5 * before
