"""The chip beside the float network: values inside a quantized network, both ways, on the same sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.cores import cores
from tinsmith.errors import ProgramError
from tinsmith.lower.lowerer import homes_in
from tinsmith.ops.floatnode import Array, Operand
from tinsmith.ops.layouts import inverse
from tinsmith.report.layer_error import reference
from tinsmith.report.thinning import grid, taken, thinned_network, thinned_program
from tinsmith.simulator.compiled import compile_program
from tinsmith.simulator.inputs import samples as as_integers

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

MEMO = "beside"
"""Where a program keeps what `thin_beside` set up."""
_AHEAD = 8
"""Samples for each core that may be in memory where only parts of their values are."""

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
        values: What to look at; values inside a fused step do not exist on the chip and are left out, and so are
            constants.
        most: Elements of each value to look at in a sample, roughly (`tinsmith.report.thinning`); None for all.

    Attributes:
        values: Those that exist.

    Raises:
        ProgramError: The program is not the one that its network and formats give.
    """

    def __init__(self, quantized: Quantized, values: Iterable[Operand], most: int | None = None) -> None:
        found = homes_in(quantized.program, quantized.network, quantized.formats, quantized.widths, quantized.target)
        if found is None:
            raise ProgramError(
                "is not what its network and formats give.",
                subject="program",
                hint="Analyse the result of tinsmith.quantize as it is.",
            )
        self.values = tuple(value for value in values if value.name in found)
        homes = [found[value.name] for value in self.values]
        cuts = [grid(value.shape, most) for value in self.values]
        self._ahead = 2 if most is None else _AHEAD
        self._program, self._target = quantized.program, quantized.target
        wanted = [(home.root, home.perm, cut) for home, cut in zip(homes, cuts, strict=True)]
        held = [quantized.program.values[home.root] for home in homes]
        self._scales = [2.0**value.exponent if value.dtype.quantized else 1.0 for value in held]
        names = (value.name for value in self.values)
        floats, self._float_parts = thinned_network(reference(quantized), dict(zip(names, cuts, strict=True)))
        pool = ThreadPoolExecutor(1)
        self._floats = pool.submit(FloatNodes, floats.nodes, floats.outputs)
        pool.shutdown(wait=False)
        self._chip, self._chip_parts = thinned_program(quantized.program, wanted)

    def open(self) -> None:
        """Set up the simulator, which the first `pairs` does otherwise."""
        compile_program(self._chip, self._target).open(1)

    def floats(self, sample: Sample) -> Mapping[str, Array]:
        """What `pairs` needs of the float network, for one sample, `{input: array}` in ONNX order."""
        return self._floats.result()(sample)

    def pairs(self, sample: Sample, reals: Mapping[str, Array]) -> dict[str, Pair]:
        """The values of one sample by name, in ONNX order."""
        (integers,) = as_integers(self._program, sample, self._target)
        chip = compile_program(self._chip, self._target).run(integers)
        found: dict[str, Pair] = {}
        for value, ours, scale in zip(self.values, self._chip_parts, self._scales, strict=True):
            theirs = self._float_parts[value.name]
            array = chip[ours.name]
            array = array.transpose(inverse(ours.perm)) if value.rank else array.reshape(())  # the chip has no scalars
            found[value.name] = Pair(taken(array, ours.rest), scale, taken(reals[theirs.name], theirs.rest))
        return found

    def __call__(self, sample: Sample) -> dict[str, Pair]:
        """Both at once."""
        return self.pairs(sample, self.floats(sample))

    def over(self, samples: Iterable[Sample], function: Callable[[Mapping[str, Pair]], T]) -> Iterator[T]:
        """A function of the values of every sample, in order, on all cores; few samples are in memory at a time.

        The float network runs a few samples ahead, and while the simulator is set up.
        """
        threads = cores()
        iterator = iter(samples)

        def take(sample: Sample, reals: Future[Mapping[str, Array]]) -> T:
            return function(self.pairs(sample, reals.result()))

        with ThreadPoolExecutor(threads) as pool:
            while batch := list(islice(iterator, self._ahead * threads)):
                reals = [pool.submit(self.floats, sample) for sample in batch]
                self.open()
                for done in [pool.submit(take, *each) for each in zip(batch, reals, strict=True)]:
                    yield done.result()


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What was set up last for a program, and of what."""

    names: tuple[str, ...]
    most: int
    sources: tuple[object, ...]
    beside: Beside

    def is_of(self, names: tuple[str, ...], most: int, sources: tuple[object, ...]) -> bool:
        """Whether it was set up of these very things."""
        same = all(ours is theirs for ours, theirs in zip(self.sources, sources, strict=True))
        return same and (self.names, self.most) == (names, most)


def thin_beside(quantized: Quantized, values: Sequence[Operand], most: int) -> Beside:
    """`Beside` for parts of values, set up once where it is asked for repeatedly; memoized on the program.

    Args:
        quantized: The network.
        values: What to look at.
        most: Elements of each value to look at in a sample, roughly.

    Raises:
        ProgramError: The program is not the one that its network and formats give.
    """
    names, memo = tuple(value.name for value in values), quantized.program.memo
    sources = (quantized.model, quantized.network, quantized.unrounded, quantized.formats, quantized.placement)
    known = memo.get(MEMO)
    if isinstance(known, _Known) and known.is_of(names, most, sources):
        return known.beside
    made = Beside(quantized, values, most)
    memo[MEMO] = _Known(names, most, sources, made)
    return made


def over_samples(beside: Beside, samples: Iterable[Sample]) -> Iterator[Mapping[str, Pair]]:
    """The values of every sample, in order, computed on all cores."""
    return beside.over(samples, lambda pairs: pairs)
