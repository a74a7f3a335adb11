"""Memory for the tensors of a program, laid out as ESP-DL 3.3.9's greedy memory manager lays it out on the chip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tinsmith.errors import RecipeError
from tinsmith.estimate.chunks import ALIGNMENT, Chunk, Memory
from tinsmith.estimate.sharing import Tenant, last_step, shared, spoiled, tenants
from tinsmith.ops.inference import placeholders
from tinsmith.program import Program
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True)
class Buffer:
    """A piece of memory and the steps during which it is taken.

    Attributes:
        tensors: The tensors that live in it, in the order in which they are computed: the first has the memory, the
            others take it over from an input.
        start: The first step, an index into the program's nodes; 0 for a graph input.
        end: The last step. A graph output, and what no node reads, stays to the end.
        offset: Bytes from the start of its kind of memory.
        size: Bytes, rounded up to 16.
        internal: Whether it lies in the internal RAM that was allowed; else in the piece that the runtime takes for the
            rest: PSRAM on a board that has some.
    """

    tensors: tuple[str, ...]
    start: int
    end: int
    offset: int
    size: int
    internal: bool

    def at(self, step: int) -> bool:
        """Whether it is taken during a step."""
        return self.start <= step <= self.end


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Where every tensor lies, and how much memory that takes.

    Attributes:
        steps: The names of the nodes, one a step.
        buffers: In the order in which they are taken.
        live: Bytes that are taken at each step. The largest may be less than `peak`: there can be holes between them.
        internal: Bytes of internal RAM that were allowed, rounded down to 16. The runtime reserves all of them.
        internal_peak: Bytes of them up to the end of the last buffer.
        external_peak: Bytes of the other memory: what the runtime reserves there.
        overwritten: Tensors whose memory the planner gives away while they are still needed: they take over a buffer
            unchanged (a Reshape) that is then overwritten through another name. The chip computes something wrong.
    """

    steps: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    live: tuple[int, ...]
    internal: int
    internal_peak: int
    external_peak: int
    overwritten: tuple[str, ...] = ()

    @property
    def peak(self) -> int:
        """Bytes of both kinds of memory together."""
        return self.internal_peak + self.external_peak

    def buffer(self, tensor: str) -> Buffer:
        """Where a tensor lies.

        Raises:
            KeyError: There is no such tensor.
        """
        for found in self.buffers:
            if tensor in found.tensors:
                return found
        raise KeyError(tensor)


def plan_memory(program: Program, target: Target, internal: int = 0) -> MemoryPlan:
    """Where ESP-DL puts every tensor.

    Args:
        program: The program.
        target: The chip.
        internal: Bytes of internal RAM that may be used before PSRAM: the ``max_internal_size`` that an application
            passes to ESP-DL's `Model`. 0, its default: everything in one piece of memory. It has no effect on a board
            without PSRAM, where that piece lies in internal RAM anyway.

    Raises:
        ProgramError: A node cannot take the shapes that reach it (see `tinsmith.ops.inference.infer_shapes`).
        RecipeError: ``internal`` is negative.
    """
    if internal < 0:
        raise RecipeError(f"{internal} bytes are no size.", subject="internal", hint="Give 0 or more bytes.")
    allowed = internal // ALIGNMENT * ALIGNMENT
    if allowed <= ALIGNMENT:  # as the runtime does
        allowed = 0
    inside, outside = Memory.of(allowed), Memory()
    groups = shared(tenants(program, placeholders(program, target)))
    buffers = tuple(_lay_out(groups, len(program.nodes), [inside, outside] if allowed else [outside], inside))
    live = tuple(sum(buffer.size for buffer in buffers if buffer.at(step)) for step in range(len(program.nodes)))
    return MemoryPlan(
        tuple(node.name for node in program.nodes),
        buffers,
        live,
        allowed,
        inside.peak,
        outside.peak,
        tuple(spoiled(groups, len(program.nodes))),
    )


def _lay_out(
    groups: Mapping[Tenant, list[Tenant]], steps: int, kinds: list[Memory], inside: Memory
) -> Iterator[Buffer]:
    """Take memory for each group at its first step, and give it back after its last one."""
    starting: list[list[Tenant]] = [[] for _ in range(steps)]
    ending: list[list[Tenant]] = [[] for _ in range(steps)]
    ends = {owner: last_step(group, steps) for owner, group in groups.items()}
    for owner, end in ends.items():
        if steps:
            starting[owner.start].append(owner)
            ending[end].append(owner)
    places: dict[Tenant, tuple[Memory, Chunk]] = {}
    for step in range(steps):
        for owner in ending[step - 1] if step else ():
            memory, chunk = places.pop(owner)
            memory.give(chunk)
        for owner in starting[step]:
            memory, chunk = places[owner] = _take(kinds, owner.size)
            names = tuple(tenant.name for tenant in groups[owner])
            yield Buffer(names, step, ends[owner], chunk.offset, chunk.size, memory is inside)


def _take(kinds: list[Memory], size: int) -> tuple[Memory, Chunk]:
    for memory in kinds:
        chunk = memory.take(size)
        if chunk is not None:
            return memory, chunk
    raise AssertionError("the last kind of memory grows")
