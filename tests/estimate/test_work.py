"""What nodes make a chip do: counts that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.estimate.convolutions import conv
from tests.estimate.programs import Builder
from tests.shared import shared_files
from tinsmith import espdl, targets
from tinsmith.errors import ProgramError
from tinsmith.estimate.work import NodeWork, works
from tinsmith.ops.work import Kernel
from tinsmith.program import DType

S3, P4, C = (targets.find(name) for name in ("esp32s3", "esp32p4", "c"))


def only(build: Builder, target: targets.Target = S3) -> NodeWork:
    (node,) = works(build.program("t0"), target)
    return node


def test_convolution() -> None:
    node = only(conv(32, 48))
    assert node.macs == 10 * 10 * 9 * 32 * 48
    assert node.work.steps == 10 * 10 * 9 * 32 * 3  # 3 vectors of filters
    assert node.work.entries == 10 * 10 * 9 * 3
    assert (node.work.calls, node.work.passes) == (100, 100)
    assert node.work.panel == 9 * 32 * 48
    assert (node.read, node.written) == (3200, 4800)
    assert node.parameters == 9 * 32 * 48 + 4 * 48
    assert (node.kernel, node.bits, node.elements) == (Kernel.CONV, 8, 4800)
    assert node.work.slow is None


def test_filters_that_fill_no_vector_go_one_by_one() -> None:
    node = only(conv(20, 18))
    assert node.kernel is Kernel.CONV_UNALIGNED
    assert node.work.steps == 100 * 9 * (1 * 20 + 2 * 2)  # 2 filters left, 20 channels in 2 vectors
    assert node.work.entries == 100 * 9 * (1 + 2)
    assert node.work.slow is not None
    assert node.work.slow.instead.kernel is Kernel.CONV
    assert node.work.slow.instead.steps == 100 * 9 * 32 * 2


def test_int16_has_half_as_many_lanes() -> None:
    node = only(conv(8, 8, dtype=DType.INT16))
    assert (node.kernel, node.bits) == (Kernel.CONV, 16)
    assert node.work.steps == 100 * 9 * 8
    assert node.work.panel == 2 * 9 * 8 * 8


def test_images_are_not_told_to_have_more_channels() -> None:
    assert only(conv(3, 16)).work.slow is None
    assert only(conv(3, 12)).work.slow is not None


@pytest.mark.parametrize(("channels", "kernel"), [(32, Kernel.DEPTHWISE), (24, Kernel.DEPTHWISE_UNALIGNED)])
def test_depthwise(channels: int, kernel: Kernel) -> None:
    node = only(conv(channels, channels, group=channels))
    assert node.kernel is kernel
    assert node.macs == 100 * 9 * channels
    assert node.work.steps == 100 * 9 * 2
    assert node.work.panel == 0


@pytest.mark.parametrize(("size", "split"), [(12, False), (13, True)])
def test_two_cores_share_many_rows(size: int, split: bool) -> None:
    assert only(conv(16, 16, size=size)).work.split is split


def test_without_vectors() -> None:
    node = only(conv(20, 18), C)
    assert node.work.steps == node.macs == 100 * 9 * 20 * 18
    assert node.work.slow is None


def test_gemm() -> None:
    build = Builder()
    x = build.input(1, 64)
    weights, bias = build.constant(np.zeros((1, 1, 64, 32), np.int8)), build.constant(np.zeros(32, np.int32))
    build.node("Gemm", x, weights, bias, lengths=(32,), attributes={"activation": "Linear"})
    node = only(build)
    assert (node.macs, node.work.passes, node.work.panel) == (64 * 32, 1, 64 * 32)
    assert node.constant_panel


def test_tables_and_functions() -> None:
    build = Builder()
    x = build.input(1, 4, 4, 16)
    small, large = build.constant(np.zeros(256, np.int8)), build.constant(np.zeros(65536, np.int16))
    build.node("Swish", x, attributes={"lut": small})
    wide = build.node("Swish", build.input(1, 4, 4, 16, dtype=DType.INT16), attributes={"lut": large})
    table, function = works(build.program(wide), S3)
    assert (table.kernel, table.work.steps, table.parameters) == (Kernel.TABLE, 256, 256)
    assert (function.kernel, function.work.steps) == (Kernel.FUNCTION, 256)
    assert function.parameters == 0  # the runtime does not look at an int16 table
    assert function.work.slow is not None
    assert function.work.slow.instead.kernel is Kernel.TABLE


def test_a_reshape_does_nothing() -> None:
    build = Builder()
    build.reshape(build.input(1, 4, 4, 16), 1, 256)
    node = only(build)
    assert (node.kernel, node.read, node.written, node.work.steps) == (Kernel.VIEW, 0, 0, 0)


def test_of_an_embedding_only_what_is_copied_is_read() -> None:
    build = Builder()
    build.node("Gather", build.constant(np.zeros((1000, 16), np.int8)), build.input(4, dtype=DType.INT64))
    node = only(build)
    assert (node.kernel, node.written, node.parameters) == (Kernel.COPY, 64, 64)


def test_a_product_of_two_computed_matrices() -> None:
    build = Builder()
    left, right = build.input(1, 2, 5, 16), build.input(1, 2, 16, 32)
    build.node("MatMul", left, right)
    node = only(build, P4)
    assert node.macs == 2 * 5 * 16 * 32
    assert (node.work.panel, node.work.passes, node.work.panels) == (16 * 32, 5, 2)
    assert not node.constant_panel


def test_errors_name_the_node() -> None:
    build = Builder()
    build.node("Nonsense", build.input(4))
    with pytest.raises(ProgramError, match="t0"):
        works(build.program("t0"), S3)


@pytest.mark.parametrize("folder", ["esp32s3_int8", "esp32s3_int16", "esp32p4_int8", "esp32p4_int16", "c_int8"])
def test_every_operator_of_the_runtime(folder: str) -> None:
    files = {path.parent.name: path for path in shared_files(f"golden/ops/{folder}/*/*.espdl")}
    if not files:
        pytest.skip("needs the reference files")
    target = targets.find(folder.split("_")[0])
    for operator, path in files.items():
        for node in works(espdl.decode(path.read_bytes()), target):
            counts = (node.macs, node.work.steps, node.work.entries, node.work.calls, node.read, node.written)
            assert min(counts) >= 0, operator
            assert node.kernel is Kernel.VIEW or node.work.steps > 0, (operator, node)
