"""The interpreter: one sample, one node after the other, one readable kernel per operator. It is the definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tinsmith.ops import find
from tinsmith.ops.call import Array, Observed
from tinsmith.ops.execution import call_of, compute
from tinsmith.program import Node, Program
from tinsmith.targets import Target


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
