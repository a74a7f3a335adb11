"""The report on accumulators that saturate."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinsmith


def _wide_conv(channels: int) -> onnx.ModelProto:
    """Sums of ``channels`` products, half with weight 1, half with weight -1."""
    weights = np.ones((16, channels, 1, 1), dtype=np.float32)
    weights[:, channels // 2 :] = -1
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="wide", kernel_shape=[1, 1])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 2, 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_a_layer_that_saturates_is_named_with_its_sums() -> None:
    data = np.ones((2, 512, 2, 2), dtype=np.float32)
    quantized = tinsmith.quantize(_wide_conv(512), data, "esp32s3")
    assert len(quantized.notes) == 1
    assert "'wide': 128 sums saturated the 20-bit accumulator" in quantized.notes[0]
    exact = tinsmith.simulate(quantized.program, {"x": data[:1]}, assume_no_saturation=True)
    lanes = tinsmith.simulate(quantized.program, {"x": data[:1]})
    assert not np.array_equal(exact["y"], lanes["y"])


def test_a_layer_that_might_saturate_is_reported_with_what_it_used() -> None:
    data = np.random.default_rng(0).uniform(-0.02, 0.02, (2, 256, 2, 2)).astype(np.float32)
    data[:, 0] = 1.0
    (note,) = tinsmith.quantize(_wide_conv(256), data, "esp32s3").notes
    assert note.startswith("1 layer could saturate the accumulators on extreme input")
    assert "'wide'" in note


@pytest.mark.parametrize("target", ["esp32p4", "c"])
def test_chips_whose_accumulators_do_not_saturate_have_nothing_to_report(target: str) -> None:
    data = np.ones((2, 256, 2, 2), dtype=np.float32)
    assert tinsmith.quantize(_wide_conv(256), data, target).notes == ()


def test_a_small_layer_is_proved_safe_and_not_mentioned() -> None:
    data = np.ones((2, 8, 2, 2), dtype=np.float32)
    assert tinsmith.quantize(_wide_conv(8), data, "esp32s3").notes == ()
