"""The rules of the planner once more, as plainly as they can be said, to check the other one against."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tinsmith.ops import find
from tinsmith.ops.base import Reuse
from tinsmith.ops.inference import infer_shapes
from tinsmith.program import Program
from tinsmith.targets import Target


@dataclass(frozen=True)
class Place:
    group: frozenset[str]
    first: int
    last: int
    where: str
    offset: int
    size: int


def naive_plan(program: Program, target: Target, internal: int) -> tuple[set[Place], dict[str, int]]:
    """The pieces of memory, and the end of each kind of memory."""
    shapes = infer_shapes(program, target)
    order = [v.name for v in program.inputs] + [name for node in program.nodes for name in node.outputs]
    bytes_of = {name: prod(shapes[name]) * program.values[name].dtype.bits // 8 for name in order}
    born = {v.name: 0 for v in program.inputs}
    born |= {name: step for step, node in enumerate(program.nodes) for name in node.outputs}
    shares_with = sharing(program, bytes_of)
    end = len(program.nodes) - 1
    outputs = {v.name for v in program.outputs}
    reads = {n: [s for s, node in enumerate(program.nodes) if n in node.inputs] for n in order}
    last = {n: end if n in outputs or not reads[n] else max(reads[n]) for n in order}

    def root(name: str) -> str:
        return root(shares_with[name][0]) if name in shares_with else name

    groups = {head: [n for n in order if root(n) == head] for head in order if root(head) == head}
    until = {head: max(last[n] for n in members) for head, members in groups.items()}
    return place(program, groups, born, until, bytes_of, internal // 16 * 16)


def sharing(program: Program, bytes_of: dict[str, int]) -> dict[str, tuple[str, Reuse]]:
    """Follower → (leader, how)."""
    outputs = {v.name for v in program.outputs}
    links: dict[str, tuple[str, Reuse]] = {}
    for node in program.nodes:
        variables = [name for name in node.inputs if name in bytes_of]
        for name in variables:
            links = {f: (leader, how) for f, (leader, how) in links.items() if (leader, how) != (name, Reuse.DIRTY)}
        how = find(node.op_type).reuse
        if how is Reuse.NONE or len(node.outputs) != 1:
            continue
        (result,) = node.outputs
        fitting = [n for n in variables if n not in outputs and bytes_of[n] >= bytes_of[result]]
        if not fitting or (how is Reuse.DIRTY and (fitting[0], Reuse.CLEAN) in links.values()):
            continue
        links[result] = (fitting[0], how)
    return links


def place(
    program: Program,
    groups: dict[str, list[str]],
    born: dict[str, int],
    until: dict[str, int],
    bytes_of: dict[str, int],
    internal: int,
) -> tuple[set[Place], dict[str, int]]:
    # A row is a list of [offset, size, who, when it was freed]; `who` is None where it is free.
    rows: dict[str, list[list[object]]] = {
        "internal": [[0, internal, None, 0]] if internal > 16 else [],
        "external": [],
    }
    clock = 0
    found: set[Place] = set()
    tops = {"internal": 0, "external": 0}
    for step in range(len(program.nodes)):
        for head in groups:
            if until[head] == step - 1:
                clock += 1
                for row in rows.values():
                    free(row, head, clock)
        for head in groups:
            if born[head] != step:
                continue
            clock += 1
            for where, row in rows.items():
                offset = allocate(row, head, bytes_of[head], clock, grow=where == "external")
                if offset is not None:
                    size = (bytes_of[head] + 15) // 16 * 16
                    found.add(Place(frozenset(groups[head]), step, until[head], where, offset, size))
                    tops[where] = max(tops[where], offset + size)
                    break
    return found, tops


def free(row: list, head: str, clock: int) -> None:
    for index, piece in enumerate(row):
        if piece[2] == head:
            left = index - 1 if index and row[index - 1][2] is None else index
            right = index + 1 if index + 1 < len(row) and row[index + 1][2] is None else index
            row[left : right + 1] = [[row[left][0], sum(p[1] for p in row[left : right + 1]), None, clock]]
            return


def allocate(row: list, head: str, size: int, clock: int, grow: bool) -> int | None:
    rounded = (size + 15) // 16 * 16
    fitting = [piece for piece in row if piece[2] is None and piece[1] >= size]
    if fitting:
        piece = min(fitting, key=lambda p: (p[1], p[3]))
        index = row.index(piece)
        rest = [[piece[0] + rounded, piece[1] - rounded, None, clock]] if piece[1] > rounded else []
        row[index : index + 1] = [[piece[0], rounded, head, 0], *rest]
        return piece[0]
    if not grow:
        return None
    if row and row[-1][2] is None:
        row[-1] = [row[-1][0], rounded, head, 0]
    else:
        row.append([row[-1][0] + row[-1][1] if row else 0, rounded, head, 0])
    return row[-1][0]
