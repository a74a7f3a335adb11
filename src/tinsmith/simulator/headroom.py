"""How close real samples bring accumulators that saturate to their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinsmith.ops.call import Array
from tinsmith.program import Program
from tinsmith.simulator.run import Simulator
from tinsmith.targets import Saturation, Target


def headroom(program: Program, target: Target, samples: Sequence[Mapping[str, Array]]) -> tuple[str, ...]:
    """Run samples on a chip whose accumulators saturate and say what was seen; nothing on chips whose do not.

    Nodes that are safe whatever their input, by the weights alone, are not mentioned.

    Args:
        program: What the chip would load.
        target: The chip.
        samples: Inputs as `tinsmith.simulate` takes them, one sample each.

    Returns:
        A line for each node that saturated, and one about the node that came closest among the others.
    """
    if all(unit.vector.saturation is Saturation.NEVER for unit in target.linear.values()) or not samples:
        return ()
    simulator = Simulator(program, target)
    for sample in samples:
        simulator.run_independent(sample)
    widths = {node.name: program.values[node.outputs[0]].dtype.bits for node in program.nodes if node.outputs}
    lines: list[str] = []
    shares: dict[str, float] = {}
    for name, facts in simulator.observed.items():
        lane = target.linear[widths[name]].vector.bits
        if facts.get("saturated"):
            lines.append(
                f"{name!r}: {facts['saturated']:,} sums saturated the {lane}-bit accumulator on {len(samples)} "
                "calibration samples; the simulator computes them as the chip does. Run the layer in int16 to avoid it."
            )
        elif "reach" in facts:
            shares[name] = facts.get("peak", facts["reach"]) / 2.0 ** (lane - 1)
    if shares:
        name = max(shares, key=lambda key: shares[key])
        layers = "1 layer" if len(shares) == 1 else f"{len(shares)} layers"
        lines.append(
            f"{layers} could saturate the accumulators on extreme input; on {len(samples)} calibration samples the "
            f"fullest, {name!r}, used at most {min(shares[name], 1.0):.0%} of the range."
        )
    return tuple(lines)
