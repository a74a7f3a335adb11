"""Layers that are slow for a reason: each reason once, and what it saves."""

from __future__ import annotations

import numpy as np
import pytest

from tests.estimate.convolutions import conv
from tests.estimate.programs import Builder
from tests.shared import shared_path
from tinsmith import espdl, targets
from tinsmith.estimate.latency import latency
from tinsmith.estimate.slow import WORTH, SlowNode, slow_nodes
from tinsmith.program import DType, Program

S3, P4, C3 = (targets.find(name) for name in ("esp32s3", "esp32p4", "esp32c3"))


def time(program: Program, node: int = 0) -> float:
    found = latency(program, S3)
    assert found is not None
    return found.nodes[node].single_ms


def only(build: Builder, output: str) -> SlowNode:
    (slow,) = slow_nodes(build.program(output), S3)
    return slow


def table(build: Builder, values: np.ndarray[tuple[int], np.dtype[np.int8]]) -> str:
    """The name of a table."""
    return build.constant(values)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_a_softmax_looks_up_in_int8_only(operator: str) -> None:
    wide, narrow = Builder(), Builder()
    for build, dtype in ((wide, DType.INT16), (narrow, DType.INT8)):
        build.node(operator, build.input(400, dtype=dtype), dtype=DType.FLOAT, attributes={"axis": -1})
    slow = only(wide, "t0")
    assert "exponentials of 400 int16 elements" in slow.reason
    assert slow.gain_ms == pytest.approx(time(wide.program("t0")) - time(narrow.program("t0")))
    assert slow_nodes(narrow.program("t0"), S3) == ()


def test_channels_that_fill_no_vectors() -> None:
    slow = only(conv(24, 40), "t0")
    assert (slow.node, "multiples of 16" in slow.remedy) == ("t0", True)
    assert "24 input and 40 output channels" in slow.reason
    work_alone = time(conv(24, 40).program("t0")) - time(conv(32, 48).program("t0"))
    assert slow.gain_ms == pytest.approx(work_alone, rel=0.1)  # the tensors themselves become larger, too


def test_aligned_layers_are_not_named() -> None:
    assert slow_nodes(conv(32, 32).program("t0"), S3) == ()


def test_a_relu6_that_is_a_table() -> None:
    build = conv(16, 16)
    ramp = np.clip(np.arange(-128, 128), 0, 96).astype(np.int8)
    build.node("Clip", "t0", attributes={"lut": table(build, ramp)})
    slow = only(build, "t1")
    assert slow.node == "t1"
    assert slow.gain_ms == pytest.approx(time(build.program("t1"), 1))
    assert "Relu" in slow.remedy


def test_a_clip_that_no_relu_replaces() -> None:
    build = conv(16, 16)
    ramp = np.clip(np.arange(-128, 128), -30, 96).astype(np.int8)
    build.node("Clip", "t0", attributes={"lut": table(build, ramp)})
    assert slow_nodes(build.program("t1"), S3) == ()


def test_an_int16_function_without_a_table() -> None:
    build = Builder()
    build.node("Swish", build.input(1, 40, 40, 64, dtype=DType.INT16))
    slow = only(build, "t0")
    assert "102,400" in slow.reason
    assert "int8" in slow.remedy
    assert 50 < slow.gain_ms < time(build.program("t0"))


def test_float_nodes() -> None:
    build = Builder()
    build.node("Sigmoid", build.input(1, 8, 8, 16, dtype=DType.FLOAT))
    assert "float32" in only(build, "t0").reason


def test_a_transpose() -> None:
    build = Builder()
    build.node("Transpose", build.input(1, 40, 40, 16), attributes={"perm": (0, 3, 1, 2)})
    slow = only(build, "t0")
    assert "25,600" in slow.reason
    assert slow.gain_ms == pytest.approx(time(build.program("t0")))


@pytest.mark.parametrize(("dtype", "word"), [(DType.INT8, "exponent"), (DType.INT16, "width")])
def test_a_requantize(dtype: DType, word: str) -> None:
    build = Builder()
    build.node("RequantizeLinear", build.input(1, 8, 8, 16), dtype=dtype)
    assert word in only(build, "t0").reason


def test_a_product_over_few_channels() -> None:
    build = Builder()
    build.node("Mul", build.input(1, 16, 16, 4), build.input(1, 16, 1, 4))
    assert "4 elements" in only(build, "t0").reason


def test_weights_larger_than_the_cache() -> None:
    build = conv(64, 256, size=20)
    slow = only(build, "t0")
    assert "144 KiB" in slow.reason
    assert "400 times" in slow.reason
    assert 0.5 * time(build.program("t0")) < slow.gain_ms < time(build.program("t0"))
    assert slow_nodes(build.program("t0"), P4) == ()


def test_where_large_weights_come_from() -> None:
    build = conv(64, 256, size=20)
    (psram,), (flash,) = (slow_nodes(build.program("t0"), S3, place) for place in ("psram", "flash"))
    assert "PSRAM" in psram.reason
    assert "flash" in flash.reason
    assert flash.gain_ms > psram.gain_ms


def test_a_computed_matrix_on_the_right() -> None:
    build = Builder()
    left, right = build.input(1, 64, 32), build.input(1, 64, 32)
    turned = build.node("Transpose", right, attributes={"perm": (0, 2, 1)})
    build.node("MatMul", left, build.reshape(turned, 1, 32, 64))
    slow = only(build, "t2")  # the Transpose is told there, and not again by itself
    assert (slow.node, "2 nodes" in slow.reason) == ("t2", True)
    assert slow.gain_ms == pytest.approx(time(build.program("t2")), rel=0.01)


def test_the_largest_gain_comes_first_and_small_ones_are_left_out() -> None:
    program = espdl.read(shared_path("golden/published/esp32s3__coco_detect_yolo11n_320_s8_v1.espdl"))
    found = slow_nodes(program, S3)
    whole = latency(program, S3)
    assert whole is not None
    gains = [slow.gain_ms for slow in found]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] >= WORTH * whole.single_ms
    assert sum(gains) < whole.single_ms
    assert len({slow.node for slow in found}) == len(found)


def test_chips_nobody_measured() -> None:
    assert slow_nodes(conv(24, 40).program("t0"), C3) == ()
