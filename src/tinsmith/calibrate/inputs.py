"""One sample of one input: checked, arranged and scaled into what the model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import DTypeLike, NDArray

from tinsmith.errors import DataError, ModelError, RecipeError

Array = NDArray[Any]

LAYOUTS = {"NCHW": 1, "NHWC": -1, "NCW": 1, "NWC": -1}
"""Axis of the channels, by the name users give."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A graph input.

    Attributes:
        name: As in the model.
        shape: Static, with batch 1, in the model's order.
        dtype: Of the model's input.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DTypeLike = np.float32

    @property
    def batched(self) -> bool:
        """Whether the first axis is the batch."""
        return bool(self.shape) and self.shape[0] == 1


def input_specs(model: ir.Model) -> tuple[InputSpec, ...]:
    """The graph inputs of a canonical model.

    Raises:
        ModelError: An input without a static shape or a numeric type.
    """
    specs = []
    for value in model.graph.inputs:
        extents = [] if value.shape is None else [extent for extent in value.shape if isinstance(extent, int)]
        if value.shape is None or value.dtype is None or len(extents) != len(value.shape):
            reason = f"has no static shape and type: {value.shape}, {value.dtype}."
            raise ModelError(reason, subject=f"input {value.name!r}", hint="Give its shape.")
        specs.append(InputSpec(value.name or "", tuple(extents), value.dtype.numpy()))
    return tuple(specs)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to every sample of an input: reorder, ``(x - mean) / std``, cast, check.

    Attributes:
        spec: What the model takes.
        layout: Order of the data's axes, a key of ``LAYOUTS``; None where it is the model's.
        mean: In the units of the data, one number or one per channel; None for 0.
        std: Likewise; None for 1.
    """

    spec: InputSpec
    layout: str | None = None
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None
    _mean: Array | None = field(init=False, default=None, repr=False)
    _std: Array | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.layout is not None and (self.layout not in LAYOUTS or len(self.layout) != len(self.spec.shape)):
            reason = f"{self.layout!r} does not describe input {self.spec.name!r} of shape {self.spec.shape}."
            raise RecipeError(reason, subject="layout", hint=f"Choose one of {', '.join(LAYOUTS)}, of the same rank.")
        object.__setattr__(self, "_mean", self._per_channel("mean", self.mean))
        object.__setattr__(self, "_std", self._per_channel("std", self.std))
        if self._std is not None and not (self._std > 0).all():
            raise RecipeError("must be positive.", subject="std")

    def _per_channel(self, option: str, given: Sequence[float] | float | None) -> Array | None:
        if given is None:
            return None
        numbers = np.atleast_1d(np.asarray(given, dtype=np.float32))
        if np.dtype(self.spec.dtype).kind != "f":
            raise RecipeError(f"input {self.spec.name!r} holds integers.", subject=option)
        if numbers.ndim != 1 or not np.isfinite(numbers).all():
            raise RecipeError("must be a finite number, or one per channel.", subject=option)
        if numbers.size == 1:
            return numbers
        shape = self.spec.shape
        for axis in (self.channel_axis, -1 if self.channel_axis == 1 else 1):
            if shape and shape[axis % len(shape)] == numbers.size:
                return numbers.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])
        reason = f"has {numbers.size} entries; input {self.spec.name!r} is {shape}."
        raise RecipeError(reason, subject=option, hint="Give one number, or one per channel.")

    @property
    def channel_axis(self) -> int:
        """Where the model has its channels: axis 1, or the last where that is small (1…4) and axis 1 is not."""
        shape = self.spec.shape
        if len(shape) < 3:
            return -1
        return -1 if shape[-1] <= 4 < shape[1] else 1

    def __call__(self, raw: Any, label: str) -> Array:
        """The model's input.

        Args:
            raw: Anything numpy can read, with or without the batch axis.
            label: What messages call the sample.

        Returns:
            A new C-contiguous array of the spec's shape and dtype.

        Raises:
            DataError: Wrong shape, type or order, NaN or an infinity.
        """
        array = self._arranged(as_array(raw, label), label)
        dtype = np.dtype(self.spec.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            if self._mean is not None or self._std is not None:
                array = array.astype(np.float32)
                array = array if self._mean is None else array - self._mean
                array = array if self._std is None else array / self._std
            result = np.array(array, dtype=dtype, order="C")
        self._check(array, result, label)
        return result

    def _arranged(self, array: Array, label: str) -> Array:
        shape = self.spec.shape
        full = array[None] if self.spec.batched and array.ndim == len(shape) - 1 else array
        if self.layout is None or full.ndim != len(shape):
            orders = [full]
        else:
            orders = [full, _turned(full, self.layout)]
            if LAYOUTS[self.layout] != self.channel_axis:
                orders.reverse()
        for order in orders:
            if order.shape == shape:
                return order
        raise DataError(
            f"input {self.spec.name!r} has shape {array.shape}, the model takes {shape}.",
            subject=label,
            hint=self._hint(full),
        )

    def _hint(self, full: Array) -> str:
        if self.layout is None and full.ndim == len(self.spec.shape) >= 3:
            for layout in ("NHWC", "NCHW") if full.ndim == 4 else ("NWC", "NCW"):
                if _turned(full, layout).shape == self.spec.shape:
                    return f"The data looks like {layout}: give layout={layout!r} to have it transposed."
        return ""

    def _check(self, array: Array, result: Array, label: str) -> None:
        if result.dtype.kind == "f":
            finite = np.isfinite(result)
            if not finite.all():
                place = tuple(int(i) for i in np.argwhere(~finite)[0])
                raise DataError(f"input {self.spec.name!r} holds {array[place]} at {place}.", subject=label)
        elif not np.array_equal(result, array):
            reason = f"input {self.spec.name!r} takes {result.dtype}, which does not hold the data ({array.dtype})."
            raise DataError(reason, subject=label)


def _turned(array: Array, layout: str) -> Array:
    """Data of this layout in the other order of channels."""
    return np.moveaxis(array, -1, 1) if LAYOUTS[layout] == -1 else np.moveaxis(array, 1, -1)


def as_array(raw: Any, label: str) -> Array:
    """A numpy array of anything that can become one: lists of numbers, tensors of other libraries on any device.

    Raises:
        DataError: It is no array of numbers.
    """
    tensor = raw
    for step in ("detach", "cpu"):
        if not isinstance(tensor, np.ndarray) and callable(getattr(tensor, step, None)):
            tensor = getattr(tensor, step)()
    try:
        array = _numpy(tensor)
    except Exception as error:  # whatever the library behind __array__ raises
        raise DataError(f"{type(raw).__name__} cannot be read as an array: {error}.", subject=label) from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"holds {array.dtype}, not numbers (a {type(raw).__name__}).", subject=label)
    return array


def _numpy(tensor: Any) -> Array:
    """As NumPy reads it, or as float32 where NumPy lacks the type (PyTorch's bfloat16)."""
    try:
        return np.asarray(tensor)
    except Exception:  # whatever the library behind __array__ raises
        if not callable(getattr(tensor, "float", None)):
            raise
        return np.asarray(tensor.float())
