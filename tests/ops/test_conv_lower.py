"""Float convolutions, lowered: the program computes the integer convolution of the quantized weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.linear_cases import (
    TARGETS,
    convolved,
    integers,
    lowered,
    operand,
    refusals,
    run_lowered,
    shifted,
)
from tinsmith.errors import QuantizationError
from tinsmith.ops import operators
from tinsmith.ops.conv_lower import Window, conv_window, needs_explicit_pad
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.ports import Kind
from tinsmith.quant.format import Format
from tinsmith.targets import find


def float_conv(
    x: tuple[int, ...], weights: np.ndarray[Any, Any], bias: np.ndarray[Any, Any] | None = None, **attributes: Any
) -> FloatNode:
    """A float Conv; the output's shape by ONNX's rule."""
    count = len(x) - 2
    ones = (1,) * count
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    pads = attributes.get("pads", (0,) * 2 * count)
    if attributes.get("auto_pad", "NOTSET").startswith("SAME"):
        spatial = [-(-n // s) for n, s in zip(x[2:], strides, strict=True)]
    else:
        spatial = [
            (x[2 + i] + pads[i] + pads[i + count] - dilations[i] * (weights.shape[2 + i] - 1) - 1) // strides[i] + 1
            for i in range(count)
        ]
    operands = [operand("x", x), operand("w", weights.shape, weights)]
    if bias is not None:
        operands.append(operand("b", bias.shape, bias))
    output = operand("y", (1, weights.shape[0], *spatial))
    return FloatNode("Conv", "conv", tuple(operands), (output,), attributes)


@given(
    st.data(), st.sampled_from(TARGETS), st.sampled_from([8, 16]), st.booleans(), st.booleans(), st.integers(0, 2**32)
)
def test_lowered_convolutions(
    data: st.DataObject, name: str, bits: int, depthwise: bool, relu: bool, seed: int
) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    channels, filters = int(rng.integers(2, 20)), int(rng.integers(1, 20))
    filters, group = (channels, channels) if depthwise else (filters, 1)
    kernel, dilations, strides = (data.draw(st.tuples(*[st.integers(1, 3)] * 2)) for _ in range(3))
    pads = data.draw(st.tuples(*[st.integers(0, 4)] * 4))
    least = [max(1, dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2]) for i in range(2)]
    x = integers(rng, (1, channels, *(n + int(rng.integers(0, 4)) for n in least)), bits)
    exponents = tuple(int(e) for e in rng.integers(-8, -4, filters)) if target.per_channel else (-6,)
    axis = 0 if target.per_channel else None
    weights = np.ldexp(integers(rng, (filters, channels // group, *kernel), bits, 0.5).astype(np.float64), -6)
    bias = rng.normal(0, 2, filters)
    node = float_conv(x.shape, weights, bias, strides=strides, dilations=dilations, pads=pads, group=group)
    assert refusals(node, target) == []
    chosen = Format(bits, exponents, axis)
    found = lowered(node, target, bits, {"x": -5, "y": 0}, chosen, relu=relu)
    padded = needs_explicit_pad(x.shape[2:], conv_window(node))
    assert [n.op_type for n in found.program.nodes if n.op_type != "Transpose"] == ["Pad"] * padded + ["Conv"]
    result = run_lowered(found, {"x": x}, target)
    stored = found.program.constants["b"]
    assert stored.data.dtype == (np.int32 if bits == 8 else np.int64)
    assert stored.exponents == tuple(e - 5 for e in exponents)
    units = np.ldexp(bias.astype(np.float32).astype(np.float64), 5 - np.asarray(exponents))
    assert np.abs(stored.data - units).max() <= 0.5
    total = convolved(
        x[0].transpose(1, 2, 0),
        chosen.quantize(weights.astype(np.float32), target.rounding),
        stored.data,
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=group,
    )
    expected = shifted(total, 5 - np.asarray(exponents), target, bits, relu=relu)
    assert result[0].transpose(1, 2, 0).tolist() == expected.tolist()


def test_what_the_file_records(rng: np.random.Generator) -> None:
    weights = rng.normal(0, 1, (33, 5, 3)).astype(np.float32)
    node = float_conv((1, 5, 9), weights, strides=(2,), pads=(1, 1))
    found = lowered(node, find("esp32p4"), 8, {"x": -5, "y": 0}, Format(8, (-5,) * 33, 0))
    (conv,) = (n for n in found.program.nodes if n.op_type == "Conv")
    assert conv.name == "conv"
    assert len(conv.inputs) == 2
    assert conv.attributes == {
        "activation": "Linear",
        "dilations": (1,),
        "group": 1,
        "kernel_shape": (3,),
        "pads": (1, 1),
        "quant_type": "S8",
        "strides": (2,),
    }
    packed = found.program.constants["w"]
    assert (packed.shape, packed.doc, packed.exponents) == ((3, 5, 33), "layout ==> (N/16)WC16_UNALIGNED", (-5,) * 33)


@pytest.mark.parametrize(
    ("auto", "length", "stride", "reach", "pads"),
    [
        ("SAME_UPPER", 5, 2, 4, (1, 2)),
        ("SAME_LOWER", 5, 2, 4, (2, 1)),
        ("SAME_UPPER", 6, 3, 2, (0, 0)),
        ("VALID", 5, 1, 2, (0, 0)),
    ],
)
def test_auto_pad(auto: str, length: int, stride: int, reach: int, pads: tuple[int, int]) -> None:
    node = float_conv((1, 1, length), np.ones((1, 1, reach)), auto_pad=auto, strides=(stride,))
    assert conv_window(node).pads == pads


def test_shapes_the_kernels_get_wrong() -> None:
    def wrong(length: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int = 1) -> bool:
        return needs_explicit_pad((length,), Window((kernel,), (stride,), (dilation,), pads))

    assert wrong(4, 5, 2, (0, 1))
    assert not wrong(4, 5, 1, (0, 1))
    assert not wrong(4, 5, 2, (1, 1))
    assert wrong(2, 2, 1, (2, 0))
    assert wrong(2, 2, 1, (0, 2))
    assert not wrong(2, 2, 1, (1, 1))
    assert wrong(1, 2, 1, (1, 2), dilation=2)
    assert not wrong(8, 3, 2, (1, 1))


def test_bias_that_does_not_fit() -> None:
    node = float_conv((1, 1, 4, 4), np.ones((2, 1, 1, 1)), np.asarray([0.0, 2.0**10]))
    with pytest.raises(QuantizationError, match=r"Conv 'conv': the bias of channel 1 \(1024\) is 1048576 .* 20 bits"):
        lowered(node, find("esp32s3"), 8, {"x": -5, "y": 5}, Format(8, (-5,)))
    lowered(node, find("c"), 8, {"x": -5, "y": 5}, Format(8, (-5,)))


def test_constraints(rng: np.random.Generator) -> None:
    target = find("esp32s3")
    weights = rng.normal(0, 1, (4, 2, 1, 1))
    assert "`group` must be 1" in " ".join(refusals(float_conv((1, 8, 4, 4), weights, group=4), target))
    multiplied = float_conv((1, 2, 4, 4), rng.normal(0, 1, (4, 1, 1, 1)), group=2)
    assert "one filter per channel" in " ".join(refusals(multiplied, target))
    assert "one sample" in " ".join(refusals(float_conv((1, 2, 4, 4, 4), rng.normal(0, 1, (4, 2, 1, 1, 1))), target))
    good = float_conv((1, 2, 4, 4), weights)
    assert refusals(good, target) == []
    computed = FloatNode("Conv", "conv", (good.inputs[0], operand("w", (4, 2, 1, 1))), good.outputs)
    assert "must be constants" in " ".join(refusals(computed, target))
    wrong_bias = float_conv((1, 2, 4, 4), weights, np.zeros((4, 1)))
    assert "one element per output channel" in " ".join(refusals(wrong_bias, target))


def test_ports_and_cost(rng: np.random.Generator) -> None:
    operator = operators()["Conv"]
    node = float_conv((1, 2, 4, 4), rng.normal(0, 1, (6, 2, 3, 3)), np.zeros(6), pads=(1, 1, 1, 1))
    ports = operator.ports(node, find("esp32p4"))
    assert [port.kind for port in ports.inputs] == [Kind.ACTIVATION, Kind.WEIGHT, Kind.BIAS]
    assert (ports.inputs[1].axis, ports.product) == (0, (0, 1))
    assert (operator.cost(node).macs, operator.cost(node).kernel) == (6 * 16 * 18, "conv2d")
    depthwise = float_conv((1, 6, 4, 4), rng.normal(0, 1, (6, 1, 3, 3)), group=6)
    assert (operator.cost(depthwise).macs, operator.cost(depthwise).kernel) == (6 * 4 * 9, "depthwise")
