"""How close real samples bring accumulators that saturate to their limits, and which sums wrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinsmith.ops import find
from tinsmith.ops.call import Array
from tinsmith.program import Program
from tinsmith.simulator.run import Simulator
from tinsmith.targets import Saturation, Target
from tinsmith.units import percent


def headroom(program: Program, target: Target, samples: Sequence[Mapping[str, Array]]) -> tuple[str, ...]:
    """Run samples where accumulators can saturate or sums can wrap, and say what was seen; else nothing.

    Nodes that are safe whatever their input, by the weights alone, are not mentioned.

    Args:
        program: What the chip would load.
        target: The chip.
        samples: Inputs as `tinsmith.simulate` takes them, one sample each.

    Returns:
        A line for each node that saturated or wrapped, and one about the node that came closest among the others.
    """
    widths = {node.name: program.values[node.outputs[0]].dtype.bits for node in program.nodes if node.outputs}
    lanes = {name: narrowest(target, bits) for name, bits in widths.items()}
    wrapping = any(find(node.op_type, node.name).wraps for node in program.nodes)
    if not samples or not (wrapping or any(lane is not None for lane in lanes.values())):
        return ()
    simulator = Simulator(program, target)
    for sample in samples:
        simulator.run_independent(sample)
    lines: list[str] = []
    shares: dict[str, float] = {}
    seen = f"on {len(samples)} calibration samples"
    for name, facts in simulator.observed.items():
        lane = lanes[name]
        if facts.get("saturated"):
            lines.append(
                f"{name!r}: {facts['saturated']:,} sums saturated the {lane}-bit accumulator {seen}; the simulator "
                "computes them as the chip does. Run the layer in int16 to avoid it."
            )
        elif facts.get("wrapped"):
            lines.append(
                f"{name!r}: {facts['wrapped']:,} sums wrapped around their 16 bits {seen}; the simulator computes them "
                "as the chip does. Scale the layer's input or weights down."
            )
        elif "reach" in facts and lane is not None:
            shares[name] = facts.get("peak", facts["reach"]) / 2.0 ** (lane - 1)
    if shares:
        name = max(shares, key=lambda key: shares[key])
        layers = "1 layer" if len(shares) == 1 else f"{len(shares)} layers"
        lines.append(
            f"{layers} could saturate the accumulators on extreme input; {seen} the fullest, {name!r}, used at most "
            f"{percent(min(shares[name], 1.0), 0)} of the range."
        )
    return tuple(lines)


def narrowest(target: Target, bits: int) -> int | None:
    """Width of the narrowest accumulator that saturates in nodes of that width; None where none does."""
    unit = target.linear.get(bits)
    found = () if unit is None else (unit.vector, unit.tail, unit.depthwise)
    return min((one.bits for one in found if one.saturation is not Saturation.NEVER), default=None)
