"""Samples through both sides, and the figures of each tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tinsmith.errors import DataError
from tinsmith.program import Array
from tinsmith.report.compare.feeding import Feed
from tinsmith.report.compare.held import Held
from tinsmith.report.compare.matching import paired
from tinsmith.report.compare.scaling import ChannelSums
from tinsmith.report.compare.sides import DumpSide, FloatSide, ProgramSide, Side, resolved
from tinsmith.report.compare.tally import Fit, Tally, default_tolerance, fit

Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class Run:
    """All samples through both sides, once, or twice where channels are found to be scaled.

    Attributes:
        ours: The first side.
        theirs: The second side.
        names: The second's names of the tensors by the first's, in order.
        given: What both are run on.
        tolerance: The user's; None where each tensor has its own.
        progress: Called with runs done and in all.
        scaled: Whether channels may have been equalized.
        samples: How many were compared.
        unfit: Tensors whose shapes do not fit each other, with the reason.
    """

    ours: Side
    theirs: Side
    names: Mapping[str, str]
    given: Feed
    tolerance: float | None
    progress: Progress | None
    scaled: bool
    samples: int = 0
    unfit: dict[str, str] = field(default_factory=dict)
    _done: int = field(default=0)

    def tallies(self) -> dict[str, Tally]:
        """The figures of each tensor that could be compared.

        Raises:
            DataError: A dumped tensor has not the elements it should have.
        """
        fits: dict[str, Fit] = {}
        collect: dict[str, ChannelSums | None] = {}
        found = self._pass(fits, collect if self._beside_floats else None)
        if collect:
            factors = self._factors(collect)
            if factors:
                fits = {name: replace(known, factors=factors.get(name)) for name, known in fits.items()}
                found = self._pass(fits, None)
        if self.tolerance is None and any(tally.tolerance is None for tally in found.values()):
            # Where formats differ, what runs in floats on both sides is not computed from the same numbers either.
            for tally in found.values():
                if tally.first.exponent is None and tally.second.exponent is None:
                    tally.tolerance = None
        return found

    def _pass(self, fits: dict[str, Fit], collect: dict[str, ChannelSums | None] | None) -> dict[str, Tally]:
        tallies: dict[str, Tally] = {}
        for ours, theirs in self._runs():
            for mine, other in self.names.items():
                one, two = resolved(ours[mine], theirs[other], mine)
                known = fits.get(mine) or self._fit(mine, one, two)
                if known is None:
                    continue
                fits[mine] = known
                if mine not in tallies:
                    tallies[mine] = Tally(known, self._tolerance(one, two), first=one, second=two)
                    if collect is not None:
                        collect[mine] = ChannelSums.of(one, known.alignment)
                tallies[mine].add(one, two)
                sums = None if collect is None else collect[mine]
                if sums is not None:
                    sums.add(one.real, known.alignment(two.real, one.data.shape))
        return tallies

    def _runs(self) -> Iterator[tuple[Mapping[str, Held], Mapping[str, Held]]]:
        """What both sides hold, sample by sample; a dump may hold fewer than there are."""
        dumped = isinstance(self.ours, DumpSide)
        run, other = (self.theirs, self.ours) if dumped else (self.ours, self.theirs)
        wanted = list(self.names.values()) if dumped else list(self.names)
        ahead = {b: a for a, b in self.names.items()} if dumped else dict(self.names)
        self.samples = 0
        for index, sample in enumerate(self.given.samples):
            one = run.tensors(_under(run, sample), index, dict.fromkeys(wanted))
            known = {ahead[name]: held for name, held in one.items()}
            if isinstance(other, DumpSide) and index >= other.count(known):
                break
            self._tell()
            two = other.tensors(_under(other, sample), index, dict(known))
            self.samples += 1
            self._tell()
            yield (two, one) if dumped else (one, two)

    def _tell(self) -> None:
        self._done += 1
        if self.progress is not None:
            whole = 2 * len(self.given.samples)
            self.progress(self._done, whole * (2 if self._done > whole else 1))

    def _tolerance(self, one: Held, two: Held) -> float | None:
        """Steps that count as equal."""
        return default_tolerance(one, two) if self.tolerance is None else self.tolerance

    @property
    def _beside_floats(self) -> bool:
        return {type(self.ours), type(self.theirs)} == {ProgramSide, FloatSide}

    @property
    def _dumped(self) -> bool:
        return isinstance(self.ours, DumpSide) or isinstance(self.theirs, DumpSide)

    def _fit(self, name: str, one: Held, two: Held) -> Fit | None:
        """How to lay a tensor beside the other; None, and a reason, where two models have it in different shapes."""
        found = fit(one, two)
        if found is None:
            reason = f"has the shape {list(one.data.shape)} in the first, {list(two.data.shape)} in the second"
            if self._dumped or name in self.ours.outputs:
                hint = "Are both of the same model, and run on as many samples?"
                raise DataError(f"{reason}.", subject=f"tensor {name!r}", hint=hint)
            self.unfit[name] = reason
        return found

    def _factors(self, sums: Mapping[str, ChannelSums | None]) -> dict[str, Array]:
        kept = {*self.ours.inputs, *self.ours.outputs}
        sources = {name: read for _, _, read, made in (*self.theirs.steps, *self.ours.steps) for name in made}
        found: dict[str, Array] = {}
        for name in self.names:
            known = sums.get(name)
            if known is None or name in kept:
                continue
            inherited = [found[read] for read in sources.get(name, ()) if read in found]
            factors = known.factors(inherited, channels=self.scaled)
            if factors is not None:
                found[name] = factors
        return found


def _under(side: Side, sample: Mapping[str, Array]) -> Mapping[str, Array]:
    """A sample by the names of a side's own inputs."""
    return {mine: sample[name] for mine, name in paired(list(side.inputs), list(sample)).items()}
