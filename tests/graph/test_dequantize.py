from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph import models
from tests.graph.models import feeds_for, node, op_types, value
from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import Runner, canonicalize
from tinsmith.graph.ranges import ranges_of
from tinsmith.importers import load

RNG = np.random.default_rng(3)
W = RNG.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
SCALES = np.array([0.01, 0.02, 0.005, 0.04], np.float32)


def model(nodes: Any, inputs: Any, outputs: Any, constants: dict[str, Any], **options: Any) -> onnx.ModelProto:
    """A model whose constants keep the types they have in numpy."""
    arrays = {name: np.asarray(data) if isinstance(data, np.generic) else data for name, data in constants.items()}
    return models.model(nodes, inputs, outputs, arrays, **options)


def pair(source: str, result: str, scale: str, zero: str, domain: str = "") -> list[onnx.NodeProto]:
    """A QuantizeLinear and a DequantizeLinear behind it."""
    return [
        node("QuantizeLinear", f"{source} {scale} {zero}", f"{source}_q", domain=domain),
        node("DequantizeLinear", f"{source}_q {scale} {zero}", result, domain=domain),
    ]


def quantized(
    constants: dict[str, Any], *extra: onnx.NodeProto, axis: int = 0, domain: str = "", opset: int = 24
) -> onnx.ModelProto:
    """x → pair → Conv with dequantized weights → pair → y, and what comes behind."""
    nodes = [
        *pair("x", "x_d", "sx", "zx", domain),
        node("DequantizeLinear", "w_quantized sw zw", "w_d", axis=axis, domain=domain),
        node("Conv", "x_d w_d", "c", "conv"),
        *pair("c", "y", "sy", "zy", domain),
        *extra,
    ]
    domains = [domain] if domain else []
    return model(nodes, {"x": (1, 3, 8, 8)}, "y", constants, domains=domains, opset=opset)


def constants(
    activation: Any = np.int8, zero: int = 3, scales: Any = SCALES, weights: Any = W, weight_zero: int = 0
) -> dict[str, Any]:
    scales = np.asarray(scales, np.float32)
    return {
        "sx": np.float32(0.05), "zx": activation(zero), "sy": np.float32(0.1), "zy": activation(zero),
        "w_quantized": weights, "sw": scales, "zw": np.full(scales.shape, weight_zero, weights.dtype),
    }  # fmt: skip


def canonical(proto: onnx.ModelProto, **options: Any) -> ir.Model:
    return canonicalize(load(proto), **options)


def results(proto: ir.Model, feeds: dict[str, Any] | None = None) -> dict[str, Any]:
    return Runner(proto)(feeds_for(proto) if feeds is None else feeds)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.int8, -128, 127), (np.uint8, 0, 255), (np.int16, -32768, 32767), (np.uint16, 0, 65535)],
)
def test_pairs_go_and_leave_their_ranges(dtype: Any, low: int, high: int) -> None:
    found = canonical(quantized(constants(dtype)))
    assert op_types(found) == ["Conv"]
    weights = found.graph.initializers["w"].const_value
    assert weights is not None
    assert np.array_equal(weights.numpy(), (W * SCALES.astype(np.float64).reshape(-1, 1, 1, 1)).astype(np.float32))
    step = float(np.float32(0.05)), float(np.float32(0.1))
    assert ranges_of(found) == {
        "x": ((low - 3) * step[0], (high - 3) * step[0]),
        "y": ((low - 3) * step[1], (high - 3) * step[1]),
    }


def test_what_is_left_is_the_model_up_to_a_step() -> None:
    proto = quantized(constants())
    found = canonical(proto)
    x = RNG.uniform(-6, 6, (1, 3, 8, 8)).astype(np.float32)
    exact = Runner(found)({"x": x})["y"]
    rounded = Runner(load(proto))({"x": x})["y"]
    inside = np.abs(exact) < 12
    # An input is off by at most half a step of 0.05 for each weight; the output by half a step of 0.1.
    bound = 0.025 * np.abs(found.graph.initializers["w"].const_value.numpy()).sum(axis=(1, 2, 3)) + 0.051  # type: ignore[union-attr]
    assert inside.any()
    assert (np.abs(exact - rounded) <= bound.reshape(1, -1, 1, 1))[inside].all()


@pytest.mark.parametrize("weight_zero", [0, 7])
def test_weights_of_one_scale(weight_zero: int) -> None:
    unsigned = W.astype(np.int16).clip(0).astype(np.uint8)
    found = canonical(quantized(constants(scales=0.25, weights=unsigned, weight_zero=weight_zero)))
    weights = found.graph.initializers["w"].const_value
    assert weights is not None
    assert np.array_equal(weights.numpy(), (unsigned.astype(np.float32) - weight_zero) * 0.25)


def test_sixteen_bits_of_onnx_runtime_s_own_operators() -> None:
    found = canonical(quantized(constants(np.uint16), domain="com.microsoft", opset=17))
    assert op_types(found) == ["Conv"]
    assert set(ranges_of(found)) == {"x", "y"}


def test_blocks_and_four_bits() -> None:
    data = RNG.integers(-8, 8, (4, 6))
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.INT4, data.shape, data.reshape(-1).tolist())
    scales = RNG.uniform(0.5, 1, (2, 6)).astype(np.float32)
    nodes = [node("DequantizeLinear", "w s", "d", axis=0, block_size=2), node("MatMul", "x d", "y")]
    proto = model(nodes, {"x": (1, 4)}, "y", {"s": scales})
    proto.graph.initializer.append(tensor)
    found = canonical(proto)
    (matrix,) = [item.const_value.numpy() for item in found.graph.initializers.values() if item.const_value]
    assert np.array_equal(matrix, (data * np.repeat(scales, 2, axis=0).astype(np.float64)).astype(np.float32))


def test_weights_that_are_quantized_in_the_graph_are_rounded() -> None:
    nodes = [*pair("x", "x_d", "s", "z"), *pair("w", "w_d", "s", "z"), node("MatMul", "x_d w_d", "y")]
    weights = RNG.normal(size=(4, 5)).astype(np.float32)
    found = canonical(model(nodes, {"x": (1, 4)}, "y", {"s": np.float32(0.25), "z": np.int8(0), "w": weights}))
    stored = found.graph.initializers["w"].const_value
    assert stored is not None
    assert np.array_equal(stored.numpy(), np.rint(weights * 4) / 4)


def test_narrow_ranges_as_training_writes_them() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("Clip", "q low high", "k"), node("DequantizeLinear", "k s z", "d"),
        node("Exp", "d", "y"),
    ]  # fmt: skip
    given = {"s": np.float32(0.5), "z": np.int8(0), "low": np.int8(-7), "high": np.int8(6)}
    found = canonical(model(nodes, {"x": (1, 4)}, "y", given))
    assert op_types(found) == ["Exp"]
    assert ranges_of(found) == {"x": (-3.5, 3.0)}


@pytest.mark.parametrize(
    ("steps", "scale", "expected"),
    [
        ("Conv", 0.1, ["Conv", "Relu"]),
        ("Conv", 6 / 255, ["Conv", "Clip"]),
        ("Conv Relu", 0.1, ["Conv", "Relu"]),
        ("Conv Sigmoid", 1 / 255, ["Conv", "Sigmoid"]),
        ("Conv Relu MaxPool", 0.1, ["Conv", "Relu", "MaxPool"]),
        ("Conv MaxPool", 0.1, ["Conv", "Relu", "MaxPool"]),
    ],
)
def test_an_activation_that_saturation_was_is_put_back(steps: str, scale: float, expected: list[str]) -> None:
    nodes, names = [], ["x", "a", "b", "c"]
    for index, op in enumerate(steps.split()):
        extra = " w" if op == "Conv" else ""
        attributes = {"kernel_shape": [2, 2]} if op == "MaxPool" else {}
        nodes.append(node(op, f"{names[index]}{extra}", names[index + 1], **attributes))
    nodes += pair(names[len(nodes)], "y", "s", "z")
    weights = W.astype(np.float32) / 100
    proto = model(nodes, {"x": (1, 3, 8, 8)}, "y", {"w": weights, "s": np.float32(scale), "z": np.uint8(0)})
    found = canonical(proto)
    assert sorted(op_types(found)) == sorted(expected)
    x = RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)
    difference = np.abs(Runner(found)({"x": x})["y"] - Runner(load(proto))({"x": x})["y"])
    assert difference.max() <= scale / 2 + 1e-6


def test_operators_between_integers_move_the_real_numbers() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("MaxPool", "q", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "p", "t", perm=[0, 2, 3, 1]), node("Concat", "t t", "k", axis=1),
        node("Reshape", "k shape", "r"), node("Pad", "r pads _", "v"), node("DequantizeLinear", "v s z", "y"),
    ]  # fmt: skip
    given = {"s": np.float32(0.01), "z": np.uint8(128), "shape": [1, -1], "pads": [0, 1, 0, 2]}
    proto = model(nodes, {"x": (1, 3, 8, 8)}, "y", given)
    found = canonical(proto)
    x = RNG.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    difference = Runner(found)({"x": x})["y"] - Runner(load(proto))({"x": x})["y"]
    assert np.abs(difference).max() <= 0.005 + 1e-6
    assert ranges_of(found)["y"] == ranges_of(found)["x"]


def test_integers_that_come_in_and_go_out_are_real_numbers() -> None:
    nodes = [
        node("DequantizeLinear", "x s z", "d"), node("Tanh", "d", "t"), node("QuantizeLinear", "t s z", "y"),
    ]  # fmt: skip
    given = {"s": np.float32(0.01), "z": np.uint8(100)}
    inputs, outputs = [value("x", (1, 4), np.uint8)], [value("y", (1, 4), np.uint8)]
    found = canonical(model(nodes, inputs, outputs, given))
    assert op_types(found) == ["Tanh"]
    assert [item.dtype for item in (*found.graph.inputs, *found.graph.outputs)] == [ir.DataType.FLOAT] * 2
    step = float(np.float32(0.01))
    assert ranges_of(found) == dict.fromkeys("xy", (-100 * step, 155 * step))


def integer_convolution() -> onnx.ModelProto:
    nodes = [
        node("QuantizeLinear", "x sx zx", "q"), node("QLinearConv", "q sx zx w sw zw sy zy b", "c", "conv"),
        node("DequantizeLinear", "c sy zy", "y"),
    ]  # fmt: skip
    bias = np.array([100, -200, 300, -400], np.int32)
    return model(nodes, {"x": (1, 3, 8, 8)}, "y", {**constants(np.uint8, 128), "w": W, "b": bias}, opset=13)


def test_operators_on_integers() -> None:
    found = canonical(integer_convolution())
    assert op_types(found) == ["Conv"]
    assert found.graph[0].name == "conv_1"
    x = RNG.uniform(-6, 6, (1, 3, 8, 8)).astype(np.float32)
    exact, rounded = Runner(found)({"x": x})["y"], Runner(load(integer_convolution()))({"x": x})["y"]
    inside = (np.abs(exact) < 12) & (np.abs(rounded) < 12)
    reach = np.abs(found.graph.initializers["w"].const_value.numpy()).sum(axis=(1, 2, 3)).reshape(1, -1, 1, 1)  # type: ignore[union-attr]
    assert (np.abs(exact - rounded) <= 0.025 * reach + 0.051)[inside].all()


def test_matrices_of_integers() -> None:
    weights = RNG.integers(-127, 128, (6, 5)).astype(np.int8)
    nodes = [
        node("QuantizeLinear", "x sx zx", "q"), node("QLinearMatMul", "q sx zx w sw zw sy zy", "c"),
        node("DequantizeLinear", "c sy zy", "y"),
    ]  # fmt: skip
    columns = np.array([0.01, 0.02, 0.03, 0.04, 0.05], np.float32)
    proto = model(nodes, {"x": (2, 6)}, "y", {**constants(np.int8, 0, columns, weights), "w": weights})
    found = canonical(proto)
    x = RNG.integers(-20, 20, (2, 6)).astype(np.float32) * np.float32(0.05)
    exact = x.astype(np.float64) @ (weights * columns.astype(np.float64))
    assert np.abs(Runner(found)({"x": x})["y"] - exact).max() <= 1e-5 * np.abs(exact).max()
    assert op_types(found) == ["Gemm"]


@pytest.mark.parametrize("op", ["MatMulInteger", "ConvInteger"])
def test_dynamic_quantization_brings_no_ranges(op: str) -> None:
    weights = (RNG.integers(0, 255, (6, 5)) if op == "MatMulInteger" else RNG.integers(0, 255, (4, 3, 1, 1))).astype(
        np.uint8
    )
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"), node(op, "q w z zw", "p"), node("Cast", "p", "f", to=1),
        node("Mul", "s sw", "k"), node("Mul", "f k", "y"),
    ]  # fmt: skip
    shape = (2, 6) if op == "MatMulInteger" else (1, 3, 4, 4)
    proto = model(nodes, {"x": shape}, "y", {"w": weights, "zw": np.uint8(99), "sw": np.float32(0.01)})
    found = canonical(proto)
    assert op_types(found) == [op.removesuffix("Integer").replace("MatMul", "Gemm")]
    assert ranges_of(found) == {}
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    exact, rounded = Runner(found)({"x": x})["y"], Runner(load(proto))({"x": x})["y"]
    assert np.abs(exact - rounded).max() <= 2 / 255 / 2 * 6 * 1.6 + 1e-6


MICROSOFT = {
    "QLinearAdd": ("q s z q s z s z", {}, "Add"),
    "QLinearMul": ("q s z q s z s z", {}, "Mul"),
    "QLinearSigmoid": ("q s z s z", {}, "Sigmoid"),
    "QLinearLeakyRelu": ("q s z s z", {"alpha": 0.1}, "LeakyRelu"),
    "QLinearGlobalAveragePool": ("q s z s z", {}, "GlobalAveragePool"),
    "QLinearAveragePool": ("q s z s z", {"kernel_shape": [2, 2]}, "AveragePool"),
    "QLinearConcat": ("s z q s z q s z", {"axis": 1}, "Concat"),
}


@pytest.mark.parametrize("op", MICROSOFT)
def test_integer_operators_of_onnx_runtime(op: str) -> None:
    inputs, attributes, expected = MICROSOFT[op]
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node(op, inputs, "r", domain="com.microsoft", **attributes),
        node("DequantizeLinear", "r s z", "y"),
    ]  # fmt: skip
    given = {"s": np.float32(0.02), "z": np.uint8(128)}
    proto = model(nodes, {"x": (1, 2, 4, 4)}, "y", given, domains=["com.microsoft"], opset=17)
    found = canonical(proto)
    assert op_types(found) == [expected]
    x = RNG.uniform(-1, 1, (1, 2, 4, 4)).astype(np.float32)
    exact, rounded = Runner(found)({"x": x})["y"], Runner(load(proto))({"x": x})["y"]
    assert np.abs(exact - rounded).max() <= 0.02 * 2.5


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        (
            [node("ReduceMax", "x", "s", keepdims=0), *pair("x", "y", "s", "z")], {"z": np.int8(0)},
            r"QuantizeLinear 'QuantizeLinear_1': its scale or zero point is not constant",
        ),
        (
            [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q t z", "y")],
            {"s": np.float32(1), "t": np.float32(2), "z": np.int8(0)},
            r"DequantizeLinear 'DequantizeLinear_1': the integers were written with another scale",
        ),
        (
            [node("QuantizeLinear", "x s z", "q"), node("Cast", "q", "y", to=1)],
            {"s": np.float32(1), "z": np.int8(0)},
            r"QuantizeLinear 'QuantizeLinear_0': .*something computes with its integers",
        ),
        (
            [
                node("QuantizeLinear", "x s z", "q"),
                node("QLinearSoftmax", "q s z s z", "r", "odd", domain="com.microsoft", channels_last=1),
                node("DequantizeLinear", "r s z", "y"),
            ],
            {"s": np.float32(1), "z": np.int8(0)},
            r"QLinearSoftmax 'odd': it computes with channels last",
        ),
    ],
)  # fmt: skip
def test_what_has_no_float_counterpart(nodes: list[Any], constants: dict[str, Any], message: str) -> None:
    proto = model(nodes, {"x": (1, 4)}, "y", constants, domains=["com.microsoft"])
    with pytest.raises(UnsupportedError, match=message):
        canonical(proto)


def test_scales_that_do_not_fit_their_data_are_named() -> None:
    proto = quantized(constants(scales=[0.1, 0.2]))
    with pytest.raises(
        ModelError, match=r"DequantizeLinear '.*': its scales, zero points and data do not fit together"
    ):
        canonical(proto)


@given(scale=st.floats(1e-3, 10), zero=st.integers(-128, 127))
def test_the_range_is_what_the_integers_reach(scale: float, zero: int) -> None:
    given_constants = {"s": np.float32(scale), "z": np.int8(zero)}
    proto = model([*pair("x", "d", "s", "z"), node("Exp", "d", "y")], {"x": (1, 2)}, "y", given_constants)
    low, high = ranges_of(canonical(proto))["x"]
    ends = model(pair("x", "y", "s", "z"), {"x": (1, 2)}, "y", given_constants)
    found = Runner(load(ends))({"x": np.array([[-1e6, 1e6]], np.float32)})["y"][0]
    assert np.array_equal(found, np.array([low, high], np.float32))
