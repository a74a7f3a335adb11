"""Layers in parts that fit the cache: the same integers, weights that fit, and nothing that does not pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import tinsmith
from tests.algorithms.scalable import canonical, model, run, samples
from tinsmith.algorithms.join_outputs import Joined, join_outputs
from tinsmith.algorithms.scales import choose_formats, observed_values
from tinsmith.algorithms.split_outputs import PartedModel, split_outputs
from tinsmith.calibrate.observe import observe
from tinsmith.estimate.latency import latency
from tinsmith.estimate.parts import room_for_weights
from tinsmith.estimate.work import works
from tinsmith.graph.network import network
from tinsmith.graph.provenance import origins
from tinsmith.graph.ranges import attach, ranges_of
from tinsmith.lower import lower
from tinsmith.lower.lowerer import Lowered
from tinsmith.ops.floatnode import Array, Network
from tinsmith.placement import place
from tinsmith.quant.format import Formats
from tinsmith.simulator.legality import violations
from tinsmith.targets import find


def layer(
    channels: int = 64,
    filters: int = 128,
    kernel: int = 3,
    size: int = 3,
    *,
    activation: str = "",
    bias: bool = True,
    seed: int = 0,
) -> onnx.ModelProto:
    """A Conv, large, an activation, and a small Conv behind."""
    rng = np.random.default_rng(seed)
    constants: dict[str, Array] = {
        "w": rng.standard_normal((filters, channels, kernel, kernel)) / np.sqrt(channels * kernel**2),
        "v": rng.standard_normal((3, filters, 1, 1)) / 9,
        "zero": np.zeros(()),
        "six": np.full((), 6.0),
    }
    if bias:
        constants["b"] = rng.standard_normal(filters) / 3
    bounds = ["zero", "six"] if activation == "Clip" else []
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"] if bias else ["x", "w"], ["c"], name="large", pads=[kernel // 2] * 4)
    ]
    if activation:
        nodes.append(helper.make_node(activation, ["c", *bounds], ["a"], name="act"))
    nodes.append(helper.make_node("Conv", ["a" if activation else "c", "v"], ["y"], name="small"))
    constants = {name: array for name, array in constants.items() if name not in ("zero", "six") or bounds}
    return model(nodes, {"x": (1, channels, size, size)}, {"y": (1, 3, size, size)}, constants)


def widths_of(net: Network, target: str, bits: int = 8, int16: tuple[str, ...] = ()) -> dict[str, int]:
    found = place(net, find(target), bits=bits, int16=int16)
    return {name: decision.bits for name, decision in found.items()}


def split(proto: onnx.ModelProto, target: str, bits: int = 8) -> PartedModel:
    found, net = canonical(proto)
    return split_outputs(found, widths_of(net, target, bits), find(target))


def lowered(joined: Joined, target: str) -> Lowered:
    return lower(joined.network, joined.formats, joined.widths, find(target))


def both(proto: onnx.ModelProto, target: str, bits: int = 8) -> tuple[PartedModel, Joined, Joined]:
    """What was split; with formats, in parts and whole, in which the same weights have the same exponents."""
    parted = split(proto, target, bits)
    net, chip = network(parted.model), find(target)
    widths = widths_of(net, target, bits)
    values, observed = observed_values(net, widths, chip)
    stats = observe(parted.model, values, samples(net, 4), rounding=chip.rounding, bits=observed)
    formats = choose_formats(net, widths, stats, chip)
    whole = join_outputs(net, formats, widths, parted.layers)
    uses = dict(formats.uses)
    for found in parted.layers:
        common = whole.formats.uses[found.layer, 1]
        if common.axis is None:
            uses.update({(part, 1): common for part in found.parts})
    return parted, Joined(net, Formats(formats.values, uses), widths), whole


def results(found: Lowered, net: Network, target: str) -> Mapping[str, Array]:
    data = {
        o.name: np.stack([s[o.name].transpose(found.perms[o.name]) for s in samples(net, 3, seed=7)])
        for o in net.inputs
    }
    return tinsmith.simulate(found.program, data, target)


def equal(proto: onnx.ModelProto, target: str, bits: int = 8) -> PartedModel:
    """In parts and whole the chip computes the same integers; the parts fit and are faster."""
    parted, parts, whole = both(proto, target, bits)
    assert parted.layers
    programs = lowered(parts, target), lowered(whole, target)
    one, other = (results(found, parts.network, target) for found in programs)
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.any()
        assert np.array_equal(array, other[name]), name
    chip = find(target)
    assert not violations(programs[0].program, chip)
    room = room_for_weights(chip)
    names = {part for found in parted.layers for part in found.parts}
    panels = [work.work.panel for work in works(programs[0].program, chip) if work.node in names]
    assert len(panels) == len(names)
    assert 0 < max(panels) <= room
    times = [latency(found.program, chip) for found in programs]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0].single_ms < times[1].single_ms
    return parted


@pytest.mark.parametrize("activation", ["", "Relu", "Clip"])
@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_the_same_integers(target: str, activation: str) -> None:
    wide = 1 if target == "esp32s3" else 4
    parted = equal(layer(64, 128 * wide, activation=activation, bias=activation != "Relu"), target)
    (found,) = parted.layers
    assert (found.layer, found.parts, found.concat) == ("large", ("large_part1", "large_part2"), "large_concat")
    assert found.filters == (64 * wide, 64 * wide)
    assert found.activations == (("act_part1", "act_part2") if activation else ())


def test_the_same_integers_in_int16() -> None:
    (found,) = equal(layer(48, 88, activation="Relu"), "esp32s3", 16).layers
    assert found.filters == (48, 40)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(17, 130),
    st.integers(20, 200),
    st.sampled_from([1, 3]),
    st.sampled_from(["", "Relu", "Clip"]),
    st.booleans(),
    st.integers(0, 9),
)
def test_any_channels(channels: int, filters: int, kernel: int, activation: str, bias: bool, seed: int) -> None:
    proto = layer(channels, filters, kernel, activation=activation, bias=bias, seed=seed)
    if channels * filters * kernel**2 <= 1.15 * room_for_weights(find("esp32s3")):
        assert len(split(proto, "esp32s3").layers) <= 1
        return
    equal(proto, "esp32s3")


@pytest.mark.parametrize("activation", ["", "Clip"])
def test_the_float_network_is_the_same_and_comes_back(activation: str) -> None:
    proto = layer(activation=activation)
    _, net = canonical(proto)
    parted, parts, whole = both(proto, "esp32s3")
    for sample in samples(net, 2, seed=3):
        assert np.allclose(run(net, sample)["y"], run(parts.network, sample)["y"], rtol=0, atol=1e-5)
    assert [node.op_type for node in whole.network.nodes] == [node.op_type for node in net.nodes]
    for one, other in zip(net.nodes, whole.network.nodes, strict=True):
        assert [o.shape for o in one.outputs] == [o.shape for o in other.outputs]
        constants = [[node.const(index) for index in range(len(node.inputs))] for node in (one, other)]
        for array, found in zip(*constants, strict=True):
            assert (array is None and found is None) or np.array_equal(np.asarray(array), np.asarray(found))
    assert [o.name for o in network(parted.model).outputs] == [o.name for o in net.outputs]


def test_names_lead_to_all_parts() -> None:
    """A name of the user's chooses all that the layer became, and reports find it."""
    parted = split(layer(activation="Relu"), "esp32s3")
    net = network(parted.model)
    chosen = widths_of(net, "esp32s3", int16=("large",))
    assert {name for name, bits in chosen.items() if bits == 16} >= {"large_part1", "large_part2", "large_concat"}
    became = {origin.node: origin for origin in origins(parted.model)}
    assert became["large"].kind == "rewritten"
    assert set(became["large"].into) >= {"large_part1", "large_part2"}
    assert set(became["act"].into) == {"act_part1", "act_part2", "large_concat"}


@pytest.mark.parametrize("operator", ["Gemm", "Gemm of columns", "MatMul"])
def test_products_with_a_matrix(operator: str) -> None:
    rng = np.random.default_rng(0)
    turned = operator == "Gemm"
    weights = rng.standard_normal((300, 272) if turned else (272, 300)) / 16
    inputs = ["x", "w"] if operator == "MatMul" else ["x", "w", "b"]
    attributes: dict[str, Any] = {"transB": 1} if turned else {}
    nodes = [
        helper.make_node(operator.split()[0], inputs, ["m"], name="product", **attributes),
        helper.make_node("Relu", ["m"], ["y"], name="act"),
    ]
    constants: dict[str, Array] = {"w": weights} | ({"b": np.full((1,), 0.25)} if len(inputs) == 3 else {})
    proto = model(nodes, {"x": (12, 272)}, {"y": (12, 300)}, constants)
    proto = proto if operator != "MatMul" else model(nodes, {"x": (1, 12, 272)}, {"y": (1, 12, 300)}, constants)
    (found,) = equal(proto, "esp32s3").layers
    assert found.filters == (160, 140)


def test_what_reads_the_result() -> None:
    """A sum with the layer's input, a second reader, and the value as an output of the network."""
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((96, 96, 3, 3)) / 30, "b": rng.standard_normal(96) / 3}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="large", pads=[1] * 4),
        helper.make_node("Add", ["c", "x"], ["s"], name="sum"),
        helper.make_node("Relu", ["c"], ["r"], name="act"),
        helper.make_node("Mul", ["s", "r"], ["p"], name="product"),
    ]
    shape = (1, 96, 3, 3)
    (found,) = equal(model(nodes, {"x": shape}, {"p": shape, "c": shape}, constants), "esp32s3").layers
    assert found.activations == ()


def grouped(size: int) -> onnx.ModelProto:
    constants = {"w": np.random.default_rng(0).standard_normal((7000, 1, 3, 3))}
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="depthwise", pads=[1] * 4, group=7000)]
    return model(nodes, {"x": (1, 7000, size, size)}, {"y": (1, 7000, size, size)}, constants)


@pytest.mark.parametrize(
    ("proto", "target"),
    [
        pytest.param(layer(), "esp32p4", id="fits"),
        pytest.param(layer(size=1), "esp32s3", id="read once"),
        pytest.param(layer(512, 32), "esp32s3", id="a vector of filters is too large"),
        pytest.param(grouped(3), "esp32s3", id="depthwise"),
    ],
)
def test_nothing_to_split(proto: onnx.ModelProto, target: str) -> None:
    assert split(proto, target).layers == ()


def test_only_where_it_pays() -> None:
    """Of weights a little larger than the cache, a few bytes are read again: that pays for many positions only."""
    constants = {"w": np.random.default_rng(0).standard_normal((103, 576, 1, 1))}

    def convolved(size: int) -> onnx.ModelProto:
        nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")]
        return model(nodes, {"x": (1, 576, 1, size)}, {"y": (1, 103, 1, size)}, constants)

    assert split(convolved(2), "esp32s3").layers == ()
    (found,) = split(convolved(400), "esp32s3").layers
    assert 0 < found.saved_ms[0] < 10


def test_a_model_that_is_split_once_is_not_split_again() -> None:
    parted = split(layer(activation="Relu"), "esp32s3")
    widths = widths_of(network(parted.model), "esp32s3")
    assert split_outputs(parted.model, widths, find("esp32s3")).layers == ()


def test_float_layers_are_left_alone() -> None:
    found, net = canonical(layer())
    assert split_outputs(found, {node.name: 32 for node in net.nodes}, find("esp32s3")).layers == ()


def test_parts_inherit_ranges() -> None:
    found, net = canonical(layer(activation="Relu"))
    attach(found, {"c": (-2.0, 3.0), "a": (0.0, 3.0)})
    parted = split_outputs(found, widths_of(net, "esp32s3"), find("esp32s3"))
    assert ranges_of(parted.model) == {
        "large_part1": (-2.0, 3.0),
        "act_part1": (0.0, 3.0),
        "large_part2": (-2.0, 3.0),
        "act_part2": (0.0, 3.0),
        "a": (0.0, 3.0),
    }
