"""What in a program the chip would crash on or compute as garbage: a warning when it is read, a refusal at export."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from tinsmith.ops import find
from tinsmith.ops.call import Call
from tinsmith.ops.everywhere import misfits
from tinsmith.ops.execution import call_of, told
from tinsmith.ops.inference import placeholders
from tinsmith.ops.versions import lacks, needs
from tinsmith.program import Node, Program
from tinsmith.targets import Target, Version


def broken_rules(program: Program, target: Target) -> tuple[tuple[Node, str], ...]:
    """Each broken rule: the node and what is wrong; memoized on the program.

    Raises:
        ProgramError: The program is not even consistent.
    """
    key = ("broken", target)
    if key not in program.memo:
        found: list[tuple[Node, str]] = []
        for call in _calls(program, target):
            with told(call.node):
                own = (rule(call) for rule in find(call.node.op_type, call.node.name).rules)
                reasons = [*lacks(call), *misfits(call), *own]
            found += [(call.node, reason) for reason in reasons if reason]
        program.memo[key] = tuple(found)
    result = program.memo[key]
    assert isinstance(result, tuple)
    return result


def _calls(program: Program, target: Target) -> Iterator[Call]:
    zeros = placeholders(program, target)
    return (call_of(program, node, zeros, target) for node in program.nodes)


def needed_version(program: Program, target: Target) -> Version:
    """The first release of ESP-DL known to load the program on that chip and to compute what the simulator computes.

    Raises:
        ProgramError: The program is not even consistent.
    """
    found = (need.since for call in _calls(program, target) for need in needs(call))
    return max((target.since, *found))


def violations(program: Program, target: Target) -> list[str]:
    """One message per broken rule, naming the node.

    Raises:
        ProgramError: The program is not even consistent.
    """
    return [f"{node.subject}: {reason}" for node, reason in broken_rules(program, target)]


def warn(program: Program, target: Target, stacklevel: int) -> None:
    """Warn of every broken rule, once per program and target.

    Args:
        program: What somebody wants to run.
        target: The chip.
        stacklevel: Whose line the warning shows, as for `warnings.warn`: 1 is the caller's.

    Raises:
        ProgramError: The program is not even consistent; each time.
    """
    found = violations(program, target)
    key = ("warned", target)
    if key not in program.memo:
        program.memo[key] = True
        for message in found:
            warnings.warn(message, stacklevel=stacklevel + 1)
