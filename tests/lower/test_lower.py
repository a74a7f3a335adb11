"""What holds for every program: names are the user's, and the same network gives the same bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import S3, Net
from tinsmith.espdl.decoder import decode
from tinsmith.espdl.encoder import encode
from tinsmith.quant.format import Format
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations


def residual() -> Net:
    """A block with everything lowering inserts: Transposes, a border, tables, a shared constant."""
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Sigmoid", ["a"], "s")
    net.add("Tanh", ["a"], "t")
    net.add("Add", ["s", "t"], "b")
    net.add("Add", ["b", net.const("c", np.full((4, 1, 1), 0.5))], "d")
    net.add("MatMul", ["d", net.const("w", np.eye(4))], "e")
    net.add("Add", ["e", "c"], "y")
    return net


FORMATS = {"a": -4, "s": -7, "t": -7, "b": -6, "d": -6, "c": -6, "w": -6, "e": -6, "y": -6, "x": -5}
USES = {("Y", 1): Format(8, (-6,)), ("A", 1): Format(8, (-5,))}


def test_names_are_the_user_s() -> None:
    net = residual()
    program = net.lowered("y", formats=net.formats(uses=USES, **FORMATS)).program
    user_s = {node.name for node in net.nodes}
    assert user_s <= {node.name for node in program.nodes}
    assert {operand for operand in net.operands if net.operands[operand].const is None} <= set(program.values)
    assert {node.outputs[0] for node in program.nodes if node.name in user_s} == {o.lower() for o in user_s}
    assert program.name == "net"
    assert violations(program, S3) == []


def test_every_name_is_used_once() -> None:
    net = residual()
    program = net.lowered("y", formats=net.formats(uses=USES, **FORMATS)).program
    nodes = [node.name for node in program.nodes]
    assert len(set(nodes)) == len(nodes)
    assert not set(program.values) & set(program.constants)
    assert all(name == value.name for name, value in program.values.items())
    assert all(name == tensor.name for name, tensor in program.constants.items())


def test_derived_names_leave_the_user_s_alone() -> None:
    """The network has values and constants called as lowering would call its own."""
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Sigmoid", ["a"], "a_requantized_scale")
    net.add("Add", ["a_requantized_scale", net.const("a_requantized_zero_point", [[[[1.0]]]])], "a_requantized")
    net.add("Add", ["a", "a_requantized"], "y")
    formats = net.formats(uses={("Y", 0): Format(8, (1,)), ("Y", 1): Format(8, (1,))}, y=1)
    program = net.lowered("y", formats=formats).program
    assert decode(encode(program)) == program
    assert not set(program.values) & set(program.constants)
    tensors = interpret(program, {"x": np.ones((1, 4, 4, 4), np.int8)}, S3)
    assert tensors["a_requantized_scale"].dtype == np.int8
    assert "a_requantized_1" in program.values


@settings(max_examples=20)
@given(st.permutations(range(3)), st.sampled_from([8, 16]))
def test_the_same_network_gives_the_same_bytes(perm: list[int], bits: int) -> None:
    def build() -> bytes:
        net = residual()
        net.add("Transpose", ["d"], "z", (1, *(4 for _ in perm)), perm=(0, *(axis + 1 for axis in perm)))
        formats = net.formats(bits=bits, uses=USES if bits == 8 else None, **FORMATS)
        return encode(net.lowered("y", "z", formats=formats, bits={node.name: bits for node in net.nodes}).program)

    assert build() == build()
