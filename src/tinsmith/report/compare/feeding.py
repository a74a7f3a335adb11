"""What the two sides are run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tinsmith.calibrate import InputSpec, open_data
from tinsmith.errors import DataError
from tinsmith.ops.call import Array
from tinsmith.program import Program
from tinsmith.report.compare.held import Held
from tinsmith.report.compare.matching import matched
from tinsmith.report.compare.sides import DumpSide, FloatSide, ProgramSide, Sample, arranged
from tinsmith.report.compare.tensor_files import load
from tinsmith.report.evaluate import inputs_of
from tinsmith.simulator.inputs import samples as as_integers
from tinsmith.simulator.run import dequantize
from tinsmith.targets import Target

TEST = "test"
"""What names the sample embedded in a file."""
MOST = 8
"""Samples of data that are used by default."""
_RANDOM = 4
_SEED = 1


@dataclass(frozen=True, slots=True)
class Feed:
    """Samples, by the names of the inputs of the side that leads: real numbers in the model's order of axes.

    Attributes:
        samples: At least one; empty ones where nothing is run.
        text: Where they come from.
    """

    samples: tuple[Sample, ...]
    text: str


def feed(
    lead: ProgramSide | FloatSide | None,
    dump: DumpSide | None,
    embedded: Program | None,
    data: Any,
    most: int | None,
    **options: Any,
) -> Feed:
    """The samples to compare on.

    Args:
        lead: The side whose inputs the samples are given for; None where both sides are dumps.
        dump: A side that holds results, and perhaps the inputs they were computed from.
        embedded: A program that holds a test sample, if there is one.
        data: ``test`` for that sample, data as `tinsmith.evaluate` takes them, or None: the dump's own inputs, else the
            embedded sample, else random numbers, if no side is a dump.
        most: Use so many at most.
        options: For `tinsmith.calibrate.open_data`.

    Raises:
        DataError: There is nothing to run on, or it does not fit.
    """
    if lead is None:
        return Feed(({},), "what they were run on is not known here")
    if isinstance(data, str) and data == TEST:
        return _embedded(lead, embedded)
    if data is not None:
        return _given(lead, data, most or MOST, options)
    if dump is not None and set(lead.inputs) <= set(names := matched(lead.inputs, dump.names())):
        return _own(lead, {name: dump.held[names[name]] for name in lead.inputs}, most)
    if embedded is not None:
        return _embedded(lead, embedded)
    if dump is not None:
        hint = f"Give what it was run on with --input, or dump the inputs as well: {list(lead.inputs)}."
        raise DataError("holds no inputs.", subject=dump.label, hint=hint)
    return _random(lead, most or _RANDOM)


def _embedded(lead: ProgramSide | FloatSide, program: Program | None) -> Feed:
    if program is None:
        hint = "Give data, or write the file with --export-test-values."
        raise DataError("there is no test sample in the file.", subject="input 'test'", hint=hint)
    own = dequantize(program, program.test_inputs)
    return Feed((_renamed(own, lead),), "the test sample in the file")


def _renamed(sample: Sample, lead: ProgramSide | FloatSide) -> Sample:
    """A sample of the other side's inputs, under the names of the leading one."""
    if set(sample) == set(lead.inputs):
        return sample
    if len(sample) != len(lead.inputs):
        raise DataError(f"are {list(sample)}, expected {list(lead.inputs)}.", subject="inputs")
    return dict(zip(lead.inputs, sample.values(), strict=True))


def _given(lead: ProgramSide | FloatSide, data: Any, most: int, options: Mapping[str, Any]) -> Feed:
    text = str(data) if isinstance(data, (str, Path)) else f"a {type(data).__name__}"
    if isinstance(lead, ProgramSide):
        integers = _integers(lead.program, data)
        if integers is not None:
            return Feed(_as_reals(lead.program, integers, lead.target, most), text)
    source = open_data(data, _specs(lead), limit=most, **options)
    return Feed(tuple(islice(source, most)), text)


def _integers(program: Program, data: Any) -> Mapping[str, Array] | None:
    """Arrays that are the program's own integers, in the file's layout; None where data are anything else."""
    if isinstance(data, (str, Path)):
        path = Path(data)
        if path.suffix.lower() not in (".npy", ".npz") or not path.is_file():
            return None
        data = load(path)
    arrays = dict(data) if isinstance(data, Mapping) else {"": data}
    if list(arrays) == [""] or len(arrays) == len(program.inputs) == 1:
        arrays = {program.inputs[0].name: next(iter(arrays.values()))}
    quantized = {value.name: value.dtype.numpy for value in program.inputs if value.dtype.quantized}
    if not quantized or set(arrays) != {value.name for value in program.inputs}:
        return None
    fitting = all(
        isinstance(arrays[name], np.ndarray) and arrays[name].dtype == kind for name, kind in quantized.items()
    )
    return arrays if fitting else None


def _as_reals(program: Program, arrays: Mapping[str, Array], target: Target, most: int | None) -> tuple[Sample, ...]:
    """Each sample as real numbers in the model's order, from what a simulation takes."""
    return tuple(dequantize(program, sample) for sample in as_integers(program, arrays, target)[:most])


def _specs(lead: ProgramSide | FloatSide) -> list[InputSpec]:
    if isinstance(lead, ProgramSide):
        return list(inputs_of(lead.program))
    return [InputSpec(name, _static(name, shape), lead.dtypes[name]) for name, shape in lead.inputs.items()]


def _static(name: str, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """The shape of one sample; only the number of samples may be open."""
    fixed = tuple(1 if extent is None and axis == 0 else extent for axis, extent in enumerate(shape))
    known = tuple(extent for extent in fixed if extent is not None)
    if len(known) != len(fixed):
        hint = "Compare with a program, which knows it, or fix the shape in the model."
        raise DataError(f"has the open shape {list(shape)}.", subject=f"input {name!r}", hint=hint)
    return known


def _own(lead: ProgramSide | FloatSide, held: Mapping[str, Held], most: int | None) -> Feed:
    text = "the inputs in the dump"
    if isinstance(lead, ProgramSide):
        arrays = {
            name: arranged(tensor.data, (None, *lead.inputs[name][1:]))
            if tensor.data.dtype.kind == "f"
            else tensor.data
            for name, tensor in held.items()
        }
        return Feed(_as_reals(lead.program, arrays, lead.target, most), text)
    sample = {}
    for name, tensor in held.items():
        if tensor.order == "file" and tensor.exponent is None:
            hint = "Give what it was run on with --input."
            raise DataError("holds integers without an exponent.", subject=f"input {name!r}", hint=hint)
        sample[name] = arranged(tensor.real.astype(np.float32), lead.inputs[name])
    return Feed((sample,), text)


def _random(lead: ProgramSide | FloatSide, count: int) -> Feed:
    rng = np.random.default_rng(_SEED)
    text = f"{count} samples of random numbers"
    if isinstance(lead, ProgramSide):
        program = lead.program
        drawn = (
            {value.name: _noise(rng, value.dtype.numpy, value.shape) for value in program.inputs} for _ in range(count)
        )
        return Feed(tuple(dequantize(program, sample) for sample in drawn), f"{text} over the range of the inputs")
    specs = _specs(lead)
    return Feed(
        tuple({spec.name: _noise(rng, np.dtype(spec.dtype), spec.shape) for spec in specs} for _ in range(count)), text
    )


def _noise(rng: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Floats of a normal distribution, the full range of int8 and int16, zeros or ones of what else there is."""
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    full = dtype.name in ("int8", "int16")
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max + 1) if full else (0, 2)
    return rng.integers(low, high, shape).astype(dtype)
