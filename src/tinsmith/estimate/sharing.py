"""Which tensors share a piece of memory, and for how long each piece is needed.

The rules are those of ESP-DL 3.3.9's greedy memory manager, in its order: it walks over the nodes once, so a decision
rests only on what came before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tinsmith.ops import find
from tinsmith.ops.base import Reuse
from tinsmith.ops.call import Array
from tinsmith.program import Node, Program


@dataclass(slots=True, eq=False)
class Tenant:
    """A tensor that needs memory at run time.

    Attributes:
        name: Its name.
        size: Bytes of its elements.
        start: The step that writes it; 0 for a graph input.
        last: The last step that reads it; None where it stays, because it is a graph output or nothing reads it.
        stays: Whether it is a graph output, which is never given back.
        leader: The tensor whose memory it takes; None where it has its own.
        dirty: The tensor that takes this one's memory and overwrites it.
        lent: Whether another tensor takes this one's memory and leaves it as it is.
        reads: The steps that read it.
    """

    name: str
    size: int
    start: int
    stays: bool
    last: int | None = None
    leader: Tenant | None = None
    dirty: Tenant | None = None
    lent: bool = False
    reads: list[int] = field(default_factory=list)

    def owner(self) -> Tenant:
        """The tensor at the head of those that share the memory."""
        found = self
        while found.leader is not None:
            found = found.leader
        return found

    @property
    def overwrites(self) -> bool:
        """Whether it takes another tensor's memory and overwrites it."""
        return self.leader is not None and self.leader.dirty is self

    def written(self) -> int:
        """The step that wrote the elements it shows: earlier than `start` where nothing changed them."""
        found = self
        while found.leader is not None and not found.overwrites:
            found = found.leader
        return found.start

    def read(self, step: int) -> None:
        """A node reads it: whoever would have overwritten it needs memory of its own, and it lives on."""
        if self.dirty is not None:
            self.dirty.leader = None
            self.dirty = None
        self.reads.append(step)
        if not self.stays:
            self.last = step

    def take(self, leader: Tenant, reuse: Reuse) -> None:
        """Take the memory of an input, unless that would overwrite what a third tensor shows."""
        if reuse is Reuse.CLEAN:
            leader.lent = True
        elif leader.lent:
            return
        else:
            leader.dirty = self
        self.leader = leader


def tenants(program: Program, zeros: Mapping[str, Array]) -> list[Tenant]:
    """All tensors that need memory, linked to those whose memory they take: graph inputs first, then nodes' outputs.

    Args:
        program: The program.
        zeros: Something of the shape and type of every tensor (`tinsmith.ops.inference.placeholders`).
    """
    kept = {value.name for value in program.outputs}
    found: dict[str, Tenant] = {}

    def add(name: str, step: int) -> Tenant:
        tensor = zeros[name]
        size = int(np.prod(tensor.shape, dtype=np.int64)) * tensor.dtype.itemsize
        return found.setdefault(name, Tenant(name, size, step, name in kept))

    for value in program.inputs:
        if value.name not in program.constants:
            add(value.name, 0)
    for step, node in enumerate(program.nodes):
        read = [found[name] for name in _variables(program, node)]
        for tenant in read:
            tenant.read(step)
        written = [add(name, step) for name in node.outputs if name]
        reuse = find(node.op_type, node.name).reuse
        if len(written) == 1 and reuse is not Reuse.NONE:
            fitting = (tenant for tenant in read if not tenant.stays and tenant.size >= written[0].size)
            leader = next(fitting, None)
            if leader is not None:
                written[0].take(leader, reuse)
    return list(found.values())


def _variables(program: Program, node: Node) -> Iterator[str]:
    return (name for name in node.inputs if name and name not in program.constants)


def shared(found: list[Tenant]) -> dict[Tenant, list[Tenant]]:
    """Those that share a piece of memory, by the one that owns it; all in the order in which they were found."""
    groups: dict[Tenant, list[Tenant]] = {}
    for tenant in found:
        groups.setdefault(tenant.owner(), []).append(tenant)
    return groups


def last_step(group: list[Tenant], steps: int) -> int:
    """The last step at which any of those that share a piece of memory is needed."""
    return max(steps - 1 if tenant.last is None else tenant.last for tenant in group)


def spoiled(groups: Mapping[Tenant, list[Tenant]], steps: int) -> Iterator[str]:
    """The tensors that something else overwrites before their last use.

    Taking over a buffer is decided between two tensors, so a tensor that shows another one's elements (a Reshape's
    output) may be overwritten although that other one is read later.
    """
    for group in groups.values():
        writes = [tenant.start for tenant in group if tenant.overwrites and tenant.size]
        for tenant in group:
            written = tenant.written()
            uses = [*tenant.reads, steps] if tenant.stays else tenant.reads
            if tenant.size and any(written < write < use for write in writes for use in uses):
                yield tenant.name
