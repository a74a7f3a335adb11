"""A look at the first sample of calibration data, before it is known what the model takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinsmith.calibrate.files import split_key
from tinsmith.calibrate.inputs import LAYOUTS, as_array
from tinsmith.calibrate.records import is_group, is_part
from tinsmith.errors import DataError

_GIVE = "Give example_input, what the model is called with, or input_shapes."


def first_samples(data: Any, layout: str | None = None) -> list[Any]:
    """What a first sample may be, the likeliest first.

    An item of the data may be a sample or a batch, and have labels behind it; which, the model decides. Its arrays get
    a first axis of 1 in each way that this can be understood, and stay in their tuples, lists and dicts.

    Args:
        data: As for `tinsmith.calibrate.open_data`; not used up.
        layout: The order of its axes: first comes what they are in the other one.

    Raises:
        DataError: It cannot be looked at without using it up, or holds nothing.
    """
    item, rows_first = _first_item(data)
    ways = (_first_row, _with_batch) if rows_first else (_with_batch, _first_row)
    found = [_mapped(item, way) for way in ways]
    if layout is None or layout.upper() not in LAYOUTS:
        return found
    turned = [_mapped(sample, partial(_turned, layout=layout.upper())) for sample in found]
    return [*turned, *found]


def _first_item(data: Any) -> tuple[Any, bool]:
    """The first item, and whether its first axis rather holds samples than belongs to one."""
    if isinstance(data, (str, os.PathLike)):
        return _of_file(Path(data).expanduser()), True
    if isinstance(data, Mapping) or hasattr(data, "__array__"):
        return data, True
    kind = type(data).__name__
    if isinstance(data, Iterator):
        reason = "a generator can be walked over only once, and looking at its first sample would use that up."
        raise DataError(reason, subject=f"data ({kind})", hint=_GIVE)
    single = getattr(data, "batch_size", 1) is None and getattr(data, "batch_sampler", None) is None
    indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__")
    try:
        if indexed:
            return data[0], False
        items = data() if callable(data) and not isinstance(data, Iterable) else data
        return next(iter(items)), not single
    except (StopIteration, IndexError) as error:
        raise DataError("there are no samples.", subject=f"data ({kind})", hint="Give at least one sample.") from error
    except TypeError as error:
        raise DataError(f"a {kind} holds no samples: {error}.", subject="data", hint=_GIVE) from error


def _of_file(path: Path) -> Any:
    text, key = (str(path), None) if path.exists() else split_key(str(path))
    if Path(text).is_dir():
        raise DataError("pictures do not say what size the model takes.", subject=text, hint=_GIVE)
    try:
        loaded = np.load(text, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = [key] if key else list(loaded.files)
            arrays = {name: loaded[name] for name in names}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"cannot be read: {error}.", subject=text, hint="Give .npy or .npz.") from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _mapped(item: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(item, Mapping):
        return {name: _mapped(part, change) for name, part in item.items()}
    if isinstance(item, (tuple, list)) and any(is_part(part) for part in item):
        return tuple(_mapped(part, change) for part in item)
    if is_group(item) or isinstance(item, (str, bytes)) or item is None:
        return item
    return change(as_array(item, "the first sample"))


def _first_row(array: Any) -> Any:
    if array.ndim and not len(array):
        raise DataError("there are no samples.", subject="data", hint="Give at least one sample.")
    return array[:1] if array.ndim else array


def _with_batch(array: Any) -> Any:
    return array[None]


def _turned(array: Any, layout: str) -> Any:
    if array.ndim != len(layout):
        return array
    return np.moveaxis(array, -1, 1) if LAYOUTS[layout] == -1 else np.moveaxis(array, 1, -1)
