"""The dispatch table."""

from __future__ import annotations

import pytest

import tinsmith
from tests.small_net import classifier, images
from tinsmith.report.dispatch import LayerChoice, exponents_text


def test_every_layer_has_a_row() -> None:
    quantized = tinsmith.quantize(classifier(), images(8), "esp32p4", int16="conv", effort="fast")
    program = quantized.program
    rows = {row.layer: row for row in quantized.table()}
    assert list(rows) == ["conv", "relu", "pool", "flatten", "gemm"]
    weights = {node.name: program.constants[node.inputs[1]].exponents for node in program.nodes if len(node.inputs) > 2}
    assert rows["conv"] == LayerChoice(
        "conv", "Conv", "int16", "chosen by 'conv'", weights["conv"], None, macs=64 * 8 * 27
    )
    assert rows["relu"] == LayerChoice(
        "relu", "Relu", "int16", "with 'conv', whose activation it is", (), program.values["active"].exponent, "conv"
    )
    assert rows["gemm"].weights == weights["gemm"]
    assert len(rows["gemm"].weights) == 6
    assert rows["gemm"].macs == 48
    assert rows["gemm"].output == program.values["scores"].exponent
    assert rows["flatten"].output == rows["pool"].output


def test_floats_have_no_exponents() -> None:
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy"]
    net = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"], "soft")], "net", values[:1], values[1:])
    model = helper.make_model(net, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (row,) = tinsmith.quantize(model, images(4).reshape(4, -1)[:, :8], effort="fast").table()
    assert (row.precision, row.weights, row.output) == ("int8", (), None)


@pytest.mark.parametrize(("exponents", "text"), [((), ""), ((-7,), "-7"), ((-9, -6, -8), "-9 … -6"), ((3, 3), "3")])
def test_a_range_is_its_ends(exponents: tuple[int, ...], text: str) -> None:
    assert exponents_text(exponents) == text
