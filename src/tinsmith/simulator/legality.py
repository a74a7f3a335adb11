"""What in a program the chip would crash on or compute as garbage: a warning when it is read, a refusal at export."""

from __future__ import annotations

from tinsmith.ops import find
from tinsmith.program import Program
from tinsmith.simulator.interpreter import call_of
from tinsmith.simulator.shapes import infer_shapes, placeholder
from tinsmith.targets import Target


def violations(program: Program, target: Target) -> list[str]:
    """One message per broken rule, naming the node; memoized on the program.

    Raises:
        ProgramError: The program is not even consistent.
    """
    key = ("violations", target.name)
    if key not in program.memo:
        shapes = infer_shapes(program, target)
        zeros = {
            name: placeholder(shape, program.values[name].dtype.numpy)
            for name, shape in shapes.items()
            if name in program.values
        }
        found: list[str] = []
        for node in program.nodes:
            call = call_of(program, node, zeros, target)
            for rule in find(node.op_type, node.name).rules:
                reason = rule(call)
                if reason:
                    found.append(f"{node.op_type} {node.name!r}: {reason}")
        program.memo[key] = found
    result = program.memo[key]
    assert isinstance(result, list)
    return result
