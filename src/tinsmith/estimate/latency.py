"""How long a program takes on a chip, node by node, with one core and with two.

``time = cycles / clock + bytes · time per byte``: the cycles of the kernels' loops (`tinsmith.ops.work`), and the bytes
that miss the cache on their way from PSRAM or flash. Weights are read anew for every output position; those larger than
the cache come from memory each time, and that is most of the time of large networks (docs/latency.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tinsmith.estimate.latency_constants import (
    CHIPS,
    FITTED,
    FORKED,
    MEDIAN_ERROR,
    RATES,
    ROOM,
    SHARED_MEMORY,
    TENSORS_KEPT,
    TENSORS_LOST,
    WEIGHTS_KEPT,
    WEIGHTS_LOST,
    WORST_ERROR,
    Rate,
)
from tinsmith.estimate.memory import plan_memory
from tinsmith.estimate.parameters import parameter_bytes
from tinsmith.estimate.work import NodeWork, works
from tinsmith.ops.work import Kernel
from tinsmith.program import Program
from tinsmith.targets import Target

Place = Literal["psram", "flash"]
"""Where a program's parameters are read from: ESP-DL copies them to PSRAM unless told not to (``param_copy``)."""
FIXED = "fixed"
"""The part of a time that depends on no fitted constant."""


@dataclass(frozen=True, slots=True)
class NodeLatency:
    """The time of one node.

    Attributes:
        node: Its name.
        operator: Its type.
        kernel: What kind of code runs it.
        macs: Multiply-accumulates.
        single_ms: Milliseconds on one core.
        dual_ms: Milliseconds where two cores may share it.
        memory_ms: Of `single_ms`, waiting for memory.
    """

    node: str
    operator: str
    kernel: str
    macs: int
    single_ms: float
    dual_ms: float
    memory_ms: float


@dataclass(frozen=True, slots=True)
class Latency:
    """The time of a program.

    Attributes:
        nodes: One entry for each node, in the program's order.
        parameters: Where the parameters are taken to be.
        median_error: Of the models behind the estimate, each predicted from the others: half are closer than this, as a
            share.
        worst_error: The largest of these errors.
    """

    nodes: tuple[NodeLatency, ...]
    parameters: Place
    median_error: float = MEDIAN_ERROR
    worst_error: float = WORST_ERROR

    @property
    def single_ms(self) -> float:
        """Milliseconds on one core, ESP-DL's default."""
        return sum(node.single_ms for node in self.nodes)

    @property
    def dual_ms(self) -> float:
        """Milliseconds on two cores (``RUNTIME_MODE_MULTI_CORE``)."""
        return sum(node.dual_ms for node in self.nodes)


def latency(program: Program, target: Target, parameters: Place | None = None) -> Latency | None:
    """How long a program takes.

    Args:
        program: The program.
        target: The chip.
        parameters: Where the application leaves the parameters; by default in PSRAM, as ESP-DL does, if they and the
            tensors take no more than 70 % of it.

    Returns:
        None where `no_model` has a reason.

    Raises:
        ProgramError: A node cannot take the shapes that reach it.
    """
    if no_model(target) is not None:
        return None
    place = parameters or usual_place(program, target)
    return Latency(tuple(time_of(node, target, place) for node in works(program, target)), place)


def no_model(target: Target) -> str | None:
    """Why there is no estimate for a chip, and what to do; None where there is one."""
    if target.name in CHIPS:
        return None
    known = " and ".join(CHIPS)
    return (
        f"no times were measured on {target.name}, only on {known}: run the model on the board, or estimate for those."
    )


def usual_place(program: Program, target: Target) -> Place:
    """Where the parameters are, if nobody says: in flash where PSRAM would be too full with them."""
    needed = parameter_bytes(program) + plan_memory(program, target).peak
    return "psram" if needed <= ROOM * CHIPS[target.name].psram else "flash"


def time_of(node: NodeWork, target: Target, place: Place = "psram") -> NodeLatency:
    """The time of one node on a chip that `no_model` says nothing against."""
    chip = target.name
    single = milliseconds(quantities(node, chip, place), chip)
    dual = milliseconds(quantities(node, chip, place, cores=2), chip)
    memory = milliseconds(quantities(node, chip, place, memory_only=True), chip)
    return NodeLatency(node.node, node.operator, node.kernel.value, node.macs, single, min(single, dual), memory)


def milliseconds(amounts: Mapping[str, float], chip: str, constants: Mapping[str, float] = FITTED) -> float:
    """A time from what it is made of: linear in the constants, but for the chip's pace."""
    pace = constants.get(f"{chip} pace", 1.0)
    rates = {name: value * (1.0 if name == memory_of(chip) else pace) for name, value in constants.items()}
    return amounts.get(FIXED, 0.0) + sum(rates[name] * amount for name, amount in amounts.items() if name != FIXED)


def memory_of(chip: str) -> str:
    """The constant that is a chip's time per byte of PSRAM."""
    return f"{chip} psram"


def quantities(
    node: NodeWork, chip: str, place: Place, cores: int = 1, *, cold: bool = False, memory_only: bool = False
) -> dict[str, float]:
    """What a node's time is made of: milliseconds for each unit of a fitted constant, and `FIXED` ones.

    Args:
        node: The node's work.
        chip: One of the chips that were measured.
        place: Where parameters are.
        cores: 1, or 2 that share the node if its kernel can be.
        cold: Whether nothing of what it reads is in the cache.
        memory_only: Without the cycles.
    """
    found: dict[str, float] = defaultdict(float)
    shared = cores > 1 and node.work.split
    if not memory_only:
        _add_cycles(found, node, 1e-3 / CHIPS[chip].megahertz, shared=shared)
    computed, constant = _missed(node, CHIPS[chip].cache, cold=cold)
    share = 1e-6 * (SHARED_MEMORY if shared else 1.0)
    found[memory_of(chip)] += share * (computed + (constant if place == "psram" else 0.0))
    found[FIXED] += share * constant * CHIPS[chip].flash if place == "flash" else 0.0
    return dict(found)


def _add_cycles(found: dict[str, float], node: NodeWork, cycle: float, *, shared: bool) -> None:
    work, rates = node.work, RATES[node.kernel]
    if node.kernel is Kernel.VIEW:
        return
    counts: tuple[tuple[Rate, int], ...] = (
        (rates.step, work.steps),
        (rates.entry, work.entries),
        (rates.call, work.calls),
    )
    for rate, count in counts:
        cycles = count * cycle * (0.5 if shared else 1.0)
        if isinstance(rate, str):
            found[rate] += cycles
        else:
            found[FIXED] += rate * cycles
    found["node"] += cycle * (FORKED if shared else 1.0)


def _missed(node: NodeWork, cache: int, *, cold: bool) -> tuple[float, float]:
    """Bytes of computed tensors and of constants that come from memory."""
    work = node.work
    tensors = node.read + node.written
    present = 0.0 if cold else 1.0 - _ramp((tensors + min(work.panel, cache)) / cache, TENSORS_KEPT, TENSORS_LOST)
    again = work.panel * work.panels * max(work.passes - 1, 0) * _ramp(work.panel / cache, WEIGHTS_KEPT, WEIGHTS_LOST)
    computed, constant = tensors * (1.0 - present), float(node.parameters)
    return (computed, constant + again) if node.constant_panel else (computed + again, constant)


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
