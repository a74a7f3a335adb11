"""Calibration and evaluation data of any kind, as a stream of samples the model takes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinsmith.calibrate.files import npy_reader, npz_reader, split_key
from tinsmith.calibrate.images import image_reader
from tinsmith.calibrate.inputs import LAYOUTS, Array, InputSpec, Preparation
from tinsmith.calibrate.records import Reader, arrays_reader, iterable_reader
from tinsmith.errors import DataError, RecipeError

PerChannel = Sequence[float] | float


class DataSource:
    """Samples, one at a time, as often as wanted: ``{input name: array (1, …)}``.

    Memory does not grow with their number. A generator can be walked over only once; the second walk is an error.

    Args:
        reader: Where they come from.
        preparations: What is done to each input, by name.
        limit: The most samples to deliver.
    """

    def __init__(self, reader: Reader, preparations: Mapping[str, Preparation], limit: int | None = None) -> None:
        self._reader = reader
        self._preparations = preparations
        self._limit = limit
        self._walked = False

    @property
    def length(self) -> int | None:
        """How many samples there are; None where only walking over them tells."""
        known = self._reader.length
        return known if known is None or self._limit is None else min(known, self._limit)

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("the number of samples is not known before walking over them")
        return self.length

    def __iter__(self) -> Iterator[dict[str, Array]]:
        """Deliver the samples; see `labelled`."""
        return (sample for _, sample in self.labelled())

    def labelled(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """Deliver the samples, each with what messages call it.

        Raises:
            DataError: A sample is not what the model takes, there is none, or a generator is used up.
        """
        if self._reader.once and self._walked:
            raise DataError(
                "a generator can be walked over only once.",
                subject=self._reader.description,
                hint="Give a list, a loader, or a function that returns a new generator.",
            )
        self._walked = True
        return self._deliver()

    def _deliver(self) -> Iterator[tuple[str, dict[str, Array]]]:
        done = 0
        for label, raw in self._reader.records():
            if done == self._limit:
                return
            yield label, {name: prepare(raw[name], label) for name, prepare in self._preparations.items()}
            done += 1
        if not done:
            raise DataError("there are no samples.", subject=self._reader.description, hint="Give at least one sample.")

    def describe(self) -> str:
        """Where the samples come from and what is done to them, in one line."""
        parts = [self._reader.description]
        for name, preparation in self._preparations.items():
            options = {"layout": preparation.layout, "mean": preparation.mean, "std": preparation.std}
            given = ", ".join(f"{option} {value}" for option, value in options.items() if value is not None)
            parts += [f"{name}: {given}"] if given else []
        parts += [] if self._limit is None else [f"at most {self._limit}"]
        return "; ".join(parts)


def open_data(
    data: Any,
    inputs: Sequence[InputSpec],
    *,
    mean: PerChannel | None = None,
    std: PerChannel | None = None,
    size: int | Sequence[int] | None = None,
    color: str | None = None,
    layout: str | None = None,
    limit: int | None = None,
) -> DataSource:
    """Open calibration or evaluation data.

    Args:
        data: One of

            * a path: ``.npy`` (one input), ``.npz`` (an array per input, by name; ``data.npz:key`` for
              one of several), or a folder of images,
            * an array, or a dict of arrays by input name, samples along the first axis,
            * an iterable of samples or batches (a list, a DataLoader, a generator), or a dataset with ``__getitem__``
              and ``__len__``; each item an array, a dict by input name, or a tuple of inputs with or without a label,
            * a function that returns such an iterable, called for each walk.

            Samples may lack the batch axis. Tensors of other libraries are read through ``__array__``.
        inputs: The model's.
        mean: Subtracted first, in the data's units (0…255 for images): a number, or one per channel in the order the
            model gets them.
        std: Divides the difference.
        size: Of images, before the model's height × width is cut from the middle: the length of the shorter side, or
            (height, width). None: resized to the model's height × width, whatever the proportions.
        color: Of images: RGB, BGR or GRAY; None for RGB or gray, by the model's channels.
        layout: The order of the data's axes: NCHW, NHWC, NCW or NWC. Data in another order than the model's is
            transposed. Images need it only where the model's shape could be read both ways.
        limit: The most samples to use.

    Returns:
        The samples; those of files, arrays and images are counted, those of iterables not.

    Raises:
        DataError: The data cannot be read or does not fit the model. Single samples are checked as they are delivered.
        RecipeError: Options that contradict each other, the data or the model.
    """
    if not inputs:
        raise DataError("the model has no inputs.", subject="data")
    if limit is not None and limit < 1:
        raise RecipeError(f"is {limit}.", subject="limit", hint="Give at least 1.")
    order = None if layout is None else layout.upper()
    path = _path(data)
    if path is not None and path.is_dir():
        if len(inputs) != 1:
            reason = f"images serve models with one input, this one has {len(inputs)}."
            raise DataError(reason, subject=str(path), hint="Give dicts of arrays.")
        reader = image_reader(path, inputs[0], size=size, color=color, layout=order)
        return DataSource(reader, {inputs[0].name: Preparation(inputs[0], "NHWC", mean, std)}, limit)
    for option, value in (("size", size), ("color", color)):
        if value is not None:
            raise RecipeError("applies to folders of images only.", subject=option)
    reader = _file_reader(path, inputs) if path is not None else _memory_reader(data, inputs)
    return DataSource(reader, _preparations(inputs, order, mean, std), limit)


def _preparations(
    inputs: Sequence[InputSpec], layout: str | None, mean: PerChannel | None, std: PerChannel | None
) -> dict[str, Preparation]:
    """One for each input; the layout is for those of its rank."""
    if layout is not None and (layout not in LAYOUTS or all(len(spec.shape) != len(layout) for spec in inputs)):
        shapes = [spec.shape for spec in inputs]
        reason = f"{layout!r} does not describe inputs of {shapes}."
        raise RecipeError(reason, subject="layout", hint=f"Choose one of {', '.join(LAYOUTS)}, of the same rank.")
    ranked = {spec.name: layout if layout is not None and len(layout) == len(spec.shape) else None for spec in inputs}
    return {spec.name: Preparation(spec, ranked[spec.name], mean, std) for spec in inputs}


def _path(data: Any) -> Path | None:
    return Path(data).expanduser() if isinstance(data, (str, os.PathLike)) else None


def _file_reader(path: Path, inputs: Sequence[InputSpec]) -> Reader:
    text, key = (str(path), None) if path.exists() else split_key(str(path))
    path = Path(text)
    if not path.exists():
        raise DataError("there is no such file or folder.", subject=str(path))
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return npy_reader(path, inputs)
    if suffix == ".npz":
        return npz_reader(path, inputs, key)
    hint = "Give .npy, .npz or a folder of images."
    raise DataError(f"files ending in {suffix!r} are not read.", subject=str(path), hint=hint)


def _memory_reader(data: Any, inputs: Sequence[InputSpec]) -> Reader:
    if isinstance(data, Mapping) or hasattr(data, "__array__"):
        return arrays_reader(data, inputs)
    return iterable_reader(data, inputs)
