"""`.info`, and the summaries and differences for people."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.espdl.programs import programs, sample
from tests.shared import shared_path
from tinsmith.espdl import decode, diff, encode, info, inspect, read
from tinsmith.espdl.numbers import array_text
from tinsmith.program import Node, Program, Tensor, Value

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@given(st.sampled_from(INTEGERS), st.integers(0, 700), st.integers(1, 63), st.integers(0, 2**32))
def test_integers_as_numpy_prints_them(dtype: str, size: int, bits: int, seed: int) -> None:
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(2**bits)), min(limits.max, 2**bits)
    data = np.random.default_rng(seed).integers(low, high, size, dtype, endpoint=True)
    with np.printoptions(threshold=sys.maxsize):
        assert array_text(data) == repr(data)


def test_numbers_that_are_not_integers() -> None:
    assert array_text(np.array([0.1, -2, np.nan], np.float32)) == "array([ 0.1, -2.0,  nan], dtype=float32)"
    assert array_text(np.array([[True], [False]])) == "array([ True, False])"
    assert array_text(np.zeros(0, np.float32)) == "array([], dtype=float32)"
    assert array_text(np.array(5, np.int8)) == "array([5], dtype=int8)"


EXPECTED = """\
model properties:
metadata_props:
target: esp32s3


graph main (
  %x[INT8, 1x4x4x3], exponents: [-5]
) initializers (
  %lut[INT8, 256]
  %w[INT8, 1x1x1x16]
  %b[INT32, 17]
  %scale[FLOAT, scalar]
  %empty[FLOAT, 0]
) {
  %hidden = Conv[activation = 'Relu', alpha = 0.25, group = 3, names = ['a', '', 'ü'], nothing = [], \
pads = [1, 1, -1, 1], scales = [1, 2], value = BOOL, 2 [True, False]](%x, %w, %b)
  %y = Resize[lut = 'lut'](%hidden, %, %scale, %empty)
  return %y
}


initializers value:
%lut, shape: [256], exponents: [-4], \n\
value: array([-128, -127, -126, -125, -124, -123, -122, -121, -120, -119, -118,
"""


def test_info() -> None:
    text = info(sample(1))
    assert text.startswith(EXPECTED)
    assert "exponents: [-12, -12, " in text
    assert "docString: b'layout ==> NHWC', \nvalue: array([" in text
    assert "\n\n\nvalues info:\n%[FLOAT], exponents: [0]\n%x[INT8, 1x4x4x3], exponents: [-5]\n" in text
    assert "%y[INT16, scalar], exponents: [-9]\n\n\ntest inputs value:\n%x, shape: [1, 4, 4, 3]" in text
    assert text.endswith(
        "\n\n\ntest outputs value:\n%y, shape: [1], exponents: [-9], \nvalue: array([1234], dtype=int16)\n"
    )


@given(programs())
def test_any_program_has_texts(program: Program) -> None:
    assert info(program).count("test inputs value:") >= 1
    assert inspect(program)
    assert diff(program, program) == []


def test_info_is_linear() -> None:
    program = sample(weights=3_500_000 // 16)
    start = time.process_time()
    text = info(program)
    assert time.process_time() - start < 1.5
    assert text.count(",") > 3_500_000


def test_info_of_a_network_of_the_size_of_mobilenet() -> None:
    program = read(shared_path("golden/published/esp32p4__imagenet_cls_mobilenetv2_s8_v1.espdl"))
    start = time.process_time()
    text = info(program)
    assert time.process_time() - start < 1.5
    assert text.count(",") > 3_500_000


def test_inspect() -> None:
    text = inspect(sample(1))
    assert "target: esp32s3" in text
    assert "producer: tinsmith 1" in text
    assert "opset: ai.onnx 24" in text
    assert "2 nodes: 1 Conv, 1 Resize" in text
    assert "5 constants: 344 bytes" in text
    assert "with an embedded test sample" in text
    rows = {line.split()[1]: line.split() for line in text.splitlines() if line.strip()[:1].isdigit()}
    assert rows["Conv"] == ["0", "Conv", "conv", "hidden", "1×4×4×16", "INT8", "-4", "84", "B"]
    assert rows["Resize"] == ["1", "Resize", "resize", "y", "scalar", "INT16", "-9", "260", "B"]


def test_inspect_of_an_empty_program() -> None:
    text = inspect(Program((), (), (), {}, {}))
    assert "(unnamed)" in text
    assert "0 nodes" in text
    assert "without an embedded test sample" in text


def test_no_difference() -> None:
    assert diff(sample(), decode(encode(sample()))) == []


def changed(**parts: Any) -> Program:
    return replace(sample(), **parts)


def changed_node(**parts: Any) -> Program:
    first, *others = sample().nodes
    return changed(nodes=(replace(first, **parts), *others))


def changed_constant(tensor: Tensor) -> Program:
    return changed(constants={**sample().constants, tensor.name: tensor})


def louder(exponent: int = -4) -> Tensor:
    data = sample().constants["lut"].data.copy()
    data[3:5] += 7
    return Tensor("lut", data, (exponent,))


@pytest.mark.parametrize(
    ("other", "lines"),
    [
        (changed(name="other"), ["model name: 'main' → 'other'"]),
        (changed(metadata={"target": "esp32p4"}), ["metadata 'target': 'esp32s3' → 'esp32p4'"]),
        (changed(metadata={}), ["metadata 'target': only in the first"]),
        (changed(opset={"": 23}), ["opset '': 24 → 23"]),
        (changed(nodes=sample().nodes[:1]), ["node 'resize': only in the first"]),
        (changed(nodes=sample().nodes[::-1]), ["nodes: in another order"]),
        (changed_node(op_type="Gemm"), ["node 'conv' op_type: 'Conv' → 'Gemm'"]),
        (changed_node(inputs=("x",)), ["node 'conv' inputs: ('x', 'w', 'b') → ('x',)"]),
        (
            changed_node(attributes={**sample().nodes[0].attributes, "group": 1}),
            ["node 'conv' attribute 'group': 3 → 1"],
        ),
        (
            changed_node(attributes={**sample().nodes[0].attributes, "more": 1}),
            ["node 'conv' attribute 'more': only in the second"],
        ),
        (
            changed_node(attributes={**sample().nodes[0].attributes, "value": Tensor("v", np.array([True, True]))}),
            ["node 'conv' attribute 'value': 1 of 2 elements differ, by at most 1"],
        ),
        (
            changed(values={**sample().values, "hidden": replace(sample().values["hidden"], exponents=(-3,))}),
            ["value 'hidden' exponents: [-4] → [-3]"],
        ),
        (changed_constant(louder()), ["constant 'lut': 2 of 256 elements differ, by at most 7"]),
        (
            changed_constant(louder(-5)),
            ["constant 'lut' exponents: [-4] → [-5]", "constant 'lut': 2 of 256 elements differ, by at most 7"],
        ),
        (
            changed_constant(replace(sample().constants["w"], exponents=(-6,))),
            ["constant 'w' exponents: [-7, -7, -7, -7, -7, -7, -7, -7, … 16 in all] → [-6]"],
        ),
        (
            changed_constant(Tensor("scale", np.zeros(2, np.float32))),
            ["constant 'scale': float32 [] → float32 [2]"],
        ),
        (changed(test_inputs={}), ["test input 'x': only in the first"]),
    ],
)
def test_difference(other: Program, lines: list[str]) -> None:
    assert diff(sample(), other) == lines


def test_nan_is_no_difference() -> None:
    mine = changed_node(attributes={"a": float("nan")})
    theirs = changed_node(attributes={"a": float("nan") * -1})
    assert diff(mine, theirs) == []
    assert diff(mine, changed_node(attributes={"a": 1.0})) == ["node 'conv' attribute 'a': nan → 1.0"]


def test_nodes_without_names_are_matched_by_output() -> None:
    value = Value("x", sample().inputs[0].dtype, (1,))
    values = {name: replace(value, name=name) for name in ("x", "y", "z")}
    nodes = (Node("Relu", "", ("x",), ("y",)), Node("Relu", "", ("y",), ("z",)))
    program = Program(nodes, (value,), (values["z"],), values, {})
    other = replace(program, nodes=(nodes[0], replace(nodes[1], op_type="Neg")))
    assert diff(program, other) == ["node 'z' op_type: 'Relu' → 'Neg'"]
