"""`compare`: two runs of one network, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinsmith.errors import DataError, RecipeError
from tinsmith.program import Program
from tinsmith.report.choices import Choices
from tinsmith.report.compare.constants import compared_constants
from tinsmith.report.compare.feeding import feed
from tinsmith.report.compare.matching import chosen, common, paired
from tinsmith.report.compare.opening import label_of, opened, perms_of, program_of
from tinsmith.report.compare.result import Comparison
from tinsmith.report.compare.rows import rows_of
from tinsmith.report.compare.running import Progress, Run
from tinsmith.report.compare.sides import DumpSide, FloatSide, ProgramSide
from tinsmith.report.floats import with_layouts
from tinsmith.simulator.inputs import layouts_of
from tinsmith.simulator.run import target_of
from tinsmith.targets import Target

AnySide = ProgramSide | FloatSide | DumpSide


def compare(
    first: Any,
    second: Any,
    inputs: Any = None,
    *,
    tolerance: float | None = None,
    target: str | Target | None = None,
    samples: int | None = None,
    only: Sequence[str] = (),
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    size: int | Sequence[int] | None = None,
    color: str | None = None,
    layout: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two runs of one network, tensor by tensor.

    Integers of one exponent are compared as integers; everything else as real numbers. Tensors are matched by name,
    inputs and outputs of other names by their order.

    Args:
        first: A `Program`, a `Quantized` or the path of an .espdl file; a float model or its path; or a dump: a folder,
            an .npz file, the log of a board, or arrays by name.
        second: Likewise.
        inputs: ``"test"`` for the sample embedded in a file; data as `tinsmith.evaluate` takes them; arrays of the
            program's own integer type are integers in the file's layout. None: the inputs that a dump holds, else the
            embedded sample, else random numbers.
        tolerance: Largest difference that counts as equal, in steps of the coarser format. None: 0 for integers on both
            sides, 1 for two float tensors, whose step is 2^-20 of the largest magnitude, and no verdict for others.
        target: The chip, for files that do not name theirs.
        samples: Use at most so many; 8 of data and 4 random ones by default.
        only: Names of tensors or nodes, or regular expressions found in them.
        mean: As the next four, see `tinsmith.recipe.Preprocessing`.
        std: Likewise.
        size: Likewise.
        color: Likewise.
        layout: Likewise.
        progress: Called with runs done and in all.

    Raises:
        DataError: A dump or the inputs are damaged or do not fit, or no tensor is on both sides.
        FormatError: An .espdl file cannot be read.
        ModelError: A float model cannot be read or run.
        RecipeError: A name means nothing, the tolerance is none, or the target is not known.
    """
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise RecipeError(f"is {tolerance}.", subject="tolerance", hint="Give steps, 0 or more.")
    ours, theirs, notes = _sides(first, second, target)
    names = chosen(common(ours, theirs), ours, theirs, only)
    dump = next((side for side in (ours, theirs) if isinstance(side, DumpSide)), None)
    lead = next((side for kind in (ProgramSide, FloatSide) for side in (ours, theirs) if isinstance(side, kind)), None)
    programs = [side.program for side in (ours, theirs) if isinstance(side, ProgramSide)]
    embedded = next((program for program in programs if program.test_inputs), None)
    given = feed(lead, dump, embedded, inputs, samples, mean=mean, std=std, size=size, color=color, layout=layout)
    run = Run(ours, theirs, names, given, tolerance, progress, _may_be_scaled(ours, theirs))
    tallies = run.tallies()
    rows = rows_of(tallies, names, ours, theirs)
    if not rows:
        raise DataError("have no tensor of the same shape.", subject=f"{ours.label} and {theirs.label}")
    notes += tuple(f"tensor {name!r} {reason}: left out" for name, reason in run.unfit.items())
    constants, compared = compared_constants(*programs) if len(programs) == 2 and not only else ((), 0)
    return Comparison(
        (ours.label, theirs.label),
        given.text,
        run.samples,
        tolerance,
        rows,
        () if only else tuple(name for name in ours.names() if name not in names),
        () if only else tuple(name for name in theirs.names() if name not in set(names.values())),
        constants,
        compared,
        notes,
    )


def _sides(first: Any, second: Any, target: str | Target | None) -> tuple[AnySide, AnySide, tuple[str, ...]]:
    sources = (first, second)
    programs = [program_of(source) for source in sources]
    others = [
        None if p is not None else opened(s, programs[1 - i])
        for i, (s, p) in enumerate(zip(sources, programs, strict=True))
    ]
    sides: list[AnySide] = []
    notes: list[str] = []
    for index, (source, program, other) in enumerate(zip(sources, programs, others, strict=True)):
        if program is None:
            assert other is not None
            sides.append(other)
            continue
        chip, note = _target(program, programs[1 - index], target)
        notes += [f"{label_of(source)} {note}"] if note else []
        known = with_layouts(program, _shapes(program, programs[1 - index], others[1 - index]))
        sides.append(ProgramSide(known, chip, label_of(source), perms_of(source)))
    return sides[0], sides[1], tuple(notes)


def _target(program: Program, other: Program | None, target: str | Target | None) -> tuple[Target, str]:
    """The chip of a program, and what was assumed."""
    recorded = "target" in program.metadata
    if recorded or target is not None or other is None or "target" not in other.metadata:
        return target_of(program, None if recorded else target), ""
    chip = target_of(other, None)
    return chip, f"names no target: {chip.name} is taken, as in the other file"


def _shapes(
    program: Program, other: Program | None, side: FloatSide | DumpSide | None
) -> Mapping[str, tuple[int | None, ...]]:
    """Shapes of a program's inputs in the float model's order, as far as the other side tells."""
    if isinstance(side, FloatSide):
        known = side.inputs
    elif other is not None:
        known = {
            name: original.shape
            for name, original in layouts_of(other).items()
            if name in {value.name for value in other.inputs}
        }
    else:
        return {}
    names = paired([value.name for value in program.inputs], list(known))
    return {mine: known[name] for mine, name in names.items()}


def _may_be_scaled(ours: AnySide, theirs: AnySide) -> bool:
    """Whether one is a float model and the other a program whose channels may have been equalized."""
    program = next((side.program for side in (ours, theirs) if isinstance(side, ProgramSide)), None)
    if program is None or not any(isinstance(side, FloatSide) for side in (ours, theirs)):
        return False
    choices = Choices.of(program)
    return choices is None or choices.effort != "fast"
