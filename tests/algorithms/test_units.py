"""Which nodes go to another width together."""

from __future__ import annotations

from tests.networks import S3, Net
from tinsmith.algorithms.units import Units, moves, units
from tinsmith.ops.floatnode import Network


def block() -> Network:
    """Conv and its Relu, two movers, a Concat with the input, a Conv."""
    net = Net()
    net.input("x", 1, 4, 6, 6)
    net.conv("x", "c", 4)
    net.add("Relu", ["c"], "r")
    net.add("MaxPool", ["r"], "m", (1, 4, 3, 3), kernel_shape=(2, 2), strides=(2, 2))
    net.add("MaxPool", ["x"], "n", (1, 4, 3, 3), kernel_shape=(2, 2), strides=(2, 2))
    net.add("Concat", ["m", "n"], "j", (1, 8, 3, 3), axis=1)
    net.conv("j", "y", 4)
    return net.network("y")


def found(net: Network, **others: int) -> Units:
    bits = {node.name: others.get(node.name, 8) for node in net.nodes}
    return units(net, bits, S3)


def test_activations_and_movers_go_along() -> None:
    parts = found(block())
    assert parts.members == {"C": ("C", "R", "M"), "N": ("N",), "J": ("J",), "Y": ("Y",)}
    assert all(parts.of[name] == unit for unit, names in parts.members.items() for name in names)
    assert parts.free == {"C", "N", "J", "Y"}
    assert parts.all_of(["R", "J"]) == {"C", "R", "M", "J"}


def test_promotion_takes_whole_units() -> None:
    net = block()
    bits = dict.fromkeys((node.name for node in net.nodes), 8)
    assert found(net).promoted(bits, ["R"]) == {**bits, "C": 16, "R": 16, "M": 16}
    assert found(net).promoted(bits, []) == bits


def test_what_is_not_int8_stays() -> None:
    parts = found(block(), Y=16, N=32)
    assert parts.free == {"C", "J"}
    assert parts.width == {"C": 8, "N": 32, "J": 8, "Y": 16}
    bits = {"C": 8, "R": 8, "M": 8, "N": 32, "J": 8, "Y": 16}
    assert parts.promoted(bits, ["C", "N", "Y"]) == {**bits, "C": 16, "R": 16, "M": 16}


def test_a_mover_in_another_width_is_a_unit_of_its_own() -> None:
    parts = found(block(), M=16)
    assert parts.members["C"] == ("C", "R")
    assert parts.members["M"] == ("M",)
    assert parts.width["M"] == 16


def test_what_joins_values_does_not_merely_move() -> None:
    nodes = {node.name: node for node in block().nodes}
    assert moves(nodes["M"])
    assert not moves(nodes["J"])
    assert not moves(nodes["C"])
