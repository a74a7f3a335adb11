from __future__ import annotations

import numpy as np

from tests.graph.models import model, node
from tests.shared import shared_path
from tinsmith.graph import canonicalize, network
from tinsmith.importers import load
from tinsmith.ops.floatnode import Network

W = np.random.default_rng(11).normal(size=(3, 3, 3, 3)).astype(np.float32)


def view() -> Network:
    nodes = [
        node("Conv", "x w", "c", "conv", pads=[1, 1, 1, 1]), node("Clip", "c _ top", "k", "clip"),
        node("Conv", "k w", "d", "again", strides=[2, 2]), node("Resize", "d _ f", "y", "up", mode="linear"),
    ]  # fmt: skip
    constants = {"w": W, "top": 6.0, "f": [1.0, 1.0, 2.0, 2.0]}
    return network(canonicalize(load(model(nodes, {"x": ("N", 3, 8, 8)}, "y", constants))))


def test_nodes_and_operands() -> None:
    net = view()
    assert [(step.op_type, step.name) for step in net.nodes] == [
        ("Conv", "conv"), ("Clip", "clip"), ("Conv", "again"), ("Resize", "up"),
    ]  # fmt: skip
    conv, clip, again, resize = net.nodes
    assert (net.name, [item.name for item in net.inputs], [item.name for item in net.outputs]) == ("test", ["x"], ["y"])
    assert (conv.input(0).shape, conv.outputs[0].shape, resize.outputs[0].shape) == (
        (1, 3, 8, 8),
        (1, 3, 8, 8),
        (1, 3, 6, 6),
    )
    assert conv.input(0).dtype == np.float32
    assert conv.input(0).const is None
    assert clip.inputs[1] is None
    assert clip.const(2) == 6.0
    assert again.integers("strides", ()) == (2, 2)
    assert resize.text("mode", "") == "linear"


def test_a_value_is_one_operand_everywhere() -> None:
    net = view()
    conv, clip, again, _ = net.nodes
    assert conv.outputs[0] is clip.input(0)
    assert conv.input(1) is again.input(1)
    assert conv.input(1).name == "w"
    assert np.array_equal(conv.const(1), W)  # type: ignore[arg-type]


def test_attributes_are_plain() -> None:
    nodes = [node("HardSigmoid", "x", "h"), node("Cast", "h", "i", to=7), node("Cast", "i", "y", to=1)]
    nodes.insert(1, node("LeakyRelu", "h", "l", alpha=0.25))
    nodes[2].input[0] = "l"
    net = network(canonicalize(load(model(nodes, {"x": (1, 3)}, "y"))))
    (function,) = net.nodes
    assert [dict(step.attributes) for step in function.body] == [{}, {"alpha": 0.25}, {"to": 7}, {"to": 1}]
    assert function.body[2].outputs[0].dtype == np.int64


def test_real_constants_are_not_copied() -> None:
    canonical = canonicalize(load(shared_path("data/models/mobilenetv2.onnx")))
    net = network(canonical)
    for step in net.nodes:
        for operand in step.inputs:
            if operand is not None and operand.const is not None and operand.const.size > 1000:
                tensor = canonical.graph.initializers[operand.name].const_value
                assert tensor is not None
                assert np.shares_memory(tensor.numpy(), operand.const)
