"""The part of an insight that a program alone tells: memory, time, boards, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinsmith.estimate.boards import Board, board_with, boards_with
from tinsmith.estimate.fit import Fit, fit
from tinsmith.estimate.latency import Latency, Place, latency, no_model
from tinsmith.estimate.memory import MemoryPlan, plan_memory
from tinsmith.estimate.parameters import parameter_bytes
from tinsmith.estimate.slow import slow_nodes
from tinsmith.estimate.work import works
from tinsmith.ops.inference import placeholders
from tinsmith.program import Node, Program
from tinsmith.report.insight.schema import BoardFit, Buffer, Layer, Memory, Slow, Speed
from tinsmith.targets import Target

_PRECISIONS: Mapping[object, str] = {"S8": "int8", "S16": "int16"}


@dataclass(frozen=True, slots=True)
class Costs:
    """What a program costs.

    Attributes:
        layers: Its steps.
        memory: What it takes.
        speed: Its time; None where there is no model of the chip.
        why_no_speed: Why not; empty where there is one.
        board: The board that was asked for; empty where none was.
        boards: That board, or the common ones with the chip.
        notes: What is wrong with the memory plan.
    """

    layers: tuple[Layer, ...]
    memory: Memory
    speed: Speed | None
    why_no_speed: str
    board: str
    boards: tuple[BoardFit, ...]
    notes: tuple[str, ...] = ()


def costs(
    program: Program, target: Target, *, flash: int, board: str | Board | None = None, internal: int = 0
) -> Costs:
    """What a program costs on a chip. On a board whose RAM holds all but the parameters, they are read from flash.

    Args:
        program: What the chip runs.
        target: The chip.
        flash: Bytes of the file.
        board: A board, its name, or its module's memory such as ``N8R2``. None: all boards known with the chip.
        internal: Bytes of internal RAM that activations may use. It means nothing on a board without PSRAM.

    Raises:
        ProgramError: The program is inconsistent.
        RecipeError: The board is unknown, has another chip, or ``internal`` is negative.
    """
    chosen = None if board is None else board_with(board, target.name)
    whole = plan_memory(program, target)
    split = plan_memory(program, target, internal) if internal else whole
    plan = whole if chosen is not None and not chosen.psram else split
    parameters = parameter_bytes(program)
    boards = boards_with(target.name) if chosen is None else (chosen,)
    fits = [fit(flash, split if one.psram else whole, parameters, one) for one in boards]
    place: Place | None = None if chosen is None else _place(fits[0])
    times = latency(program, target, place)
    return Costs(
        layers=_layers(program, target, times, place),
        memory=_memory(plan, flash, parameters),
        speed=None if times is None else _speed(times, latency(program, target, "flash")),
        why_no_speed=no_model(target) or "",
        board="" if chosen is None else chosen.name,
        boards=tuple(BoardFit(found.board.name, found.fits, found.missing, found.remedy) for found in fits),
        notes=tuple(
            f"{name!r}: ESP-DL's memory planner gives its memory away while it is still needed; compare with the board."
            for name in plan.overwritten
        ),
    )


def _place(found: Fit) -> Place | None:
    """Where a board's application would have the parameters: copied if there is room, as ESP-DL does."""
    if found.remedy:
        return "flash"
    return "psram" if not any(need.question == "memory" and need.missing for need in found.needs) else None


def _speed(times: Latency, from_flash: Latency | None) -> Speed:
    flash = None if from_flash is None else from_flash.single_ms
    return Speed(times.single_ms, times.dual_ms, times.median_error, times.worst_error, times.parameters, flash)


def _memory(plan: MemoryPlan, flash: int, parameters: int) -> Memory:
    buffers = (Buffer(b.tensors, b.start, b.end, b.offset, b.size, b.internal) for b in plan.buffers)
    return Memory(
        flash, parameters, plan.peak, plan.internal_peak, plan.external_peak, tuple(plan.live), tuple(buffers)
    )


def _layers(program: Program, target: Target, times: Latency | None, place: Place | None) -> tuple[Layer, ...]:
    zeros = placeholders(program, target)
    slow = {
        found.node: Slow(found.reason, found.remedy, found.gain_ms, found.in_parts)
        for found in slow_nodes(program, target, place)
    }
    every = zip(
        program.nodes, works(program, target), times.nodes if times else [None] * len(program.nodes), strict=True
    )
    return tuple(
        Layer(
            name=node.name,
            operator=node.op_type,
            precision=_PRECISIONS.get(node.attributes.get("quant_type"), "float32"),
            activation=_activation(node),
            sources=(),
            inputs=tuple(name for name in node.inputs if name and name not in program.constants),
            outputs=tuple(name for name in node.outputs if name),
            shape=zeros[next(name for name in node.outputs if name)].shape,
            macs=work.macs,
            parameter_bytes=work.parameters,
            output_bytes=sum(zeros[name].size * zeros[name].itemsize for name in node.outputs if name),
            single_ms=None if time is None else time.single_ms,
            dual_ms=None if time is None else time.dual_ms,
            slow=slow.get(node.name),
        )
        for node, work, time in every
    )


def _activation(node: Node) -> str:
    fused = str(node.attributes.get("activation", ""))
    return "" if fused == "Linear" else fused
