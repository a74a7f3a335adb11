"""Where formats meet: RequantizeLinear, QuantizeLinear and DequantizeLinear stand exactly there, once each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import S3, Net, kinds
from tinsmith.lower.lowerer import Lowered
from tinsmith.program import DType, Node
from tinsmith.quant.format import Format
from tinsmith.simulator.interpreter import interpret


def one(found: Lowered, op_type: str) -> Node:
    (node,) = [node for node in found.program.nodes if node.op_type == op_type]
    return node


def fan() -> Net:
    """x → Conv → a, which three nodes read."""
    net = Net()
    net.conv(net.input("x", 1, 3, 2, 2), "a", 8)
    for name in ("p", "q", "r"):
        net.add("Sigmoid", ["a"], name)
    return net


def test_nothing_where_formats_agree() -> None:
    net = fan()
    same = {("P", 0): Format(8, (0,))}
    assert kinds(net.lowered("p", "q", "r", formats=net.formats(uses=same))) == ["Conv", *["Sigmoid"] * 3]


def test_one_node_for_all_readers_of_a_format() -> None:
    net = fan()
    other = Format(8, (2,))
    found = net.lowered("p", "q", "r", formats=net.formats(uses={("P", 0): other, ("R", 0): other}))
    assert kinds(found) == ["Conv", "RequantizeLinear", "Sigmoid", "Sigmoid", "Sigmoid"]
    assert [n.inputs for n in found.program.nodes[2:]] == [("a_requantized",), ("a",), ("a_requantized",)]


def test_one_node_for_each_format() -> None:
    net = fan()
    uses = {("P", 0): Format(8, (2,)), ("Q", 0): Format(8, (3,)), ("R", 0): Format(16, (0,))}
    found = net.lowered("p", "q", "r", formats=net.formats(uses=uses))
    assert kinds(found) == ["Conv", *["RequantizeLinear", "Sigmoid"] * 3]
    values = [found.program.values[name] for name in ("a_requantized", "a_requantized_1", "a_requantized_2")]
    assert [(value.dtype, value.exponent) for value in values] == [(DType.INT8, 2), (DType.INT8, 3), (DType.INT16, 0)]


@pytest.mark.parametrize(("bits", "exponent"), [(8, 3), (8, -1), (16, 0), (16, -8)])
def test_what_the_node_says(bits: int, exponent: int) -> None:
    net = fan()
    found = net.lowered("p", "q", "r", formats=net.formats(uses={("P", 0): Format(bits, (exponent,))}))
    node = one(found, "RequantizeLinear")
    assert node.attributes == {"quant_type": f"S{bits}"}
    source, scale, zero = node.inputs
    assert source == "a"
    ratio, nothing = found.program.constants[scale].data, found.program.constants[zero].data
    assert (ratio.dtype, ratio.shape, float(ratio)) == (np.float32, (), 2.0**exponent)
    assert (nothing.dtype, nothing.shape, int(nothing)) == (np.dtype(f"int{bits}"), (), 0)


@given(
    st.sampled_from([(8, 8), (8, 16), (16, 8), (16, 16)]), st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3)
)
def test_tied_operands_arrive_in_the_output_s_format(
    widths: tuple[int, int], first: int, second: int, out: int
) -> None:
    """A node for each operand that is not there already, and none for the others."""
    net = Net()
    net.input("x", 1, 3, 2, 2)
    net.input("z", 1, 3, 2, 2)
    net.add("Add", ["x", "z"], "y")
    bits, result = widths[0], Format(widths[1], (out,))
    formats = net.formats(x=Format(bits, (first,)), z=Format(bits, (second,)), y=result)
    found = net.lowered("y", formats=formats, bits={"Y": widths[1]})
    different = [Format(bits, (e,)) != result for e in (first, second)]
    assert kinds(found) == ["RequantizeLinear"] * sum(different) + ["Add"]
    arriving = [found.program.values[name] for name in found.program.nodes[-1].inputs]
    assert {(value.dtype.bits, value.exponent) for value in arriving} == {(result.bits, out)}
    assert [name != value.name for name, value in zip(("x", "z"), arriving, strict=True)] == different


def test_a_tied_constant_is_written_in_the_output_s_format() -> None:
    net = Net()
    net.input("x", 1, 3, 2, 2)
    net.add("Add", ["x", net.const("c", [[[[8.0]]]])], "y")
    program = net.lowered("y", formats=net.formats(x=2, y=2, c=-3)).program
    assert (program.constants["c"].data.item(), program.constants["c"].exponents) == (2, (2,))


def test_a_constant_takes_the_format_of_each_use() -> None:
    net = Net()
    net.input("x", 1, 3, 2, 2)
    net.const("c", [[[[8.0]]]])
    net.add("Mul", ["x", "c"], "y")
    net.add("Mul", ["y", "c"], "z")
    formats = net.formats(z=4, y=2, uses={("Y", 1): Format(8, (2,)), ("Z", 1): Format(8, (1,))})
    program = net.lowered("z", formats=formats).program
    assert [(t.name, t.data.item(), t.exponents) for t in program.constants.values()] == [
        ("c", 2, (2,)),
        ("c_1", 4, (1,)),
    ]


def test_a_float_node_between_integers() -> None:
    net = Net()
    net.input("x", 1, 3, 2, 2)
    net.add("Add", ["x", "x"], "a")
    net.add("Sigmoid", ["a"], "s")
    net.add("Add", ["s", "s"], "y")
    formats = net.formats(s=None, uses={("Y", 0): Format(8, (-7,)), ("Y", 1): Format(8, (-7,))}, y=-7, a=1, x=1)
    found = net.lowered("y", formats=formats, bits={"S": 32})
    assert kinds(found) == ["Add", "DequantizeLinear", "Sigmoid", "QuantizeLinear", "Add"]
    program = found.program
    assert program.values["a_float"].dtype is DType.FLOAT
    assert program.values["s"].dtype is DType.FLOAT
    assert (program.values["s_quantized"].dtype, program.values["s_quantized"].exponent) == (DType.INT8, -7)
    down, up = one(found, "DequantizeLinear"), one(found, "QuantizeLinear")
    assert [n.attributes["quant_type"] for n in program.nodes] == ["S8", "S8", "F32", "S8", "S8"]
    scales = {node.op_type: float(program.constants[node.inputs[1]].data) for node in (down, up)}
    assert scales == {"DequantizeLinear": 2.0, "QuantizeLinear": 2.0**-7}
    x = np.arange(12).astype(np.int8).reshape(1, 2, 2, 3)
    tensors = interpret(program, {"x": x}, S3)
    real = 1 / (1 + np.exp(-4.0 * x))
    assert np.array_equal(tensors["y"], np.clip(2 * np.floor(real * 128 + 0.5).clip(-128, 127), -128, 127))


def test_a_float_output_read_by_integers_and_floats() -> None:
    net = Net()
    net.add("Softmax", [net.input("x", 1, 6)], "s", axis=-1)
    net.add("Sigmoid", ["s"], "f")
    net.add("Sigmoid", ["s"], "y")
    formats = net.formats(x=-4, s=None, f=None, y=-7, uses={("Y", 0): Format(8, (-7,))})
    found = net.lowered("f", "y", formats=formats, bits={"F": 32})
    assert kinds(found) == ["Softmax", "Sigmoid", "QuantizeLinear", "Sigmoid"]
    assert [node.inputs[0] for node in found.program.nodes] == ["x", "s", "s", "s_quantized"]


def test_first_the_format_then_the_order() -> None:
    """One RequantizeLinear for two orders, not one behind each Transpose."""
    net = Net()
    net.conv(net.input("x", 1, 3, 4, 5), "a", 8)
    other = Format(8, (2,))
    net.add("MatMul", ["a", net.const("w", np.ones((5, 6)))], "b", (1, 8, 4, 6))
    net.add("Sigmoid", ["a"], "c")
    found = net.lowered("b", "c", formats=net.formats(b=2, uses={("B", 0): other, ("C", 0): other}))
    assert kinds(found) == ["Conv", "RequantizeLinear", "Transpose", "MatMul", "Sigmoid"]
    assert found.program.nodes[-1].inputs == ("a_requantized",)
