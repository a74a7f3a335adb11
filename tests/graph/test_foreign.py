"""Operators that an importer could not translate."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tinsmith.errors import ModelError
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.foreign import refuse, refused


def model(*reasons: str) -> ir.Model:
    """x → Relu → one unknown operator for each reason, all outputs."""
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, 4]))
    relu = ir.node("Relu", [x], name="relu")
    relu.outputs[0].name = "positive"
    nodes = [relu]
    for number, reason in enumerate(reasons):
        node = ir.Node("theirs", f"Odd{number}", [relu.outputs[0]], name=f"odd{number}")
        node.outputs[0].name = f"out{number}"
        refused(node, f"Odd{number}", reason, "Leave it out.")
        nodes.append(node)
    outputs = [node.outputs[0] for node in nodes[1:]]
    return ir.Model(ir.Graph([x], outputs, nodes=nodes, opset_imports={"": 24, "theirs": 1}), ir_version=10)


def test_all_are_told_at_once() -> None:
    with pytest.raises(ModelError) as caught:
        canonicalize(model("", "is too odd."))
    assert str(caught.value) == (
        "2 operators cannot be translated: Odd0 ('odd0'): is not known here. Odd1 ('odd1'): is too odd. Leave it out. "
        "What is computed before: 'positive'."
    )


def test_many_are_counted() -> None:
    with pytest.raises(
        ModelError, match=r"^11 operators cannot be translated: .*'odd7'.* And 3 more\. Leave it out\. What is"
    ):
        canonicalize(model(*[""] * 11))


def test_they_do_not_matter_behind_the_cut() -> None:
    canonical = canonicalize(model("is too odd."), outputs=["positive"])
    assert [node.op_type for node in canonical.graph] == ["Relu"]


def test_other_nodes_are_no_matter() -> None:
    source = model()
    refuse(source.graph)
    assert len(source.graph) == 1
