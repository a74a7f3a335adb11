"""Layers in parts: how many filters each has, and what that saves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.estimate.convolutions import conv
from tests.estimate.programs import Builder
from tinsmith import targets
from tinsmith.estimate.latency import latency
from tinsmith.estimate.parts import filters_of_parts, room_for_weights, saved_by_parts
from tinsmith.estimate.slow import IN_PARTS, slow_nodes
from tinsmith.estimate.work import NodeWork, works
from tinsmith.program import DType, Program

S3, P4 = (targets.find(name) for name in ("esp32s3", "esp32p4"))


def only(build: Builder) -> NodeWork:
    (work,) = works(build.program("t0"), S3)
    return work


def in_parts(channels: int, filters: tuple[int, ...], size: int) -> Program:
    """Convolutions of one input, and the Concat of their results."""
    whole = Builder()
    source = whole.input(1, size, size, channels)
    results = []
    for number, count in enumerate(filters):
        part = conv(channels, count, size=size)
        _, weights, bias = part.nodes[0].inputs
        names = {name: whole.constant(part.constants[name].data) for name in (weights, bias)}
        results.append(whole.node("Conv", source, *names.values(), attributes=part.nodes[0].attributes))
        assert results[-1] == f"t{number}"
    whole.node("Concat", *results, attributes={"axis": 3})
    return whole.program(f"t{len(filters)}")


@given(
    st.integers(1, 300),
    st.integers(1, 700),
    st.sampled_from([1, 3]),
    st.sampled_from([DType.INT8, DType.INT16]),
    st.sampled_from([S3, P4]),
)
def test_parts_are_as_few_as_fit(
    channels: int, filters: int, kernel: int, dtype: DType, target: targets.Target
) -> None:
    node = only(conv(channels, filters, kernel=kernel, dtype=dtype, size=3))
    one, room, block = node.work.panel // filters, room_for_weights(target), 128 // dtype.bits
    parts = filters_of_parts(node, target)
    if one * filters <= room or one * block > room:
        assert parts == ()
        return
    assert sum(parts) == filters
    assert all(part % block == 0 for part in parts[:-1])
    assert 0 < max(parts) * one <= room
    assert max(parts) - min(parts[:-1]) <= block
    assert max(parts) - parts[-1] < 2 * block
    assert (len(parts) - 1) * (room // (one * block)) * block < filters


def test_what_is_read_once_or_computed_or_small_has_no_parts() -> None:
    assert filters_of_parts(only(conv(64, 256, size=1)), S3) == ()
    assert filters_of_parts(only(conv(64, 256)), P4) == ()
    assert filters_of_parts(only(conv(6400, 6400, group=6400)), S3) == ()
    build = Builder()
    build.node("MatMul", build.input(1, 64, 512), build.input(1, 512, 512))
    (work,) = works(build.program("t0"), S3)
    assert work.work.panel > room_for_weights(S3)
    assert filters_of_parts(work, S3) == ()


@pytest.mark.parametrize(("channels", "filters", "size"), [(64, 256, 20), (128, 128, 8), (96, 200, 6)])
def test_what_is_said_to_be_saved_is_what_the_parts_take_less(channels: int, filters: int, size: int) -> None:
    """Up to the Concat's cycles and parts whose channels are aligned where the layer's are not."""
    whole = conv(channels, filters, size=size)
    parts = filters_of_parts(only(whole), S3)
    before, after = (
        latency(program, S3, "psram") for program in (whole.program("t0"), in_parts(channels, parts, size))
    )
    assert before is not None
    assert after is not None
    saved = saved_by_parts(only(whole), len(parts), S3)
    assert saved[0] <= before.single_ms - after.single_ms + 0.02 * after.single_ms
    assert saved[0] == pytest.approx(before.single_ms - after.single_ms, rel=0.1)
    assert saved[1] == pytest.approx(before.dual_ms - after.dual_ms, rel=0.1)


def test_a_layer_that_cannot_be_split_is_told_to_have_fewer_channels() -> None:
    (slow,) = slow_nodes(conv(512, 512).program("t0"), S3)
    assert slow.remedy.endswith(" KiB: fewer channels.")
    (small,) = slow_nodes(conv(64, 256).program("t0"), S3)
    assert IN_PARTS in small.remedy
    assert small.gain_ms > 0
