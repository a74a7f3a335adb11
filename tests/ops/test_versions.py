"""What nodes ask of ESP-DL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import P4, S3, OneNode
from tinsmith.ops import find, operators
from tinsmith.ops.execution import call_of
from tinsmith.ops.versions import lacks, needs
from tinsmith.program import DType
from tinsmith.targets import CURRENT, OLDEST, Target, Version, speaking


def asked(node: OneNode) -> dict[str, str]:
    call = call_of(node.program, node.program.nodes[0], node.feeds, node.target)
    return {need.what: str(need.since) for need in needs(call)}


def reduction(dtype: DType, target: Target = S3) -> OneNode:
    node = OneNode("ReduceMean", target, dtype).feed(np.zeros((1, 2, 4), dtype.numpy))
    return node.constant(np.array([1], np.int64))


def table(entries: int, target: Target, op_type: str = "LUT") -> OneNode:
    return OneNode(op_type, target, DType.INT16).feed(np.zeros((1, 8), np.int16)).table(np.zeros(entries, np.int16))


def test_every_operator_is_in_the_current_release() -> None:
    for operator in operators().values():
        assert OLDEST <= operator.since <= CURRENT
        assert operator.since <= operator.first_version("float32") <= CURRENT


@pytest.mark.parametrize(
    ("since", "names"),
    {
        "3.2.0": ("Add", "Conv", "GRU", "LSTM", "Gelu", "Swish", "ReduceMax", "SpaceToDepth", "Resize", "LUT"),
        "3.2.4": ("Pow", "LayerNormalization", "ScatterND", "ConvTranspose", "InsertZeros", "StreamingCache"),
        "3.3.0": ("LogSoftmax", "Mod"),
        "3.3.6": ("RMSNormalization", "LpNormalization"),
    }.items(),
)
def test_operators_know_since_when(since: str, names: tuple[str, ...]) -> None:
    assert {str(find(name).since) for name in names} == {since}


def test_floats_of_pools_and_reductions_are_younger() -> None:
    for name in ("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceMax", "ReduceLogSumExp"):
        old, new = speaking(S3, "3.2.4"), speaking(S3, "3.3.0")
        assert find(name).available(old) == {"int8", "int16"}
        assert find(name).available(new) == {"int8", "int16", "float32"}
    assert find("Pow").available(speaking(S3, "3.2.0")) == frozenset()
    assert find("Softmax").available(speaking(S3, "3.2.0")) == {"int8", "int16", "float32"}


def test_a_node_asks_for_its_operator_in_its_precision() -> None:
    assert asked(reduction(DType.INT8)) == {"ReduceMean": "3.2.0"}
    assert asked(reduction(DType.FLOAT)) == {"float32 ReduceMean": "3.3.0"}
    assert lacks_of(reduction(DType.FLOAT, speaking(S3, "3.2.4"))) == [
        "float32 ReduceMean needs ESP-DL ≥ 3.3.0; the target speaks 3.2.4: update ESP-DL in the firmware."
    ]


def lacks_of(node: OneNode) -> list[str]:
    return lacks(call_of(node.program, node.program.nodes[0], node.feeds, node.target))


def test_a_node_asks_for_exponents_per_channel() -> None:
    def conv(exponents: tuple[int, ...], target: Target = P4) -> OneNode:
        node = OneNode("Conv", target, DType.INT8, 0, {"kernel_shape": (1, 1)})
        node.feed(np.zeros((1, 2, 2, 2), np.int8)).constant(np.zeros((1, 1, 2, 4), np.int8))
        node.constants["const1"] = replace(node.constants["const1"], exponents=exponents)
        return node

    assert asked(conv((-3,))) == {"Conv": "3.2.0"}
    assert asked(conv((-3, -2, -3, 0)))["an exponent per output channel of the weights"] == "3.3.1"
    (reason,) = lacks_of(conv((-3, -2, -3, 0), speaking(P4, "3.2.0")))
    assert reason.startswith(
        "an exponent per output channel of the weights needs ESP-DL ≥ 3.3.1; the target speaks 3.2.0"
    )


@pytest.mark.parametrize("op_type", ["LUT", "Gelu"])
def test_only_tables_that_have_no_entry_for_some_inputs_changed(op_type: str) -> None:
    nearest: Mapping[str, Any] = {"the nearest entry of an int16 table": "3.3.8"}
    assert asked(table(65536, S3, op_type)) == {op_type: "3.2.0"}
    assert asked(table(2049, S3, op_type)) == {op_type: "3.2.0", **nearest}
    assert asked(table(2049, speaking(S3, "3.3.7"), op_type)) == {op_type: "3.2.0"}
    assert Version.of("3.3.8") <= S3.esp_dl


def test_other_nodes_do_not_read_their_int16_tables() -> None:
    assert asked(table(2049, S3, "Sigmoid")) == {"Sigmoid": "3.2.0"}
