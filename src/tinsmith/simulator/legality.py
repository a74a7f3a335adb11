"""What in a program the chip would crash on or compute as garbage: a warning when it is read, a refusal at export."""

from __future__ import annotations

import warnings

from tinsmith.ops import find
from tinsmith.program import Node, Program
from tinsmith.simulator.interpreter import call_of, told
from tinsmith.simulator.shapes import placeholders
from tinsmith.targets import Target


def broken_rules(program: Program, target: Target) -> tuple[tuple[Node, str], ...]:
    """Each broken rule: the node and what is wrong; memoized on the program.

    Raises:
        ProgramError: The program is not even consistent.
    """
    key = ("broken", target)
    if key not in program.memo:
        zeros = placeholders(program, target)
        found: list[tuple[Node, str]] = []
        for node in program.nodes:
            call = call_of(program, node, zeros, target)
            with told(node):
                reasons = [rule(call) for rule in find(node.op_type, node.name).rules]
            found += [(node, reason) for reason in reasons if reason]
        program.memo[key] = tuple(found)
    result = program.memo[key]
    assert isinstance(result, tuple)
    return result


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
