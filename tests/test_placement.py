"""Precision of each node: patterns, widths that go together, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.graph.models import model
from tests.graph.models import node as onnx_node
from tinsmith.errors import RecipeError, UnsupportedError
from tinsmith.graph import canonicalize
from tinsmith.graph.network import network as network_of
from tinsmith.importers import load
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatAttribute, FloatNode, Network, Operand
from tinsmith.placement import Decision, forced, place
from tinsmith.targets import find

S3 = find("esp32s3")
SHAPE = (1, 4, 8, 8)


def operand(name: str, shape: tuple[int, ...] = SHAPE) -> Operand:
    return Operand(name, shape, np.dtype(np.float32))


def constant(name: str, array: np.ndarray) -> Operand:
    return Operand(name, array.shape, array.dtype, array)


def node(op_type: str, name: str, takes: str, gives: str, *more: Operand, **attributes: FloatAttribute) -> FloatNode:
    return FloatNode(op_type, name, (operand(takes), *more), (operand(gives),), attributes)


def conv(name: str, takes: str, gives: str, group: int = 1) -> FloatNode:
    weights = constant(f"{name}.w", np.ones((4, 4 // group, 3, 3), np.float32))
    return node(
        "Conv", name, takes, gives, weights, group=group, pads=(1, 1, 1, 1), kernel_shape=(3, 3), strides=(1, 1)
    )


def scalar(name: str, value: float) -> Operand:
    return constant(name, np.float32(value).reshape(()))


def network(nodes: Sequence[FloatNode], outputs: Sequence[str]) -> Network:
    return Network(tuple(nodes), (operand("x"),), tuple(operand(name) for name in outputs))


@pytest.fixture
def chain() -> Network:
    """x → conv1 → relu1 → conv2 → transpose → sigmoid."""
    nodes = [
        conv("conv1", "x", "a"),
        node("Relu", "relu1", "a", "b"),
        conv("conv2", "b", "c"),
        node("Transpose", "transpose", "c", "d", perm=(0, 2, 3, 1)),
        node("Sigmoid", "sigmoid", "d", "y"),
    ]
    return network(nodes, ["y"])


def test_an_operator_of_a_younger_esp_dl_is_refused_with_the_version() -> None:
    two = constant("two", np.float32(2).reshape(()))
    power = network([node("Pow", "power", "x", "y", two)], ["y"])
    assert precisions(place(power, find("esp32s3", "3.2.4"))) == {"power": "int8"}
    with pytest.raises(
        UnsupportedError, match=r"Pow 'power': Pow needs ESP-DL ≥ 3\.2\.4; the target speaks 3\.2\.0: update ESP-DL"
    ):
        place(power, find("esp32s3", "3.2.0"))


def test_float_data_movers_follow_what_the_version_has() -> None:
    axes = Operand("axes", (1,), np.dtype(np.int64), np.array([1], np.int64))
    nodes = [node("Softmax", "softmax", "x", "a", axis=1), node("ReduceMax", "largest", "a", "y", axes)]
    found = network(nodes, ["y"])
    assert place(found, S3)["largest"].precision == "float32"
    assert place(found, find("esp32s3", "3.2.4"))["largest"].precision == "int8"


def precisions(found: dict[str, Decision]) -> dict[str, str]:
    return {name: decision.precision for name, decision in found.items()}


@pytest.mark.parametrize(("bits", "precision"), [(8, "int8"), (16, "int16")])
def test_default_width(chain: Network, bits: int, precision: str) -> None:
    found = place(chain, S3, bits=bits)
    assert list(found) == ["conv1", "relu1", "conv2", "transpose", "sigmoid"]
    assert set(precisions(found).values()) == {precision}
    assert {decision.bits for decision in found.values()} == {bits}


def test_a_pattern_matches_anywhere_in_a_name(chain: Network) -> None:
    found = place(chain, S3, int16=["onv2"])
    assert precisions(found)["conv2"] == "int16"
    assert precisions(found)["conv1"] == "int8"
    assert found["conv2"].reason == "chosen by 'onv2'"


def test_anchors_are_honoured(chain: Network) -> None:
    found = precisions(place(chain, S3, int16=["^sigmoid$"]))
    assert [name for name, precision in found.items() if precision == "int16"] == ["sigmoid"]


@pytest.mark.parametrize("pattern", ["conv1", "relu1"])
def test_a_node_and_its_activation_go_together(chain: Network, pattern: str) -> None:
    found = precisions(place(chain, S3, int16=[pattern]))
    assert found == {"conv1": "int16", "relu1": "int16", "conv2": "int8", "transpose": "int8", "sigmoid": "int8"}


@pytest.mark.parametrize("pattern", ["^inner$", "^whole$"])
def test_a_node_that_stands_for_several_goes_by_any_of_their_names(pattern: str) -> None:
    body = (node("Sin", "inner", "x", "a"), node("Exp", "whole", "a", "y"))
    table = FloatNode("Function", "whole", (operand("x"),), (operand("y"),), body=body)
    assert precisions(place(network([table], ["y"]), S3, int16=[pattern])) == {"whole": "int16"}


def test_a_node_goes_by_the_names_of_the_nodes_it_does_the_work_of() -> None:
    """Movers that a rewrite put there go along where they serve chosen nodes only."""
    merged = replace(conv("conv", "a", "b"), sources=("conv", "norm"))
    shared = replace(node("Transpose", "shared", "x", "a", perm=(0, 1, 3, 2)), sources=("norm",))
    other = node("Sigmoid", "other", "a", "c")
    found = place(network([shared, merged, other], ["b", "c"]), S3, int16=["^norm$"])
    assert precisions(found) == {"shared": "int8", "conv": "int16", "other": "int8"}
    assert found["conv"].reason == "chosen by '^norm$'"
    assert set(precisions(place(network([shared, merged], ["b"]), S3, int16=["^norm$"])).values()) == {"int16"}


def test_a_node_that_became_movers_alone_is_chosen() -> None:
    nodes = [conv("conv", "x", "a"), replace(node("Transpose", "made", "a", "b", perm=(0, 2, 3, 1)), sources=("own",))]
    assert precisions(place(network(nodes, ["b"]), S3, int16=["^own$"])) == {"conv": "int8", "made": "int16"}


def test_all_parts_of_a_node_that_was_split_are_chosen() -> None:
    weights = np.random.default_rng(0).normal(size=(64, 32, 3, 3)).astype(np.float32)
    points = np.ones((64, 64, 1, 1), np.float32)
    nodes = [
        onnx_node("Conv", "x p", "a", "first"),
        onnx_node("Conv", "a w", "b", "conv", group=2),
        onnx_node("Conv", "b p", "y", "last"),
    ]
    split = network_of(canonicalize(load(model(nodes, {"x": (1, 64, 8, 8)}, "y", {"w": weights, "p": points}))))
    found = place(split, S3, int16=["^conv$"])
    wide = [node.op_type for node in split.nodes if found[node.name].precision == "int16"]
    assert wide == ["Split", "Conv", "Conv", "Concat"]
    assert [found[name].precision for name in ("first", "last")] == ["int8", "int8"]


def test_an_activation_others_read_too_decides_for_itself() -> None:
    nodes = [conv("conv", "x", "a"), node("Relu", "relu", "a", "b"), node("Sigmoid", "other", "a", "c")]
    found = precisions(place(network(nodes, ["b", "c"]), S3, int16=["relu"]))
    assert found == {"conv": "int8", "relu": "int16", "other": "int8"}


def test_a_clip_from_zero_goes_with_its_node() -> None:
    nodes = [conv("conv", "x", "a"), node("Clip", "clip", "a", "b", scalar("lo", 0), scalar("hi", 6))]
    assert precisions(place(network(nodes, ["b"]), S3, int16=["conv"])) == {"conv": "int16", "clip": "int16"}


def test_a_clip_from_elsewhere_decides_for_itself() -> None:
    nodes = [conv("conv", "x", "a"), node("Clip", "clip", "a", "b", scalar("lo", -1), scalar("hi", 6))]
    assert precisions(place(network(nodes, ["b"]), S3, int16=["conv"])) == {"conv": "int16", "clip": "int8"}


def test_movers_follow_their_producer(chain: Network) -> None:
    found = place(chain, S3, int16=["conv2"])
    assert found["transpose"] == Decision("int16", "moves what 'conv2' computes")
    assert found["sigmoid"].precision == "int8"


def test_a_mover_of_the_input_follows_its_readers() -> None:
    nodes = [node("Transpose", "turn", "x", "a", perm=(0, 1, 3, 2)), conv("conv", "a", "b")]
    assert precisions(place(network(nodes, ["b"]), S3, int16=["conv"])) == {"turn": "int16", "conv": "int16"}
    assert precisions(place(network(nodes, ["b"]), S3)) == {"turn": "int8", "conv": "int8"}


def test_what_the_runtime_lacks_in_a_width_runs_in_another(chain: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = dict(operators())
    narrow["Sigmoid"] = replace(narrow["Sigmoid"], types=frozenset({"int8"}))
    monkeypatch.setattr("tinsmith.placement.operators", lambda: narrow)
    found = place(chain, S3, bits=16)
    assert found["sigmoid"] == Decision("int8", "the runtime has no int16 Sigmoid", forced=True)
    assert forced(found) == ("'sigmoid' runs in int8: the runtime has no int16 Sigmoid.",)


@pytest.mark.parametrize("patterns", [[], ["conv"]])
def test_choices_and_defaults_are_not_worth_a_note(chain: Network, patterns: list[str]) -> None:
    assert forced(place(chain, S3, int16=patterns)) == ()


def test_every_unsupported_node_is_named_with_the_reason() -> None:
    nodes = [node("Einsum", "sum", "x", "a"), conv("grouped", "a", "b", group=2), node("Relu", "fine", "b", "y")]
    with pytest.raises(UnsupportedError) as caught:
        place(network(nodes, ["y"]), S3)
    message = str(caught.value)
    assert "2 nodes cannot run on esp32s3" in message
    assert "Einsum 'sum': the runtime has no such operator." in message
    assert "Conv 'grouped': `group` must be 1" in message
    assert "fine" not in message


def test_a_node_with_two_problems_counts_once() -> None:
    weights = constant("w", np.ones((4, 2, 3, 3), np.float32))
    bias = operand("bias", (4,))
    odd = node("Conv", "odd", "x", "y", weights, bias, group=2, pads=(1, 1, 1, 1), kernel_shape=(3, 3))
    with pytest.raises(UnsupportedError, match="one node cannot run") as caught:
        place(network([odd], ["y"]), S3)
    assert str(caught.value).count("Conv 'odd'") == 2


def test_operators_of_files_are_not_importable() -> None:
    with pytest.raises(UnsupportedError, match="InsertZeros 'zeros': the runtime has no such operator"):
        place(network([node("InsertZeros", "zeros", "x", "y")], ["y"]), S3)


def test_a_pattern_without_a_match_suggests_names(chain: Network) -> None:
    with pytest.raises(RecipeError, match=r"'convv1' matches no node\. Close names: 'conv1'"):
        place(chain, S3, int16=["convv1"])


def test_a_pattern_that_is_no_regular_expression(chain: Network) -> None:
    with pytest.raises(RecipeError, match=r"'conv\(' is no regular expression"):
        place(chain, S3, int16=["conv("])


@pytest.mark.parametrize("bits", [4, 32, 0])
def test_widths_no_chip_has(chain: Network, bits: int) -> None:
    with pytest.raises(RecipeError, match=f"{bits} bits are not available"):
        place(chain, S3, bits=bits)
