"""Layers that take longer than they have to: why, the way out, and what that saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tinsmith.estimate.latency import Place, no_model, time_of, usual_place
from tinsmith.estimate.latency_constants import CHIPS
from tinsmith.estimate.parts import filters_of_parts, room_for_weights, saved_by_parts
from tinsmith.estimate.work import NodeWork, works
from tinsmith.ops.work import GONE, Kernel, Work
from tinsmith.program import Node, Program
from tinsmith.targets import Target
from tinsmith.units import KIB

WORTH = 0.001
"""Share of the program's time that a remedy must save to be named."""
IN_PARTS = "several layers with a part of the output channels each and a Concat behind them"
"""The part of a remedy that ``fit_cache`` of a recipe carries out."""
MOVING = (Kernel.COPY, Kernel.SCALAR, Kernel.VIEW)


@dataclass(frozen=True, slots=True)
class SlowNode:
    """A node that takes longer than it has to.

    Attributes:
        node: Its name.
        reason: What makes it slow, with its own numbers.
        remedy: The way out; the same text for all nodes with the same one.
        gain_ms: What that saves on one core, estimated: its time less its time with the remedy.
        in_parts: Whether the remedy is to split it, as `tinsmith.algorithms.split_outputs` does.
    """

    node: str
    reason: str
    remedy: str
    gain_ms: float
    in_parts: bool = False


def slow_nodes(program: Program, target: Target, parameters: Place | None = None) -> tuple[SlowNode, ...]:
    """The nodes that are slow for a reason, the one that loses most first; empty where there is no model of the chip.

    Args:
        program: The program.
        target: The chip.
        parameters: As for `tinsmith.estimate.latency.latency`.

    Raises:
        ProgramError: A node cannot take the shapes that reach it.
    """
    if no_model(target) is not None:
        return ()
    clock = _Clock(target, parameters or usual_place(program, target))
    nodes = works(program, target)
    packing = _packing(program.nodes, nodes)
    told_elsewhere = {place for places in packing.values() for place in places}
    found: list[SlowNode] = []
    for index, node in enumerate(nodes):
        reasons = [*_large_weights(node, clock), *_packed(node, [nodes[place] for place in packing[index]], clock)]
        if index not in told_elsewhere:
            reasons += _by_its_work(node, clock)
        found += sorted(reasons, key=lambda slow: -slow.gain_ms)[:1]
    least = WORTH * sum(clock.time(node) for node in nodes)
    return tuple(sorted((slow for slow in found if slow.gain_ms >= least), key=lambda slow: -slow.gain_ms))


@dataclass(frozen=True, slots=True)
class _Clock:
    target: Target
    place: Place

    def time(self, node: NodeWork) -> float:
        """Milliseconds on one core."""
        return time_of(node, self.target, self.place).single_ms

    @property
    def cache(self) -> int:
        """Bytes."""
        return CHIPS[self.target.name].cache


def _by_its_work(node: NodeWork, clock: _Clock) -> Iterator[SlowNode]:
    """What the operator itself knows about."""
    slow = node.work.slow
    if slow is not None:
        gain = clock.time(node) - clock.time(_instead(node, slow.instead))
        yield SlowNode(node.node, slow.reason, slow.remedy, gain)


def _instead(node: NodeWork, work: Work) -> NodeWork:
    if work == GONE:
        return replace(node, work=work, read=0, written=0, parameters=0)
    return replace(node, work=work)


def _large_weights(node: NodeWork, clock: _Clock) -> Iterator[SlowNode]:
    """Weights that do not stay in the cache come from memory again for every output position."""
    work, room = node.work, room_for_weights(clock.target)
    if work.passes < 2 or work.panel <= room or not node.constant_panel:
        return
    parts = len(filters_of_parts(node, clock.target))
    if parts:
        remedy, gain = f"fewer channels, or {IN_PARTS}", saved_by_parts(node, parts, clock.target, clock.place)[0]
    else:
        remedy, gain = "fewer channels", clock.time(node) - clock.time(replace(node, work=replace(work, panel=0)))
    yield SlowNode(
        node.node,
        f"its {work.panel / KIB:.0f} KiB of weights do not stay in the cache of {clock.cache // KIB} KiB and come "
        f"from {'PSRAM' if clock.place == 'psram' else 'flash'} {work.passes:,} times.",
        f"Keep a layer's weights below {room // KIB} KiB: {remedy}.",
        gain,
        in_parts=bool(parts),
    )


def _packed(node: NodeWork, movers: Sequence[NodeWork], clock: _Clock) -> Iterator[SlowNode]:
    """Matrices that are computed have to be brought into the order of weights by nodes of their own."""
    if movers:
        yield SlowNode(
            node.node,
            f"its right side is computed, and {len(movers)} nodes bring it into the order that the kernel reads.",
            "Multiply by constants where that is possible: their order is chosen when the file is written.",
            sum(clock.time(mover) for mover in movers),
        )


def _packing(nodes: Sequence[Node], counted: Sequence[NodeWork]) -> dict[int, list[int]]:
    """For each node the places of those that only bring its computed right side into order."""
    makers = {name: place for place, node in enumerate(nodes) for name in node.outputs}
    return {
        place: _movers(node.inputs[1], nodes, counted, makers) if work.work.panel and not work.constant_panel else []
        for place, (node, work) in enumerate(zip(nodes, counted, strict=True))
    }


def _movers(name: str, nodes: Sequence[Node], counted: Sequence[NodeWork], makers: Mapping[str, int]) -> list[int]:
    """The nodes that only move data, from a value upwards."""
    place = makers.get(name)
    if place is None or counted[place].kernel not in MOVING:
        return []
    above = [found for source in nodes[place].inputs for found in _movers(source, nodes, counted, makers)]
    return list(dict.fromkeys([place, *above]))
