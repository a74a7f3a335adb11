"""From whatever a program holds in memory to single samples: arrays, dicts, lists, batches with or without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinsmith.calibrate.inputs import InputSpec, as_array
from tinsmith.errors import DataError

Record = tuple[str, Mapping[str, Any]]
"""What messages call a sample, and its raw arrays by input name."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Where records come from.

    Attributes:
        records: Starts a new walk over them.
        length: How many there are; None where only walking tells.
        description: For people.
        once: Whether there can be only one walk.
    """

    records: Callable[[], Iterator[Record]]
    length: int | None
    description: str
    once: bool = False


def rows_of(shape: Sequence[int], spec: InputSpec, label: str) -> int | None:
    """How many samples an array of this shape holds; None where it is itself one sample, without a batch axis.

    Raises:
        DataError: Neither can be.
    """
    rank = len(spec.shape)
    if spec.batched and len(shape) == rank - 1:
        return None
    if not spec.batched and len(shape) == rank:
        return None
    if len(shape) == rank or (len(shape) == rank + 1 and (not spec.batched or shape[1] == 1)):
        return shape[0]
    raise DataError(
        f"input {spec.name!r} has shape {tuple(shape)}, the model takes {spec.shape}.",
        subject=label,
        hint="Give one array per sample, or several stacked along a first axis.",
    )


def common_rows(counts: Mapping[str, int | None], label: str) -> int | None:
    """The number of samples that all inputs agree on.

    Raises:
        DataError: They do not agree.
    """
    if len(set(counts.values())) > 1:
        described = ", ".join(f"{name!r} {'one' if rows is None else rows}" for name, rows in counts.items())
        raise DataError(f"the inputs hold different numbers of samples: {described}.", subject=label)
    return next(iter(counts.values()))


def named(item: Any, specs: Sequence[InputSpec], label: str) -> Mapping[str, Any]:
    """Raw arrays of an item by input name.

    An item is a mapping by input name, which may hold labels besides; a tuple or list of the inputs in order, of the
    inputs and a label, or of (inputs, label); or, for a single input, the array itself.

    Raises:
        DataError: Missing names, or a number of arrays that fits neither way.
    """
    names = [spec.name for spec in specs]
    if isinstance(item, Mapping):
        return check_names({name: item[name] for name in names} if set(names) <= set(item) else item, names, label)
    if not isinstance(item, (tuple, list)) or not any(is_part(part) for part in item):
        if len(names) > 1:
            raise DataError(f"is one array, the model has {len(names)} inputs: {names}.", subject=label, hint=_BY_NAME)
        return {names[0]: item}
    if len(item) <= 2 and is_group(item[0]):
        return named(item[0], specs, label)
    if len(item) in (len(names), len(names) + 1):
        return dict(zip(names, item, strict=False))
    raise DataError(f"has {len(item)} parts, the model {len(names)} inputs: {names}.", subject=label, hint=_BY_NAME)


_BY_NAME = "Give samples as dicts by input name, or as tuples of the inputs in order, with or without a label."


def _is_array(part: Any) -> bool:
    return hasattr(part, "__array__") or hasattr(part, "__array_interface__")


def is_group(part: Any) -> bool:
    """Whether it holds arrays, rather than being one (nested lists of numbers are)."""
    return isinstance(part, Mapping) or (isinstance(part, (tuple, list)) and any(is_part(inner) for inner in part))


def is_part(part: Any) -> bool:
    """Whether it is an array or holds arrays."""
    return _is_array(part) or is_group(part)


def check_names(item: Mapping[str, Any], names: Sequence[str], label: str) -> Mapping[str, Any]:
    """The same mapping.

    Raises:
        DataError: Its names are not exactly those of the inputs.
    """
    missing, unknown = [n for n in names if n not in item], [n for n in item if n not in names]
    if missing or unknown:
        parts = [f"{word} {found}" for word, found in (("lacks", missing), ("has unknown", unknown)) if found]
        raise DataError(f"{' and '.join(parts)}; the model's inputs are {list(names)}.", subject=label)
    return item


def split(item: Any, specs: Sequence[InputSpec], label: str, start: int) -> Iterator[Record]:
    """The samples of an item: itself, or the rows of a batch.

    Args:
        item: See ``named``.
        specs: The model's inputs.
        label: Where the item comes from; empty where its samples are numbered only.
        start: Number of its first sample.
    """
    where = f" ({label})" if label else ""
    first = f"sample {start}{where}"
    arrays = {name: as_array(raw, first) for name, raw in named(item, specs, first).items()}
    counts = {spec.name: rows_of(arrays[spec.name].shape, spec, first) for spec in specs}
    if set(counts.values()) <= {None, 1}:
        # A recurrent layer's state, for one, has a batch axis where its sequence has none.
        arrays = {name: array if counts[name] is None else array[0] for name, array in arrays.items()}
        yield first, arrays
        return
    rows = common_rows(counts, first) or 0
    for row in range(rows):
        place = f" ({label}, row {row})" if label and rows > 1 else where
        yield f"sample {start + row}{place}", {name: array[row] for name, array in arrays.items()}


def arrays_reader(data: Any, specs: Sequence[InputSpec]) -> Reader:
    """One array, or a mapping of arrays, held in memory; samples along the first axis."""
    arrays = {name: as_array(raw, "data") for name, raw in named(data, specs, "data").items()}
    counts = {spec.name: rows_of(arrays[spec.name].shape, spec, "data") for spec in specs}
    rows = 1 if set(counts.values()) <= {None, 1} else common_rows(counts, "data")
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    return Reader(lambda: split(arrays, specs, "", 0), rows, f"arrays: {shapes}")


def iterable_reader(data: Any, specs: Sequence[InputSpec]) -> Reader:
    """Anything that yields samples or batches: a list, a loader, a generator, a function that returns one.

    Raises:
        DataError: Nothing can be iterated over.
    """
    kind = type(data).__name__
    indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__")
    if indexed:
        return Reader(lambda: _walk((data[i] for i in range(len(data))), specs), None, f"{kind} of {len(data)} items")
    if isinstance(data, Iterator):
        return Reader(lambda: _walk(data, specs), None, f"{kind}, read once", once=True)
    if isinstance(data, Iterable):
        return Reader(lambda: _walk(data, specs), None, kind)
    if callable(data):
        name = getattr(data, "__name__", kind)
        return Reader(lambda: _walk(_called(data, name), specs), None, f"samples from {name}()")
    raise DataError(
        f"a {kind} holds no samples.",
        subject="data",
        hint="Give a .npy or .npz file, a folder of images, an array, a dict of arrays, an iterable, or a function.",
    )


def _called(function: Callable[[], Any], name: str) -> Iterable[Any]:
    produced = function()
    if not isinstance(produced, Iterable):
        raise DataError(f"returned a {type(produced).__name__}, not an iterable of samples.", subject=f"{name}()")
    return produced


def _walk(items: Iterable[Any], specs: Sequence[InputSpec]) -> Iterator[Record]:
    done = 0
    for index, item in enumerate(items):
        for record in split(item, specs, f"item {index}", done):
            yield record
            done += 1
