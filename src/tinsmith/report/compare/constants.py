"""The constants of two programs side by side: what differs, whether inputs show it or not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinsmith.program import Node, Program, Tensor
from tinsmith.report.compare.result import ConstantRow


def compared_constants(first: Program, second: Program) -> tuple[tuple[ConstantRow, ...], int]:
    """Constants that differ, in the order in which the first's nodes read them, and how many were compared.

    Those are compared that nodes computing the same tensor read in the same place, and those of the same name.
    """
    pairs = _pairs(first, second)
    readers = _readers(first)
    rows = (
        _row(first.constants[mine], second.constants[theirs], readers.get(mine, ())) for mine, theirs in pairs.items()
    )
    return tuple(row for row in rows if row is not None), len(pairs)


def _pairs(first: Program, second: Program) -> dict[str, str]:
    """By name in the first the name in the second."""
    by_output = {node.outputs[0]: node for node in second.nodes if node.outputs}
    found: dict[str, str] = {}
    for node in first.nodes:
        other = by_output.get(node.outputs[0]) if node.outputs else None
        if other is None or other.op_type != node.op_type:
            continue
        theirs = dict(_places(second, other))
        for place, name in _places(first, node):
            if place in theirs:
                found.setdefault(name, theirs[place])
    found.update({name: name for name in first.constants if name not in found and name in second.constants})
    return found


def _places(program: Program, node: Node) -> Iterator[tuple[int | str, str]]:
    """The constants of a node, with the input or attribute by which it reads them."""
    for index, name in enumerate(node.inputs):
        if name in program.constants:
            yield index, name
    for key, value in node.attributes.items():
        if isinstance(value, str) and value in program.constants:
            yield key, value


def _readers(program: Program) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for node in program.nodes:
        for _, name in _places(program, node):
            found[name] = (*found.get(name, ()), node.subject)
    return found


def _row(first: Tensor, second: Tensor, readers: tuple[str, ...]) -> ConstantRow | None:
    forms = [
        f"{what} {mine} → {theirs}"
        for what, mine, theirs in (
            ("type", first.dtype.name, second.dtype.name),
            ("shape", list(first.shape), list(second.shape)),
            ("exponents", list(first.exponents), list(second.exponents)),
        )
        if mine != theirs
    ]
    size = first.data.size
    if forms:
        return ConstantRow(first.name, second.name, readers, size, size, 0.0, None, "; ".join(forms))
    if first.data.tobytes() == second.data.tobytes():
        return None
    ours, theirs = first.data.astype(np.float64), second.data.astype(np.float64)
    apart = np.abs(ours - theirs)
    differ = apart > 0
    if not differ.any():  # NaN, or a zero of the other sign
        return None
    at = tuple(int(index) for index in np.unravel_index(int(differ.argmax()), differ.shape))
    return ConstantRow(first.name, second.name, readers, size, int(differ.sum()), float(apart.max()), at)
