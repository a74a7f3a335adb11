"""What the weights alone say about accumulators that saturate."""

from __future__ import annotations

from math import log2

from tinsmith.ops.emit import Builder
from tinsmith.program import Program
from tinsmith.simulator.compiled import Emitter
from tinsmith.targets import Saturation, Target

_LABEL = "trial with random input"


def sums_note(program: Program, target: Target) -> tuple[str, ...]:
    """How many layers are proved never to saturate, and how far beyond the range the others' sums could reach.

    Nothing where accumulators do not saturate. Nodes that only the interpreter runs (recurrent ones) are not looked at.

    Args:
        program: From a trial: its weights are those of any calibration, unless a large bias raises their exponent; its
            biases depend on the exponents of the inputs.
        target: The chip.
    """
    if all(unit.vector.saturation is Saturation.NEVER for unit in target.linear.values()):
        return ()
    shares = _shares(program, target)
    if not shares:
        return ()
    open_ones = {name: share for name, share in shares.items() if share >= 1}
    layers = "1 layer" if len(shares) == 1 else f"{len(shares)} layers"
    safe = (
        f"{_LABEL}: {len(shares) - len(open_ones)} of {layers} cannot saturate the accumulators, by the weights alone."
    )
    if not open_ones:
        return (safe,)
    worst = max(open_ones, key=lambda name: open_ones[name])
    return (
        f"{safe} The others need calibration data to tell: on the worst input the sums of {worst!r} would be "
        f"{open_ones[worst]:.1f} times the range ({log2(open_ones[worst]):.1f} bits more than there are).",
    )


def _shares(program: Program, target: Target) -> dict[str, float]:
    """The largest share of its accumulator's range that each node's sums can reach, by node name."""
    emitter = Emitter(program, target, checked=False)
    names = {node.outputs[0]: node.name for node in program.nodes if node.outputs}
    found: dict[str, float] = {}
    start = 0
    while start < len(program.nodes):
        builder: Builder
        builder, _, stop, _ = emitter.run_from(start)
        found.update({names[output]: share for output, share in builder.reach.items()})
        start = stop + 1
    return found
