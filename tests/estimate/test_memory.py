"""The planner's rules one by one, and the peaks of published models."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.estimate.programs import Builder
from tests.estimate.published import program as published
from tests.estimate.published import rows
from tinsmith.errors import ProgramError, RecipeError
from tinsmith.estimate.memory import Buffer, MemoryPlan, plan_memory
from tinsmith.ops.inference import placeholders
from tinsmith.program import DType
from tinsmith.targets import TARGETS, find

C = TARGETS["c"]


def plan(build: Builder, *outputs: str, internal: int = 0) -> MemoryPlan:
    return plan_memory(build.program(*outputs), C, internal)


@pytest.mark.parametrize("row", rows())
def test_the_peak_is_what_the_chip_measured(row: dict[str, str]) -> None:
    found = plan_memory(published(row), find(row["target"]))
    assert found.peak == found.external_peak == int(row["variable_peak_bytes"])
    assert len(found.steps) == int(row["nodes"])
    assert not found.overwritten


@pytest.mark.parametrize("row", rows())
@pytest.mark.parametrize("internal", [64 * 1024, 256 * 1024])
def test_internal_memory_is_filled_first(row: dict[str, str], internal: int) -> None:
    found = plan_memory(published(row), find(row["target"]), internal)
    first = found.buffers[0]
    assert first.internal is (first.size <= internal)
    assert 0 < found.internal_peak <= internal
    assert not found.overwritten


def test_a_dirty_node_takes_its_inputs_buffer() -> None:
    build = Builder()
    x = build.input(20)
    y = build.node("Relu", x)
    z = build.node("Transpose", y, attributes={"perm": (0,)})
    found = plan(build, z)
    assert found.buffers == (Buffer((x, y), 0, 1, 0, 32, False), Buffer((z,), 1, 1, 32, 32, False))
    assert found.live == (32, 64)
    assert (found.peak, found.internal_peak, found.external_peak) == (64, 0, 64)
    assert found.steps == ("t0", "t1")


def test_an_input_that_is_read_again_is_not_overwritten() -> None:
    build = Builder()
    x = build.input(16)
    y = build.node("Relu", x)
    z = build.node("Sub", y, x)
    found = plan(build, z)
    assert [buffer.tensors for buffer in found.buffers] == [(x,), (y,), (z,)]
    assert found.peak == 48


def test_an_input_that_is_read_twice_by_one_node_may_be_overwritten() -> None:
    build = Builder()
    x = build.input(16)
    y = build.node("Add", x, x)
    assert plan(build, y).peak == 16


def test_the_last_of_several_readers_gets_the_buffer() -> None:
    build = Builder()
    x = build.input(16)
    early = build.node("Neg", x)
    late = build.node("Relu", x)
    found = plan(build, early, late)
    assert found.buffer(late).tensors == (x, late)
    assert found.buffer(early).tensors == (early,)


def test_the_first_variable_input_that_is_large_enough_lends_its_buffer() -> None:
    build = Builder()
    one, many = build.input(1), build.input(16)
    y = build.node("Add", one, many, lengths=(16,))
    assert plan(build, y).buffer(y).tensors == (many, y)


def test_a_constant_first_input_lends_nothing() -> None:
    build = Builder()
    x = build.input(16)
    y = build.node("Add", build.constant(np.zeros(16, np.int8)), x)
    assert plan(build, y).buffer(y).tensors == (x, y)


def test_a_node_of_constants_alone_gets_a_buffer() -> None:
    build = Builder()
    x = build.input(16)
    y = build.node("Add", *(build.constant(np.zeros(5, np.int8)) for _ in range(2)), lengths=(5,))
    assert plan(build, x, y).buffer(y).size == 16


def test_a_smaller_output_fits_a_larger_one_does_not() -> None:
    build = Builder()
    wide = build.input(16, dtype=DType.INT16)
    scale = build.constant(np.asarray(1.0, np.float32))
    narrow = build.node("RequantizeLinear", wide, scale, "", dtype=DType.INT8)
    back = build.node("DequantizeLinear", narrow, scale, dtype=DType.FLOAT)
    found = plan(build, back)
    assert found.buffer(narrow) == Buffer((wide, narrow), 0, 1, 0, 32, False)
    assert found.buffer(back) == Buffer((back,), 1, 1, 32, 64, False)


@pytest.mark.parametrize(
    ("dtype", "size"), [(DType.INT8, 32), (DType.INT16, 64), (DType.FLOAT, 128), (DType.INT64, 256), (DType.BOOL, 32)]
)
def test_elements_count_with_their_width(dtype: DType, size: int) -> None:
    build = Builder()
    x = build.input(32, dtype=dtype)
    assert plan(build, build.node("Identity", x)).peak == size


def test_a_graph_output_is_never_overwritten_and_never_freed() -> None:
    build = Builder()
    x = build.input(16)
    y = build.node("Transpose", x, attributes={"perm": (0,)})
    z = build.node("Relu", y)
    w = build.node("Transpose", z, attributes={"perm": (0,)})
    found = plan(build, y, w)
    assert found.buffer(y) == Buffer((y,), 0, 2, 16, 16, False)
    assert found.buffer(z).tensors == (z,)
    assert found.buffer(w).offset == 32  # x's and y's are taken: x's is free from step 1 on and holds z


def test_an_input_that_is_an_output_keeps_its_buffer() -> None:
    build = Builder()
    x = build.input(16)
    y = build.node("Relu", x)
    found = plan(build, x, y)
    assert found.buffer(x) == Buffer((x,), 0, 0, 0, 16, False)
    assert found.peak == 32


def test_a_clean_node_shares_and_stays_shared_when_the_first_name_is_read_again() -> None:
    build = Builder()
    x = build.input(2, 8)
    flat = build.reshape(x, 16)
    y = build.node("Transpose", x, attributes={"perm": (1, 0)})
    z = build.node("Transpose", flat, attributes={"perm": (0,)})
    found = plan(build, y, z)
    assert found.buffer(flat) == Buffer((x, flat), 0, 2, 0, 16, False)
    assert found.overwritten == ()


def test_what_a_clean_node_shows_is_not_overwritten_through_the_first_name() -> None:
    build = Builder()
    x = build.input(16)
    flat = build.reshape(x, 16)
    y = build.node("Relu", x)
    z = build.node("Sub", flat, y)
    found = plan(build, z)
    assert found.buffer(flat).tensors == (x, flat)
    assert found.buffer(y).tensors == (y,)
    assert found.overwritten == ()


def test_what_the_planner_overwrites_through_another_name_is_told() -> None:
    build = Builder()
    x = build.input(16)
    flat = build.reshape(x, 16)
    y = build.node("Relu", flat)
    z = build.node("Sub", x, y)
    found = plan(build, z)
    assert found.buffer(x).tensors == (x, flat, y)
    assert found.overwritten == (x,)


def test_an_output_lives_on_in_the_buffer_of_a_tensor_that_is_not_needed_any_more() -> None:
    build = Builder()
    x = build.input(16)
    flat = build.reshape(x, 16)
    other = build.node("Transpose", x, attributes={"perm": (0,)})
    last = build.node("Relu", other)
    found = plan(build, flat, last)
    assert found.buffer(flat) == Buffer((x, flat), 0, 2, 0, 16, False)


def test_outputs_that_nobody_reads_stay() -> None:
    build = Builder()
    x = build.input(32)
    parts = build.constant(np.asarray([16, 16], np.int64))
    used = build.node("Split", x, parts, lengths=(16, 16), attributes={"axis": 0})
    y = build.node("Relu", build.node("Transpose", used, attributes={"perm": (0,)}))
    found = plan(build, y)
    assert found.buffer(used + "b").end == 2
    assert found.buffer(used).end == 1
    assert found.buffer(x).end == 0


def test_an_input_that_nobody_reads_takes_memory() -> None:
    build = Builder()
    x, unused = build.input(16), build.input(100)
    y = build.node("Relu", x)
    found = plan(build, y)
    assert found.buffer(unused) == Buffer((unused,), 0, 0, 16, 112, False)


def test_a_tensor_without_elements_takes_no_bytes() -> None:
    build = Builder()
    x = build.input(0)
    y = build.node("Transpose", x, attributes={"perm": (0,)})
    found = plan(build, y)
    assert found.peak == 0
    assert [buffer.size for buffer in found.buffers] == [0, 0]


def test_a_scalar_counts_as_one_element() -> None:
    build = Builder()
    x = build.input()
    assert plan(build, build.node("Neg", x)).peak == 16


def test_a_program_without_nodes_takes_nothing() -> None:
    build = Builder()
    x = build.input(16)
    found = plan(build, x)
    assert (found.steps, found.buffers, found.live, found.peak) == ((), (), (), 0)


def _move(build: Builder, x: str) -> str:
    return build.node("Transpose", x, attributes={"perm": (0,)})


def test_the_smallest_free_chunk_is_taken_and_cut() -> None:
    build = Builder()
    x = build.input(48)
    a = _move(build, x)
    small = build.constant(np.zeros(1, np.int64))
    y = build.node("Gather", a, small, lengths=(1,), attributes={"axis": 0})
    z = build.node("Sub", y, a, lengths=(48,))
    found = plan(build, z)
    assert found.buffer(y) == Buffer((y,), 1, 2, 0, 16, False)  # the first of the 48 bytes that x left
    assert found.buffer(z).offset == 96  # 32 free bytes are too few
    assert found.peak == 144


def test_a_free_chunk_at_the_end_grows() -> None:
    build = Builder()
    x = build.input(16)
    a = _move(build, x)
    b = _move(build, a)
    c = build.node("Gather", b, build.constant(np.zeros(40, np.int64)), lengths=(40,), attributes={"axis": 0})
    found = plan(build, c)
    assert found.buffer(c) == Buffer((c,), 2, 2, 16, 48, False)  # a's 16 bytes, grown; b lies before it
    assert found.peak == 64


def test_internal_memory_first_the_rest_outside() -> None:
    build = Builder()
    x = build.input(32)
    y = _move(build, x)
    z = _move(build, y)
    found = plan(build, z, internal=40)
    assert found.internal == found.internal_peak == 32
    assert [(buffer.internal, buffer.offset) for buffer in found.buffers] == [(True, 0), (False, 0), (True, 0)]
    assert (found.external_peak, found.peak) == (32, 64)


def test_too_little_internal_memory_is_none() -> None:
    build = Builder()
    x = build.input(8)
    found = plan(build, build.node("Relu", x), internal=16)
    assert (found.internal, found.internal_peak, found.external_peak) == (0, 0, 16)


def test_a_negative_size_is_refused() -> None:
    build = Builder()
    x = build.input(8)
    with pytest.raises(RecipeError, match="internal: -1 bytes are no size"):
        plan(build, build.node("Relu", x), internal=-1)


def test_an_unknown_tensor_has_no_buffer() -> None:
    build = Builder()
    x = build.input(8)
    with pytest.raises(KeyError, match="nothing"):
        plan(build, build.node("Relu", x)).buffer("nothing")


def test_shapes_that_do_not_fit_are_told() -> None:
    build = Builder()
    x, y = build.input(8), build.input(7)
    with pytest.raises(ProgramError, match="t0"):
        plan(build, build.node("Sub", x, y))


def test_three_hundred_nodes_take_a_fraction_of_a_second() -> None:
    build = Builder()
    kept = [build.input(1000)]
    for step in range(300):
        kept.append(build.node("Sub", kept[-1], kept[step // 2]))
    program = build.program(kept[-1])
    placeholders(program, C)
    start = time.process_time()
    found = plan_memory(program, C)
    assert time.process_time() - start < 0.2
    assert found.peak >= max(found.live) > 70 * 1008
