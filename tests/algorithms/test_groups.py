"""Who shares an exponent with whom, and where a RequantizeLinear may stand instead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from tests.networks import S3, Net
from tinsmith.algorithms.groups import Border, Groups, group


def grouped(net: Net, *outputs: str, bits: Mapping[str, int] | None = None) -> Groups:
    widths = {node.name: 8 for node in net.nodes} | dict(bits or {})
    return group(net.network(*outputs), widths, S3)


def together(groups: Groups) -> set[frozenset[str]]:
    """The partition."""
    return {frozenset(name for name, index in groups.of.items() if index == one) for one in set(groups.of.values())}


def sets(*names: str) -> set[frozenset[str]]:
    return {frozenset(name.split()) for name in names}


def where(groups: Groups) -> list[tuple[str, int, str]]:
    return [(border.node, border.index, border.value) for border in groups.borders]


def test_movers_keep_the_exponent() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.add("Transpose", ["x"], "t", perm=(0, 1, 3, 2))
    net.add("MaxPool", ["t"], "m", kernel_shape=(1, 1))
    net.add("Sigmoid", ["m"], "y")
    found = grouped(net, "y")
    assert together(found) == sets("x t m", "y")
    assert found.borders == ()


def test_copies_are_not_measured() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.add("Transpose", ["x"], "t", perm=(0, 1, 3, 2))
    net.add("LeakyRelu", ["t"], "y", alpha=0.1)
    found = grouped(net, "y")
    (index,) = set(found.of.values())
    assert found.measured[index] == ("x", "y")


def test_what_only_an_activation_reads_is_not_measured() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Relu", ["a"], "y")
    found = grouped(net, "y")
    assert together(found) == sets("x", "a y")
    assert found.measured[found.of["a"]] == ("y",)
    seen_outside = grouped(net, "a", "y")
    assert seen_outside.measured[seen_outside.of["a"]] == ("a", "y")


def test_what_others_read_beside_the_activation_is_measured() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Relu", ["a"], "r")
    net.add("Tanh", ["a"], "y")
    found = grouped(net, "r", "y")
    assert found.measured[found.of["a"]] == ("a", "r")


def test_operands_nobody_else_reads_join_the_sum() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.conv("x", "a", 4)
    net.conv("x", "b", 4)
    net.add("Add", ["a", "b"], "y")
    found = grouped(net, "y")
    assert together(found) == sets("x", "a b y")
    assert found.borders == ()


@pytest.mark.parametrize("ceilings", [(6.0, 6.0), (None, None), (6.0, 4.0), (6.0, None), (6.0,), (None,)])
def test_what_one_concat_puts_together_behind_one_kind_of_activation(ceilings: tuple[float | None, ...]) -> None:
    """The layers can deliver any exponent; but one that suits others may leave no room to compute a Clip in a layer."""
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.const("low", 0.0)
    for name, ceiling in zip("ab", ceilings, strict=False):
        net.conv("x", f"{name}c", 4)
        bounds = [] if ceiling is None else ["low", net.const(f"{name}top", ceiling)]
        net.add("Relu" if ceiling is None else "Clip", [f"{name}c", *bounds], name)
    if len(ceilings) == 1:
        net.conv("x", "b", 4)
    net.add("Concat", ["a", "b"], "y", (1, 8, 4, 4), axis=1)
    found = grouped(net, "y")
    if len(set(ceilings)) == 1 and len(ceilings) == 2:
        assert together(found) == sets("x", "ac a bc b y")
        assert found.borders == ()
        assert found.measured[found.of["y"]] == ("a", "b", "y")
    else:
        assert ("Y", 0, "a") in where(found)


@pytest.mark.parametrize("shared", [False, True])
def test_a_concat_of_layers_can_deliver_what_they_can(shared: bool) -> None:
    """Unless one of them keeps an exponent of its own, because others read it as well."""
    net = Net()
    net.input("x", 1, 8, 4, 4)
    net.conv("x", "a", 4)
    net.conv("x", "b", 4)
    net.conv("x", "c", 8)
    net.add("Concat", ["a", "b"], "m", (1, 8, 4, 4), axis=1)
    net.add("Add", ["m", "c"], "y")
    found = grouped(net, *(["b"] if shared else []), "y")
    if shared:
        assert where(found) == [("M", 1, "b"), ("Y", 0, "m")]
    else:
        assert together(found) == sets("x", "a b m c y")
        assert found.borders == ()


def test_a_concat_of_concats_behind_activations() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    for name in "abcd":
        net.conv("x", f"{name}l", 4)
        net.add("Relu", [f"{name}l"], name)
    net.add("Concat", ["a", "b"], "m", (1, 8, 4, 4), axis=1)
    net.add("Concat", ["m", "c"], "n", (1, 12, 4, 4), axis=1)
    net.add("Concat", ["n", "d"], "y", (1, 16, 4, 4), axis=1)
    assert grouped(net, "y").borders == ()


def test_sums_behind_activations_keep_borders() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    for name in "ab":
        net.conv("x", f"{name}c", 4)
        net.add("Relu", [f"{name}c"], name)
    net.add("Add", ["a", "b"], "y")
    assert where(grouped(net, "y")) == [("Y", 0, "a"), ("Y", 1, "b")]


def test_an_operand_that_is_read_elsewhere_keeps_a_group_of_its_own() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.conv("x", "a", 4)
    net.conv("a", "b", 4)
    net.add("Add", ["a", "b"], "y")
    found = grouped(net, "y")
    assert together(found) == sets("x", "a", "b y")
    assert found.borders == (Border("Y", 0, "a", found.of["y"], 8),)


def test_an_operand_that_leaves_the_graph_keeps_a_group_of_its_own() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.conv("x", "a", 4)
    net.conv("x", "b", 4)
    net.add("Add", ["a", "b"], "y")
    assert where(grouped(net, "a", "y")) == [("Y", 0, "a")]


def test_an_operand_whose_producer_cannot_choose_keeps_a_group_of_its_own() -> None:
    """A pooled input has the input's exponent; a graph input is bound by who feeds it."""
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.add("MaxPool", ["x"], "m", kernel_shape=(1, 1))
    net.conv("x", "a", 4)
    net.add("Add", ["m", "a"], "y")
    assert where(grouped(net, "y")) == [("Y", 0, "m")]


def test_a_value_added_to_itself() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Add", ["a", "a"], "y")
    assert where(grouped(net, "y")) == [("Y", 0, "a"), ("Y", 1, "a")]


def test_constants_of_a_sum_are_written_in_its_exponent() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.add("Concat", ["x", net.const("c", np.ones((1, 4, 4, 4)))], "y", (1, 8, 4, 4), axis=1)
    found = grouped(net, "y")
    assert [constant.name for constant in found.constants[found.of["y"]]] == ["c"]


def test_all_parts_of_a_split_share_the_exponent() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.add("Split", ["x"], "p", (1, 2, 4, 4), axis=1)
    net.add("Sigmoid", ["p"], "y")
    assert together(grouped(net, "y")) == sets("x p", "y")


def test_widths_meet_at_a_border() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Sigmoid", ["a"], "s")
    net.add("Add", ["a", "s"], "y")
    found = grouped(net, "y", bits={"S": 16})
    assert {name: found.bits[index] for name, index in found.of.items()} == {"x": 8, "a": 8, "s": 16, "y": 8}
    assert found.borders == (
        Border("S", 0, "a", None, 16),
        Border("Y", 0, "a", found.of["y"], 8),
        Border("Y", 1, "s", found.of["y"], 8),
    )


def test_a_mover_of_another_width_measures_for_itself() -> None:
    net = Net()
    net.conv(net.input("x", 1, 4, 4, 4), "a", 4)
    net.add("Transpose", ["a"], "y", perm=(0, 1, 3, 2))
    found = grouped(net, "y", bits={"Y": 16})
    assert together(found) == sets("x", "a", "y")
    assert found.measured[found.of["y"]] == ("y",)
    assert where(found) == [("Y", 0, "a")]


def test_an_input_has_the_width_of_its_first_reader() -> None:
    net = Net()
    net.input("x", 1, 4, 4, 4)
    net.conv("x", "a", 4)
    net.conv("x", "b", 4)
    found = grouped(net, "a", "b", bits={"A": 16})
    assert found.bits[found.of["x"]] == 16
    assert found.borders == (Border("B", 0, "x", None, 8),)


def test_an_input_only_floats_read_stays_float() -> None:
    net = Net()
    net.input("x", 1, 4)
    net.add("Sigmoid", ["x"], "y")
    assert grouped(net, "y", bits={"Y": 32}).of == {}


def test_a_float_result_read_by_integers_is_free() -> None:
    net = Net()
    net.input("x", 1, 4)
    net.add("Softmax", ["x"], "s", axis=-1)
    net.add("Add", ["s", net.const("c", np.ones(4))], "y")
    found = grouped(net, "y")
    assert together(found) == sets("x", "s y")
    assert found.borders == ()
