"""The interpreter: one sample, one node after the other, one readable kernel per operator. It is the definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops import Operator, find
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


def run_nodes(
    program: Program,
    nodes: Iterable[Node],
    tensors: dict[str, Array],
    target: Target,
    state: dict[str, Array],
    observe: Observed,
) -> None:
    """Run nodes one after the other and add their results to ``tensors``; arguments otherwise as `interpret`."""
    for node in nodes:
        call = call_of(program, node, tensors, target, state, observe)
        results = compute(find(node.op_type, node.name), call)
        tensors.update((value.name, result) for value, result in zip(call.outputs, results, strict=True))


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


def interpret(
    program: Program,
    inputs: Mapping[str, Array],
    target: Target,
    *,
    state: dict[str, Array] | None = None,
    observe: Observed | None = None,
) -> dict[str, Array]:
    """One run on one sample.

    Args:
        program: What the chip would load.
        inputs: `{input name: array}` in the file's layout and dtypes.
        target: The chip.
        state: Memory of nodes that keep some between runs; updated in place. None starts from zero.
        observe: Receives what kernels noticed, by node name.

    Returns:
        Every tensor by name, inputs included, in the file's layout and dtypes.
    """
    tensors: dict[str, Array] = {name: np.asarray(array) for name, array in inputs.items()}
    run_nodes(
        program,
        program.nodes,
        tensors,
        target,
        {} if state is None else state,
        {} if observe is None else observe,
    )
    return tensors
