"""Orders of dimensions: what is laid out how, and which Transposes remain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import S3, Net, kinds
from tinsmith.program import Node
from tinsmith.quant.format import Format
from tinsmith.simulator.interpreter import interpret

LAST = (0, 2, 3, 1)
FIRST = (0, 3, 1, 2)


def transposes(nodes: tuple[Node, ...]) -> list[Node]:
    return [node for node in nodes if node.op_type == "Transpose"]


def test_an_input_of_a_convolution_is_channels_last() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "y", 8)
    found = net.lowered("y")
    assert found.program.inputs[0].shape == (1, 4, 5, 3)
    assert found.program.outputs[0].shape == (1, 4, 5, 8)
    assert found.perms == {"x": LAST, "y": LAST}
    assert kinds(found) == ["Conv"]


def test_an_input_of_a_one_dimensional_convolution_is_channels_last() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 9), "y", 8, kernel=3)
    assert net.lowered("y").program.inputs[0].shape == (1, 9, 3)


def test_an_input_of_a_matrix_product_keeps_its_order() -> None:
    net = Net()
    weights = net.const("w", np.ones((7, 6)))
    net.add("MatMul", [net.input("x", 1, 5, 7), weights], "y", (1, 5, 6))
    found = net.lowered("y")
    assert found.perms == {"x": (0, 1, 2), "y": (0, 1, 2)}
    assert kinds(found) == ["MatMul"]


def test_each_input_has_the_order_its_own_readers_want() -> None:
    net = Net()
    net.conv(net.input("image", 1, 3, 4, 5), "features", 8)
    net.add("MatMul", [net.input("sequence", 1, 5, 7), net.const("w", np.ones((7, 6)))], "mixed", (1, 5, 6))
    found = net.lowered("features", "mixed")
    assert (found.perms["image"], found.perms["sequence"]) == (LAST, (0, 1, 2))
    assert kinds(found) == ["Conv", "MatMul"]


def test_channels_last_where_it_makes_no_difference() -> None:
    net = Net()
    net.add("Sigmoid", [net.input("x", 1, 3, 4, 5)], "y")
    assert net.lowered("y").perms == {"x": LAST, "y": LAST}


def test_transposes_around_what_takes_any_order_fold_away() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    net.add("Transpose", ["a"], "b", (1, 4, 5, 8), perm=LAST)
    net.add("Sigmoid", ["b"], "c")
    net.add("Transpose", ["c"], "d", (1, 8, 4, 5), perm=FIRST)
    net.conv("d", "y", 8)
    assert kinds(net.lowered("y")) == ["Conv", "Sigmoid", "Conv"]


@given(st.lists(st.permutations(range(4)), min_size=1, max_size=5))
def test_a_chain_of_transposes_is_one_at_most(perms: list[list[int]]) -> None:
    net = Net()
    source = net.add("Sigmoid", [net.input("x", 1, 2, 3, 4)], "s")
    reference = np.arange(24).reshape(1, 2, 3, 4)
    for index, perm in enumerate(perms):
        reference = reference.transpose(perm)
        source = net.add("Transpose", [source], f"t{index}", reference.shape, perm=tuple(perm))
    net.add("Tanh", [source], "y")
    found = net.lowered("y")
    assert kinds(found) == ["Sigmoid", "Tanh"]
    out = found.program.outputs[0]
    back = np.arange(24).reshape(1, 2, 3, 4).transpose(LAST)
    assert out.shape == back.shape
    assert np.array_equal(reference.transpose(found.perms["y"]), back)


def test_one_transpose_serves_all_who_want_that_order() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    net.add("MatMul", ["a", net.const("w", np.ones((5, 6)))], "b", (1, 8, 4, 6))
    net.add("MatMul", ["a", net.const("v", np.ones((5, 7)))], "c", (1, 8, 4, 7))
    found = net.lowered("b", "c")
    assert kinds(found) == ["Conv", "Transpose", "MatMul", "MatMul"]
    (turn,) = transposes(found.program.nodes)
    assert (turn.name, turn.inputs, turn.outputs) == ("a_transposed_Transpose", ("a",), ("a_transposed",))
    assert turn.attributes["perm"] == FIRST
    assert found.program.values["a_transposed"].shape == (1, 8, 4, 5)


def test_a_transpose_of_another_format_is_another_one() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    net.add("MatMul", ["a", net.const("w", np.ones((5, 6)))], "b", (1, 8, 4, 6))
    net.add("MatMul", ["a", net.const("v", np.ones((5, 7)))], "c", (1, 8, 4, 7))
    found = net.lowered("b", "c", formats=net.formats(uses={("C", 0): Format(8, (1,))}))
    assert kinds(found) == ["Conv", "Transpose", "MatMul", "RequantizeLinear", "Transpose", "MatMul"]
    exponents = {node.inputs[0]: found.program.values[node.inputs[0]].exponent for node in found.program.nodes}
    assert (exponents["a_transposed"], exponents["a_requantized_transposed"]) == (0, 1)


@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (0, 3, 2, 1), (3, 2, 1, 0)])
def test_a_graph_output_has_the_order_the_user_asked_for(perm: tuple[int, ...]) -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    shape = tuple((1, 8, 4, 5)[axis] for axis in perm)
    net.add("Transpose", ["a"], "y", shape, perm=perm)
    found = net.lowered("a", "y")
    (turn,) = transposes(found.program.nodes)
    assert (turn.name, turn.inputs, turn.outputs) == ("Y", ("a",), ("y",))
    assert found.program.outputs[1].shape == shape
    assert found.perms["y"] == (0, 1, 2, 3)
    x = np.arange(60).astype(np.int8).reshape(1, 4, 5, 3)
    tensors = interpret(found.program, {"x": x}, S3)
    assert np.array_equal(tensors["y"], tensors["a"].transpose(FIRST).transpose(perm))


def test_a_graph_output_that_needs_no_turning_is_its_producer_s() -> None:
    """Networks from TensorFlow: channels last outside, convolutions channels first inside."""
    net = Net()
    net.add("Transpose", [net.input("x", 1, 4, 5, 3)], "a", (1, 3, 4, 5), perm=FIRST)
    net.conv("a", "b", 8)
    net.add("Sigmoid", ["b"], "s")
    net.add("Transpose", ["b"], "y", (1, 4, 5, 8), perm=LAST)
    found = net.lowered("y", "s")
    assert [(n.op_type, n.inputs[0], n.outputs) for n in found.program.nodes] == [
        ("Conv", "x", ("y",)),
        ("Sigmoid", "y", ("s",)),
    ]
    assert found.perms == {"x": (0, 1, 2, 3), "y": (0, 1, 2, 3), "s": LAST}
    assert set(found.program.values) == {"x", "y", "s"}


def test_two_outputs_of_one_tensor_are_two_tensors() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    net.add("Transpose", ["a"], "y", (1, 4, 5, 8), perm=LAST)
    found = net.lowered("a", "y")
    assert [value.name for value in found.program.outputs] == ["a", "y"]
    assert [node.outputs for node in found.program.nodes] == [("a",), ("y",)]


def test_a_transposed_input_as_output_is_a_node() -> None:
    net = Net()
    net.add("Transpose", [net.input("x", 1, 3, 4, 5)], "y", (1, 4, 5, 3), perm=LAST)
    found = net.lowered("y")
    assert [(n.op_type, n.inputs, n.outputs) for n in found.program.nodes] == [("Transpose", ("x",), ("y",))]


def test_a_transpose_to_another_width_changes_the_width() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    net.add("Transpose", ["a"], "y", (1, 8, 5, 4), perm=(0, 1, 3, 2))
    found = net.lowered("y", formats=net.formats(y=Format(16, (-8,))), bits={"Y": 16})
    assert kinds(found) == ["Conv", "RequantizeLinear", "Transpose"]
    assert (found.program.outputs[0].dtype.bits, found.program.outputs[0].exponent) == (16, -8)


SHAPES = st.one_of(
    st.just(()),
    st.tuples(st.sampled_from([1, 4])),
    st.tuples(*[st.sampled_from([1, 4])] * 2),
    st.tuples(*[st.sampled_from([1, 4])] * 3),
    st.tuples(st.just(1), *[st.sampled_from([1, 4])] * 3),
)


@given(shape=SHAPES, op_type=st.sampled_from(["Add", "Sub", "Mul"]), swapped=st.booleans())
def test_constants_are_laid_out_with_the_activation(shape: tuple[int, ...], op_type: str, swapped: bool) -> None:
    """Height, width and channels are equal: every wrong order would broadcast, silently."""
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.conv("x", "a", 4)
    values = (np.arange(int(np.prod(shape))).reshape(shape) % 7 - 3).astype(np.float32)
    constant = net.const("c", values)
    net.add(op_type, [constant, "a"] if swapped else ["a", constant], "y", (1, 4, 4, 4))
    found = net.lowered("a", "y")
    x = (np.arange(64) % 5 - 2).astype(np.int8).reshape(1, 4, 4, 4)
    tensors = interpret(found.program, {"x": x}, S3)
    a = tensors["a"].transpose(FIRST).astype(np.int64)
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[op_type]
    expected = function(values.astype(np.int64), a) if swapped else function(a, values.astype(np.int64))
    assert np.array_equal(tensors["y"].transpose(FIRST), np.clip(expected, -128, 127))


def test_a_constant_read_in_two_orders_is_written_twice() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.conv("x", "a", 4)
    constant = net.const("c", np.arange(4).reshape(4, 1, 1))
    net.add("Add", ["a", constant], "b")
    net.add("MatMul", ["b", net.const("w", np.eye(4))], "d")
    net.add("Add", ["d", constant], "y")
    program = net.lowered("y").program
    assert program.constants["c"].shape == (1, 1, 1, 4)
    assert program.constants["c_1"].shape == (1, 4, 1, 1)


def test_a_constant_read_twice_alike_is_written_once() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    constant = net.const("c", np.arange(8).reshape(8, 1, 1))
    net.add("Add", ["a", constant], "b")
    net.add("Sub", ["b", constant], "y")
    assert list(net.lowered("y").program.constants) == ["a.w", "c"]
