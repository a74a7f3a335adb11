"""The chip beside the float network: values inside a quantized network, both ways, on the same sample."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.errors import ProgramError
from tinsmith.lower import lower
from tinsmith.ops.floatnode import Array, Operand
from tinsmith.ops.layouts import inverse
from tinsmith.report.layer_error import reference
from tinsmith.simulator.compiled import compile_program
from tinsmith.simulator.inputs import samples as as_integers

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

Sample = Mapping[str, Array]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One value of one sample, in ONNX order.

    Attributes:
        chip: As the chip has it: integers, or real numbers where it computes in floats.
        scale: What one step of the integers is worth.
        real: As the float network has it.
    """

    chip: Array
    scale: float
    real: Array


class Beside:
    """Runs samples through the exact simulator and through the float network.

    Args:
        quantized: The network.
        values: What to look at; values inside a fused step do not exist on the chip and are left out.

    Attributes:
        values: Those that exist.

    Raises:
        ProgramError: The program is not the one that its network and formats give.
    """

    def __init__(self, quantized: Quantized, values: Iterable[Operand]) -> None:
        bits = {name: decision.bits for name, decision in quantized.placement.items()}
        lowered = lower(quantized.network, quantized.formats, bits, quantized.target)
        program = quantized.program
        if lowered.program.nodes != program.nodes:
            raise ProgramError(
                "is not what its network and formats give.",
                subject="program",
                hint="Analyse the result of tinsmith.quantize as it is.",
            )
        self.quantized = quantized
        self.values = tuple(value for value in values if value.name in lowered.homes)
        self._homes = {value.name: lowered.homes[value.name] for value in self.values}
        self._shapes = {value.name: value.shape for value in self.values}
        network = reference(quantized)
        given = {operand.name for operand in network.inputs}
        self._floats = FloatNodes(network.nodes, [value for value in self.values if value.name not in given])
        self._compiled = compile_program(program, quantized.target, save_all=True)
        self._compiled.open(1)

    def __call__(self, sample: Sample) -> dict[str, Pair]:
        """The values of one sample, `{input: array}` in ONNX order, by name."""
        program = self.quantized.program
        (part,) = as_integers(program, sample, self.quantized.target)
        chip = self._compiled.run(part)
        real = {**sample, **self._floats(sample)}
        found = {}
        for name, home in self._homes.items():
            value = program.values[home.root]
            laid_out = chip[home.root].reshape([self._shapes[name][axis] for axis in home.perm])
            scale = 2.0**value.exponent if value.dtype.quantized else 1.0
            found[name] = Pair(laid_out.transpose(inverse(home.perm)), scale, real[name])
        return found


def over_samples(function: Callable[[Sample], T], samples: Iterable[Sample]) -> Iterator[T]:
    """A function of every sample, in order, on all cores; few samples are in memory at a time."""
    threads = min(os.cpu_count() or 1, 8)
    iterator = iter(samples)
    with ThreadPoolExecutor(threads) as pool:
        while batch := list(islice(iterator, 2 * threads)):
            yield from pool.map(function, batch)
