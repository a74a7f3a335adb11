"""What the weights alone say about accumulators that saturate."""

from __future__ import annotations

from math import log2

from tinsmith.ops.emit import Builder
from tinsmith.program import Program
from tinsmith.simulator.compiled import Emitter
from tinsmith.targets import Saturation, Target


def sums_note(program: Program, target: Target) -> tuple[str, ...]:
    """How many layers are proved never to saturate, and how far beyond the range the others' sums could reach.

    Nothing where accumulators do not saturate. Nodes that only the interpreter runs (recurrent ones) are not looked at.

    Args:
        program: Any formats will do: shifting them shifts sums and biases alike, but for rounding.
        target: The chip.
    """
    if all(unit.vector.saturation is Saturation.NEVER for unit in target.linear.values()):
        return ()
    shares = _shares(program, target)
    if not shares:
        return ()
    open_ones = {name: share for name, share in shares.items() if share >= 1}
    safe = (
        f"{len(shares) - len(open_ones)} of {len(shares)} layers cannot saturate their accumulators, by their weights"
    )
    if not open_ones:
        return (f"Trial with random input: {safe}.",)
    worst = max(open_ones, key=lambda name: open_ones[name])
    return (
        f"Trial with random input: {safe} alone; the others need calibration data to tell. On the worst input the sums "
        f"of {worst!r} would be {open_ones[worst]:.1f} times the range ({log2(open_ones[worst]):.1f} bits).",
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
