"""One node of a `Program` at a time: its arguments gathered, its exact result, and what goes wrong told by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tinsmith.errors import ProgramError
from tinsmith.ops import Operator
from tinsmith.ops.call import Arg, Array, Call, Observed
from tinsmith.program import Node, Program, Value
from tinsmith.targets import Target

_MISFITS = (
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    ZeroDivisionError,
    AssertionError,
    OverflowError,
    MemoryError,
)


def call_of(
    program: Program,
    node: Node,
    tensors: Mapping[str, Array],
    target: Target,
    state: dict[str, Array] | None = None,
    observe: Observed | None = None,
) -> Call:
    """The node with its arguments, taken from ``tensors`` and the program's constants.

    Raises:
        ProgramError: An input is computed nowhere before the node.
    """
    inputs: list[Arg | None] = []
    for name in node.inputs:
        if not name:
            inputs.append(None)
        elif name in program.constants:
            constant = program.constants[name]
            inputs.append(Arg(constant.data, constant.exponents))
        elif name in tensors:
            value = program.values.get(name)
            inputs.append(Arg(tensors[name], value.exponents if value is not None else (0,)))
        else:
            raise ProgramError(f"input {name!r} is computed nowhere before it.", subject=node.subject)
    return Call(
        node,
        tuple(inputs),
        tuple(_output(program, node, name) for name in node.outputs if name),
        target,
        program.constants,
        {} if state is None else state,
        {} if observe is None else observe,
    )


def _output(program: Program, node: Node, name: str) -> Value:
    try:
        return program.values[name]
    except KeyError:
        raise ProgramError(f"output {name!r} has no type or exponent in the file.", subject=node.subject) from None


def compute(operator: Operator, call: Call) -> Sequence[Array]:
    """The operator's exact result, with whatever goes wrong told as an error that names the node.

    Raises:
        ProgramError: The arguments do not fit the operator.
    """
    with told(call.node):
        results = operator.compute(call)
    if len(results) != len(call.outputs):
        raise ProgramError(
            f"computes {len(results)} outputs, the file names {len(call.outputs)}.", subject=call.node.subject
        )
    for value, result in zip(call.outputs, results, strict=True):
        if result.dtype != value.dtype.numpy:
            raise ProgramError(f"computes {result.dtype}, the file says {value.dtype.name}.", subject=call.node.subject)
    return results


@contextmanager
def told(node: Node) -> Iterator[None]:
    """What operators raise on attributes and shapes that no exporter writes, as an error that names the node.

    Raises:
        ProgramError: Something went wrong inside.
    """
    try:
        yield
    except _MISFITS as error:
        raise ProgramError(f"cannot be computed: {error}", subject=node.subject) from error
