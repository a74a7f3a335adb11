"""What is chosen for some layers, and which those are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.test_placement import S3, conv, network, node
from tinsmith.errors import RecipeError
from tinsmith.ops.floatnode import Network
from tinsmith.placement import place
from tinsmith.recipe import Scope
from tinsmith.scopes import layers, left_alone, named, ways

USUAL = ("mse", 99.99)


@pytest.fixture
def chain() -> Network:
    """x → conv1 → relu1 → conv2 → transpose → sigmoid."""
    nodes = [
        conv("conv1", "x", "a"),
        node("Relu", "relu1", "a", "b"),
        replace(conv("conv2", "b", "c"), sources=("conv2", "norm2")),
        node("Transpose", "transpose", "c", "d", perm=(0, 2, 3, 1)),
        node("Sigmoid", "sigmoid", "d", "y"),
    ]
    return network(nodes, ["y"])


def precisions(net: Network, scopes: list[Scope], bits: int = 8, int16: tuple[str, ...] = ()) -> dict[str, str]:
    return {n: d.precision for n, d in place(net, S3, bits=bits, int16=int16, scopes=scopes).items()}


def test_the_last_scope_wins(chain: Network) -> None:
    scopes = [Scope(layers=("conv",), bits=16), Scope(layers=("conv2",), bits=8)]
    assert precisions(chain, scopes) == {
        "conv1": "int16", "relu1": "int16", "conv2": "int8", "transpose": "int8", "sigmoid": "int8",
    }  # fmt: skip
    assert precisions(chain, scopes[::-1])["conv2"] == "int16"


def test_a_scope_takes_back_what_a_pattern_chose(chain: Network) -> None:
    found = place(chain, S3, int16=("conv",), scopes=[Scope(layers=("^conv2$",), bits=8)])
    assert (found["conv1"].precision, found["conv2"].precision) == ("int16", "int8")
    assert found["conv1"].reason == "chosen by 'conv'"
    assert found["conv2"].reason == "chosen by '^conv2$' of scope 1"


def test_what_a_user_named_is_known(chain: Network) -> None:
    found = place(chain, S3, int16=("relu1",), scopes=[Scope(layers=("sigmoid",), bits=8)])
    assert {name for name, decision in found.items() if decision.chosen} == {"conv1", "relu1", "sigmoid"}


def test_an_activation_decides_for_its_node_if_it_is_named_later(chain: Network) -> None:
    both = [Scope(layers=("conv1",), bits=16), Scope(layers=("relu1",), bits=8)]
    assert {precisions(chain, both)[name] for name in ("conv1", "relu1")} == {"int8"}
    assert {precisions(chain, both[::-1])[name] for name in ("conv1", "relu1")} == {"int16"}


def test_int8_in_a_network_of_int16(chain: Network) -> None:
    found = precisions(chain, [Scope(layers=("norm2",), bits=8)], bits=16)
    assert [name for name, width in found.items() if width == "int8"] == ["conv2", "transpose"]


def test_a_mover_of_the_input_follows_what_reads_it() -> None:
    nodes = [node("Transpose", "turn", "x", "a", perm=(0, 1, 3, 2)), conv("conv", "a", "b")]
    found = place(network(nodes, ["b"]), S3, bits=16, scopes=[Scope(layers=("conv",), bits=8)])
    assert (found["turn"].precision, found["turn"].reason) == ("int8", "moves what only int8 nodes read")


@pytest.mark.parametrize(
    "scope",
    [
        Scope(layers=("cnov1",), bits=16),
        Scope(layers=("cnov1",), calibration="kl"),
        Scope(layers=("cnov1",), tune=False),
    ],
)
def test_an_unknown_layer_names_the_scope_and_what_is_close(chain: Network, scope: Scope) -> None:
    with pytest.raises(RecipeError, match=r"scope 2: 'cnov1' matches no node\. Close names: 'conv1'"):
        place(chain, S3, scopes=[Scope(layers=("conv",), bits=8), scope])


def test_a_pattern_that_is_no_regular_expression(chain: Network) -> None:
    with pytest.raises(RecipeError, match=r"scope 1: 'conv\(' is no regular expression"):
        ways(chain, [Scope(layers=("conv(",), calibration="kl")], *USUAL)


def test_layers_go_with_the_activation_that_is_fused_into_them(chain: Network) -> None:
    assert named(chain, ["conv1"], "int16") == {"conv1": "conv1"}
    assert layers(chain, ["conv1"], "x") == {"conv1": "conv1", "relu1": "conv1"}
    assert layers(chain, ["relu1"], "x") == {"conv1": "relu1", "relu1": "relu1"}


def test_the_values_a_layer_computes_take_its_way(chain: Network) -> None:
    scopes = [
        Scope(layers=("conv",), calibration="percentile", percentile=99.0),
        Scope(layers=("norm2",), percentile=98.0),
        Scope(layers=("conv1",), calibration="minmax"),
    ]
    found = ways(chain, scopes, *USUAL)
    assert found == {"a": ("minmax", 99.0), "b": ("minmax", 99.0), "c": ("percentile", 98.0)}
    assert list(found) == ["c", "a", "b"], "later scopes last"
    assert ways(chain, [Scope(layers=("conv",), bits=8)], *USUAL) == {}


def test_layers_left_alone(chain: Network) -> None:
    scopes = [Scope(layers=("conv",), tune=False), Scope(layers=("conv2",), tune=True)]
    assert left_alone(chain, scopes) == {"conv1", "relu1"}
    assert left_alone(chain, [Scope(layers=("conv",), bits=8)]) == frozenset()


def test_a_name_of_a_merged_node_chooses_the_node(chain: Network) -> None:
    assert named(chain, ["^norm2$"], "int16") == {"conv2": "^norm2$"}
