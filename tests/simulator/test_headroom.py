"""The report on accumulators that saturate."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinsmith


def _wide_conv(channels: int, filters: int = 16) -> onnx.ModelProto:
    """Sums of ``channels`` products, half with weight 1, half with weight -1."""
    weights = np.ones((filters, channels, 1, 1), dtype=np.float32)
    weights[:, channels // 2 :] = -1
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="wide", kernel_shape=[1, 1])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, filters, 2, 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_a_layer_that_saturates_is_named_with_its_sums() -> None:
    data = np.ones((2, 512, 2, 2), dtype=np.float32)
    quantized = tinsmith.quantize(_wide_conv(512), data, "esp32s3", effort="fast")
    assert len(quantized.notes) == 1
    assert "'wide': 128 sums saturated the 20-bit accumulator" in quantized.notes[0]
    exact = tinsmith.simulate(quantized.program, {"x": data[:1]}, assume_no_saturation=True)
    lanes = tinsmith.simulate(quantized.program, {"x": data[:1]})
    assert not np.array_equal(exact["y"], lanes["y"])


def test_a_layer_that_might_saturate_is_reported_with_what_it_used() -> None:
    data = np.random.default_rng(0).uniform(-0.02, 0.02, (2, 256, 2, 2)).astype(np.float32)
    data[:, 0] = 1.0
    (note,) = tinsmith.quantize(_wide_conv(256), data, "esp32s3", effort="fast").notes
    assert note.startswith("1 layer could saturate the accumulators on extreme input")
    assert "'wide'" in note


@pytest.mark.parametrize("target", ["esp32p4", "c"])
def test_chips_whose_accumulators_do_not_saturate_have_nothing_to_report(target: str) -> None:
    data = np.ones((2, 256, 2, 2), dtype=np.float32)
    assert tinsmith.quantize(_wide_conv(256), data, target, effort="fast").notes == ()


def test_the_tail_channels_of_the_p4_saturate_in_int16() -> None:
    data = np.ones((2, 2048, 2, 2), dtype=np.float32)
    model = _wide_conv(2048, filters=9)
    notes = tinsmith.quantize(model, data, "esp32p4", bits=16).notes
    assert [note for note in notes if "'wide': 8 sums saturated the 40-bit accumulator" in note] == list(notes)
    assert tinsmith.quantize(model, data, "esp32p4", bits=8, effort="fast").notes == ()
    assert tinsmith.quantize(_wide_conv(2048, filters=8), data, "esp32p4", bits=16).notes == ()


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_gates_that_wrap_are_named(scale: float) -> None:
    rng = np.random.default_rng(0)
    constants = {"w": rng.normal(0, 1, (1, 32, 4)), "r": rng.normal(0, 0.1, (1, 32, 8))}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r"], ["y"], "lstm", hidden_size=8)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [6, 1, 1, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    data = [(rng.normal(0, 1, (6, 1, 4)) * scale).astype(np.float32) for _ in range(3)]
    notes = tinsmith.quantize(model, data, "c", effort="fast").notes
    assert [("'lstm'" in note, "sums wrapped around their 16 bits on 3 calib" in note) for note in notes] == (
        [(True, True)] if scale > 1 else []
    )


def test_a_small_layer_is_proved_safe_and_not_mentioned() -> None:
    data = np.ones((2, 8, 2, 2), dtype=np.float32)
    assert tinsmith.quantize(_wide_conv(8), data, "esp32s3", effort="fast").notes == ()
