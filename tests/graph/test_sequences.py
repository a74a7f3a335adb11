from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.graph.models import check, model, node, value
from tinsmith.errors import UnsupportedError
from tinsmith.graph import canonicalize
from tinsmith.importers import load


def small(nodes: list[onnx.NodeProto], constants: dict[str, Any], outputs: str = "y") -> onnx.ModelProto:
    return model(nodes, {"x": (2, 6)}, outputs, constants)


@pytest.mark.parametrize("index", [0, 2, -1])
def test_one_of_several(index: int) -> None:
    nodes = [
        node("Exp", "x", "e"), node("Tanh", "x", "t"), node("SequenceConstruct", "x e t", "s"),
        node("SequenceAt", "s i", "a"), node("Relu", "a", "y"),
    ]  # fmt: skip
    check(small(nodes, {"i": index}))


@pytest.mark.parametrize(
    ("given", "attributes"),
    [(None, {}), (None, {"keepdims": 0}), (2, {}), (4, {}), ([1, 2, 3], {}), (None, {"axis": 0}), ([2], {"axis": -2})],
)
def test_splits(given: Any, attributes: dict[str, Any]) -> None:
    axis = attributes.pop("axis", 1)
    nodes = [
        node("SplitToSequence", "x" if given is None else "x k", "s", axis=axis, **attributes),
        node("SequenceAt", "s i", "a"), node("Exp", "a", "y"), node("ConcatFromSequence", "s", "c", axis=0, new_axis=0)
        if given is None else node("SequenceLength", "s", "n"),
        node("Tanh", "c", "z") if given is None else node("Cast", "n", "f", to=1),
        *([] if given is None else [node("Add", "x f", "z")]),
    ]  # fmt: skip
    check(small(nodes, {"i": 0} | ({} if given is None else {"k": given}), "y z"))


def test_lists_that_grow_and_shrink() -> None:
    nodes = [
        node("SequenceEmpty", "", "s0"), node("SequenceInsert", "s0 x", "s1"), node("Exp", "x", "e"),
        node("SequenceInsert", "s1 e i", "s2"), node("Tanh", "x", "t"), node("SequenceInsert", "s2 t", "s3"),
        node("SequenceErase", "s3 j", "s4"), node("Identity", "s4", "s5"),
        node("ConcatFromSequence", "s5", "y", axis=1, new_axis=1),
    ]  # fmt: skip
    check(small(nodes, {"i": 0, "j": -2}))


def test_a_list_that_grows_in_a_loop() -> None:
    """As PyTorch exports ``outputs.append(…)`` in a for loop, and ``torch.stack``."""
    sequence = helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, None)
    grown = helper.make_tensor_sequence_value_info("t", onnx.TensorProto.FLOAT, None)
    body = helper.make_graph(
        [
            node("Identity", "going", "on"), node("Gather", "x i", "g", axis=1), node("Tanh", "g", "h"),
            node("SequenceInsert", "s h", "t"),
        ],
        "body", [value("i", (), np.int64), value("going", (), np.bool_), sequence], [value("on", (), np.bool_), grown],
    )  # fmt: skip
    nodes = [
        node("SequenceEmpty", "", "start"), node("Loop", "count _ start", "end", body=body),
        node("ConcatFromSequence", "end", "y", axis=0, new_axis=1),
    ]  # fmt: skip
    check(small(nodes, {"count": 4}))


def test_an_index_that_data_decide_is_refused_by_name() -> None:
    nodes = [
        node("SequenceConstruct", "x x", "s"), node("ArgMax", "x", "m", axis=1, keepdims=0),
        node("Gather", "m zero", "i"),
        node("SequenceAt", "s i", "y", "pick"),
    ]  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"SequenceConstruct '.*': 's' is not a tensor"):
        canonicalize(load(small(nodes, {"zero": 0})))
