"""What stands in for observations where a model brings ranges and there are no data.

Of a range only its ends are known. Activations crowd around zero and thin out towards extremes that few of them reach,
so a value is assumed to have the density exp(-8·|x| / end) on either side (of 168 values of nine networks the root mean
square is, in the median, 0.14 of the extreme; here it is 0.18). An exponent whose grid ends up to a seventh inside the
range then wins over one twice as coarse. Inputs and outputs of the network, and operators whose results are bounded by
definition, are assumed to fill their range evenly: there extremes are common, or matter most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tinsmith.calibrate.inputs import InputSpec
from tinsmith.calibrate.observer import ValueObserver
from tinsmith.calibrate.session import Sample
from tinsmith.calibrate.stats import Stats, ValueStats
from tinsmith.errors import DataError
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.steps import upper_bound
from tinsmith.quant.rounding import FloatArray, Rounding

Range = tuple[float, float]

_POINTS = 1 << 15
_STEEP = 8.0
_GRAINS = (1, 2, 4, 8, 16, 32)
_REPEATS = 2
_WITHIN = ("AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool", "Flatten")
"""Operators whose results lie within the range of their input."""
_BOUNDED: Mapping[str, Range | None] = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Sin": (-1.0, 1.0),
    "Cos": (-1.0, 1.0),
    "Clip": None,
}
"""Operators whose results are bounded by definition, with the bounds where those are always the same."""


def assumed(
    limits: Range, rounding: Rounding, bits: Sequence[int] = (8, 16), *, histograms: bool = False, even: bool = False
) -> ValueStats:
    """Observations of a value of which only the range is known.

    Args:
        limits: Its smallest and largest number.
        rounding: The target's.
        bits: Widths whose candidate errors are wanted.
        histograms: Also count magnitudes, for percentile and KL.
        even: The value fills its range evenly.
    """
    observer = ValueObserver("range", rounding, bits, histograms, exact=False)
    observer.update(_evenly(*limits) if even else _falling(*limits))
    return observer.result()


def _evenly(low: float, high: float) -> FloatArray:
    return np.linspace(low, high, _POINTS, dtype=np.float32)


def _falling(low: float, high: float) -> FloatArray:
    """Numbers of a density that falls from zero to ``low`` and to ``high``, both included; float32."""
    whole = max(high, 0.0) + max(-low, 0.0)
    parts = [np.asarray([low, high])]
    for end in (min(low, 0.0), max(high, 0.0)):
        count = round(_POINTS * abs(end) / whole) if whole else 0
        below = (np.arange(count) + 0.5) / max(count, 1)
        parts.append(-end / _STEEP * np.log1p(-below * -np.expm1(-_STEEP)))
    return np.concatenate(parts).astype(np.float32)


def from_ranges(
    ranges: Mapping[str, Range],
    network: Network,
    rounding: Rounding,
    bits: Sequence[int],
    *,
    histograms: bool = False,
) -> Stats:
    """What is assumed of every range, with a digest of them in the place of one of samples.

    Args:
        ranges: By name of the value.
        network: The float network.
        rounding: The target's.
        bits: Widths whose candidate errors are wanted.
        histograms: Also count magnitudes.
    """
    text = "".join(f"{name}\0{low!r}\0{high!r}\0" for name, (low, high) in sorted(ranges.items()))
    ends = {operand.name for operand in (*network.inputs, *network.outputs)}
    op_types = _op_types(network)
    found = {
        name: assumed(limits, rounding, bits, histograms=histograms, even=name in ends or op_types[name] in _BOUNDED)
        for name, limits in ranges.items()
    }
    return Stats(found, 0, hashlib.sha256(text.encode()).hexdigest())


def _op_types(network: Network) -> dict[str, str]:
    """The operator that computes each value."""
    return {output.name: node.op_type for node in network.nodes for output in node.outputs}


def derived(ranges: Mapping[str, Range], network: Network) -> dict[str, Range]:
    """The ranges, and those that follow from them: of a Relu or Clip of a value, an average, a move of elements.

    Args:
        ranges: By name of the value.
        network: The float network.
    """
    found = dict(ranges)
    for node in network.nodes:
        known = found.get(node.input(0).name) if node.has(0) else None
        operator = operators().get(node.op_type)
        ceiling = upper_bound(node)
        if known is None or operator is None:
            continue
        if ceiling is not None:
            known = (min(max(known[0], 0.0), ceiling), min(max(known[1], 0.0), ceiling))
        elif node.op_type not in _WITHIN and (not operator.passive or _arrays(node) != 1):
            continue
        for output in node.outputs:
            found.setdefault(output.name, known)
    return found


def _arrays(node: FloatNode) -> int:
    """How many computed inputs a node has."""
    return sum(operand is not None and operand.const is None for operand in node.inputs)


def widened(stats: Mapping[str, ValueStats], network: Network) -> dict[str, Range]:
    """Ranges of values that were seen on noise only: twice what was seen, or what their operator's definition says.

    Args:
        stats: What was seen.
        network: The float network.
    """
    op_types = _op_types(network)
    return {
        name: _BOUNDED.get(op_types[name]) or (2 * min(seen.minimum, 0.0), 2 * max(seen.maximum, 0.0))
        for name, seen in stats.items()
    }


def noise(inputs: Iterable[InputSpec], ranges: Mapping[str, Range]) -> list[Sample]:
    """Samples that fill the ranges of the inputs: noise of fine to coarse grain, the same every time.

    Args:
        inputs: The model's.
        ranges: By name of the input.

    Raises:
        DataError: An input has no range.
    """
    specs = list(inputs)
    absent = [spec.name for spec in specs if spec.name not in ranges or np.dtype(spec.dtype).kind != "f"]
    if absent:
        raise DataError(
            f"the model brings ranges, but none of its input {absent[0]!r}.",
            subject="calibration data",
            hint="Give calibration data.",
        )
    dice = np.random.default_rng(0)
    return [
        {spec.name: _noise(spec, ranges[spec.name], grain, dice) for spec in specs}
        for grain in _GRAINS
        for _ in range(_REPEATS)
    ]


def _noise(spec: InputSpec, limits: Range, grain: int, dice: np.random.Generator) -> FloatArray:
    """Uniform noise whose grains span so many elements along every axis behind the channels."""
    places = [np.arange(extent) // (grain if axis > 1 else 1) for axis, extent in enumerate(spec.shape)]
    coarse = dice.uniform(*limits, [int(place[-1]) + 1 if len(place) else 0 for place in places])
    for axis, place in enumerate(places):
        coarse = np.take(coarse, place, axis)
    return np.asarray(coarse, dtype=spec.dtype)
