"""What holds of every plan, and that a second, plainer planner comes to the same."""

from __future__ import annotations

from itertools import combinations
from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.estimate.naive_planner import naive_plan
from tests.estimate.programs import programs
from tinsmith.estimate.memory import MemoryPlan, plan_memory
from tinsmith.ops import find
from tinsmith.ops.base import Reuse
from tinsmith.ops.inference import infer_shapes
from tinsmith.program import Node, Program
from tinsmith.targets import TARGETS

C = TARGETS["c"]
ALLOWED = st.sampled_from([0, 16, 32, 50, 64, 100, 128, 200, 1000])


@given(programs(), ALLOWED)
def test_a_second_planner_agrees(program: Program, internal: int) -> None:
    plan = plan_memory(program, C, internal)
    places, tops = naive_plan(program, C, internal)
    mine = {
        (frozenset(b.tensors), b.start, b.end, "internal" if b.internal else "external", b.offset, b.size)
        for b in plan.buffers
    }
    assert mine == {(p.group, p.first, p.last, p.where, p.offset, p.size) for p in places}
    assert (plan.internal_peak, plan.external_peak) == (tops["internal"], tops["external"])


@given(programs(), ALLOWED)
def test_buffers_that_are_taken_at_the_same_time_do_not_overlap(program: Program, internal: int) -> None:
    plan = plan_memory(program, C, internal)
    for one, other in combinations(plan.buffers, 2):
        together = one.start <= other.end and other.start <= one.end and one.internal is other.internal
        assert not together or one.offset + one.size <= other.offset or other.offset + other.size <= one.offset


@given(programs(), ALLOWED)
def test_every_tensor_lies_in_one_buffer_from_its_production_to_its_last_use(program: Program, internal: int) -> None:
    plan = plan_memory(program, C, internal)
    shapes = infer_shapes(program, C)
    assert sorted(name for buffer in plan.buffers for name in buffer.tensors) == sorted(shapes)
    kept = {value.name for value in program.outputs}
    for step, node in enumerate(program.nodes):
        for name in {*node.inputs, *node.outputs} & shapes.keys():
            assert plan.buffer(name).at(step)
    for name, shape in shapes.items():
        buffer = plan.buffer(name)
        assert buffer.size >= prod(shape) * program.values[name].dtype.bits // 8
        assert buffer.size % 16 == buffer.offset % 16 == 0
        assert name not in kept or buffer.end == len(program.nodes) - 1


@given(programs(), ALLOWED)
def test_the_peak_covers_what_is_live_and_internal_memory_stays_in_its_bounds(program: Program, internal: int) -> None:
    plan = plan_memory(program, C, internal)
    assert plan.peak == plan.internal_peak + plan.external_peak
    assert plan.peak >= max(plan.live)
    assert plan.live == tuple(sum(b.size for b in plan.buffers if b.at(step)) for step in range(len(program.nodes)))
    assert plan.internal_peak <= plan.internal <= internal
    assert plan.steps == tuple(node.name for node in program.nodes)
    for inside in (True, False):
        ends = [b.offset + b.size for b in plan.buffers if b.internal is inside]
        assert max(ends, default=0) == (plan.internal_peak if inside else plan.external_peak)


@given(programs(), ALLOWED)
def test_overwritten_tensors_are_those_whose_bytes_are_gone_when_read(program: Program, internal: int) -> None:
    plan = plan_memory(program, C, internal)
    assert set(plan.overwritten) == _spoiled(program, plan)


def _spoiled(program: Program, plan: MemoryPlan) -> set[str]:
    """Run the program on memory whose bytes say which tensor they belong to."""
    shapes = infer_shapes(program, C)
    memory = {True: np.zeros(plan.internal_peak, int), False: np.zeros(plan.external_peak, int)}
    marks: dict[str, int] = {}

    def view(name: str) -> np.ndarray:
        buffer = plan.buffer(name)
        size = prod(shapes[name]) * program.values[name].dtype.bits // 8
        return memory[buffer.internal][buffer.offset : buffer.offset + size]

    def write(name: str) -> None:
        marks[name] = len(marks) + 1
        view(name)[:] = marks[name]

    def shown(node: Node) -> str | None:
        """The input whose elements the output shows without any change."""
        if find(node.op_type).reuse is not Reuse.CLEAN:
            return None
        return next((n for n in node.inputs if n in marks and plan.buffer(n) is plan.buffer(node.outputs[0])), None)

    wrong: set[str] = set()
    for value in program.inputs:
        write(value.name)
    for node in program.nodes:
        wrong |= {name for name in node.inputs if name in marks and (view(name) != marks[name]).any()}
        source = shown(node)
        for name in node.outputs:
            if source is None:
                write(name)
            else:
                marks[name] = marks[source]
    return wrong | {value.name for value in program.outputs if (view(value.name) != marks[value.name]).any()}
