"""What is said of operators that no chip runs."""

from __future__ import annotations

import onnx
import pytest

from tests.graph.models import model, node
from tinsmith import quantize
from tinsmith.errors import UnsupportedError
from tinsmith.ops import operators
from tinsmith.ops.absent import known, reason


def test_they_are_operators_of_onnx_that_the_runtime_lacks() -> None:
    assert known() <= {schema.name for schema in onnx.defs.get_all_schemas()}
    assert not known() & operators().keys()


@pytest.mark.parametrize("op_type", [*sorted(known()), "Einsum"])
def test_there_is_a_reason_and_a_way_out(op_type: str) -> None:
    first, way_out = reason(op_type).split(". ", 1)
    assert first == "the runtime has no such operator"
    assert way_out.endswith(".")


def test_the_message_names_the_node_and_says_it() -> None:
    nodes = [node("Tanh", "x", "h"), node("ArgMax", "h", "i", name="best"), node("Cast", "i", "y", to=1)]
    with pytest.raises(
        UnsupportedError,
        match=r"ArgMax 'best': the runtime has no such operator. Nothing on the chip picks places.*--outputs",
    ):
        quantize(model(nodes, {"x": (1, 4)}, "y"), [])
