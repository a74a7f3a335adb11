"""From what a user passes to samples in the file's layout and integers."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tinsmith.errors import DataError, FormatError
from tinsmith.ops.call import Array
from tinsmith.program import Program, Value
from tinsmith.targets import Target

LAYOUTS_KEY = "layouts"


@dataclass(frozen=True, slots=True)
class Original:
    """How a value looked in the float model.

    Attributes:
        shape: Shape there (batch 1).
        perm: ``file_shape[i] = shape[perm[i]]``.
    """

    shape: tuple[int, ...]
    perm: tuple[int, ...]


def layouts_text(layouts: Mapping[str, Original]) -> str:
    """The `layouts` metadata entry."""
    entries = {name: {"shape": list(o.shape), "perm": list(o.perm)} for name, o in layouts.items()}
    return json.dumps(entries, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def layouts_of(program: Program) -> dict[str, Original]:
    """The original layouts recorded in the program's metadata; empty in files of other exporters.

    Raises:
        FormatError: The entry is there and unreadable.
    """
    text = program.metadata.get(LAYOUTS_KEY)
    if text is None:
        return {}
    try:
        found = {
            str(name): Original(tuple(int(d) for d in entry["shape"]), tuple(int(d) for d in entry["perm"]))
            for name, entry in json.loads(text).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"the entry cannot be read: {error}.", subject=f"metadata {LAYOUTS_KEY!r}") from error
    for name, original in found.items():
        if sorted(original.perm) != list(range(len(original.shape))):
            raise FormatError(
                f"{original.perm} is no order of dimensions.", subject=f"metadata {LAYOUTS_KEY!r} {name!r}"
            )
    return found


def samples(program: Program, inputs: Mapping[str, ArrayLike], target: Target) -> list[dict[str, Array]]:
    """Split a batch into single samples, each `{input: array}` in the file's layout and dtype.

    Integer arrays are taken as they are, in the file's layout. Float arrays for integer inputs are quantized, in the
    model's original layout where the metadata records it, else in the file's. A batch is a longer first dimension, or
    one more dimension in front.

    Raises:
        DataError: An input is missing, unknown, of the wrong shape or type, or not finite.
    """
    known = {value.name: value for value in program.inputs}
    for name in inputs:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise DataError(
                "the program has no such input.", subject=f"input {name!r}", hint=f"{hint}Inputs: {list(known)}."
            )
    missing = [name for name in known if name not in inputs]
    if missing:
        raise DataError("no array was given.", subject=f"input {missing[0]!r}", hint=f"Inputs: {list(known)}.")
    originals = layouts_of(program)
    split = {name: _split(known[name], np.asarray(a), originals.get(name), target) for name, a in inputs.items()}
    counts = {name: len(parts) for name, parts in split.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"inputs have different numbers of samples: {counts}.", subject="inputs")
    total = next(iter(counts.values()), 1)
    if total == 0:
        raise DataError("hold no sample.", subject="inputs", hint="Give at least one.")
    return [{name: parts[index] for name, parts in split.items()} for index in range(total)]


def _split(value: Value, array: Array, original: Original | None, target: Target) -> list[Array]:
    subject = f"input {value.name!r}"
    is_float = array.dtype.kind == "f"
    if array.dtype.kind not in "fiub":
        raise DataError(f"elements are {array.dtype}, not numbers.", subject=subject)
    if is_float and not np.isfinite(array).all():
        raise DataError("holds NaN or infinite elements.", subject=subject)
    shape, perm = value.shape, tuple(range(len(value.shape)))
    if is_float and original is not None:
        shape, perm = original.shape, original.perm
    parts = [part.transpose(perm) for part in _samples_of(array, shape, subject)]
    if is_float and value.dtype.quantized:
        return [target.rounding.quantize(part.astype(np.float64), value.exponent, value.dtype.bits) for part in parts]
    return [_as_integers(part, value, subject) for part in parts]


def _samples_of(array: Array, shape: tuple[int, ...], subject: str) -> list[Array]:
    if array.shape == shape:
        return [array]
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return list(array)
    if array.ndim == len(shape) and shape and shape[0] == 1 and array.shape[1:] == shape[1:]:
        return [array[index : index + 1] for index in range(len(array))]
    if array.shape == shape[1:] and shape[0] == 1:
        return [array[None]]
    raise DataError(
        f"has shape {array.shape}, expected {shape} or a batch of such samples.",
        subject=subject,
        hint="Integers are taken in the file's layout, floats in the model's own where the file records it.",
    )


def _as_integers(part: Array, value: Value, subject: str) -> Array:
    wanted = value.dtype.numpy
    if part.dtype == wanted:
        return np.asarray(part, order="C")
    if wanted.kind == "f":
        return np.asarray(part.astype(wanted), order="C")
    if part.dtype.kind == "f":
        raise DataError(f"floats were given for an input of type {value.dtype.name}.", subject=subject)
    converted = part.astype(wanted)
    if not np.array_equal(converted, part):
        raise DataError(f"{part.dtype} elements do not fit {value.dtype.name}.", subject=subject)
    return np.asarray(converted, order="C")
