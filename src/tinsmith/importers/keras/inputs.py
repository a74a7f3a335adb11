"""What a Keras model takes: names, shapes and types of its inputs, with one sample in the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tinsmith.errors import ModelError
from tinsmith.importers.hints import Hints

_CALL = "Call it once with an array of its input's shape, or load trained weights into it."
_GIVE = "Give example_input: an array with its batch axis, a list of them, or a dict by name."


@dataclass(frozen=True, slots=True)
class Input:
    """An input.

    Attributes:
        name: As in Keras.
        shape: With the batch axis; None where an axis is open.
        dtype: Keras' name of its type.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """How a model is called.

    Attributes:
        inputs: In order, with static shapes.
        structure: What the model is called with: nested lists and dicts of anything, an element for each input.
    """

    inputs: tuple[Input, ...]
    structure: Any


def call_of(keras: ModuleType, model: Any, hints: Hints, subject: str) -> Call:
    """How the model is called with one sample.

    Args:
        keras: The package.
        model: The model.
        hints: Shapes by name, or an example, for what the model leaves open.
        subject: What messages call the model.

    Raises:
        ModelError: Neither the model nor the hints say what it takes; a shape contradicts it.
    """
    given = hints.example_input
    if not model.built:
        raise ModelError("it was never called, so it has no weights.", subject=subject, hint=_CALL)
    declared, structure = _declared(model)
    if not declared:
        if given is None:
            raise ModelError("it does not say what it takes.", subject=subject, hint=_GIVE)
        declared, structure = _of_example(keras, given), given
    shapes = _shapes(keras, declared, given, hints, subject)
    return Call(tuple(_settled(one, shapes.get(one.name), subject) for one in declared), structure)


def _declared(model: Any) -> tuple[tuple[Input, ...], Any]:
    """What the model itself says; nothing for a subclass that was never called."""
    tensors = getattr(model, "inputs", None)
    if tensors:
        names = [_name(tensor) for tensor in tensors]
        inputs = tuple(
            Input(name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in zip(names, tensors, strict=True)
        )
        # A Sequential model has no structure: it takes one tensor.
        return inputs, getattr(model, "input", 0)
    # What it was called with first: the batch may be any.
    built = model.get_build_config()
    shape = (built or {}).get("input_shape")
    if isinstance(shape, (tuple, list)) and all(extent is None or isinstance(extent, int) for extent in shape):
        return (Input("input", (None, *shape[1:]), str(model.input_dtype)),), 0
    if isinstance(shape, Mapping) and all(isinstance(one, (tuple, list)) for one in shape.values()):
        names = list(shape)
        return tuple(Input(name, (None, *shape[name][1:]), str(model.input_dtype)) for name in names), dict.fromkeys(
            names, 0
        )
    return (), None


def _name(tensor: Any) -> str:
    """The name of an input's layer, which files keep; an Input without a name calls its tensor something else."""
    history = getattr(tensor, "_keras_history", None)
    return str(history.operation.name if history else tensor.name)


def _of_example(keras: ModuleType, given: Any) -> tuple[Input, ...]:
    arrays = [np.asarray(keras.ops.convert_to_numpy(leaf)) for leaf in keras.tree.flatten(given)]
    names = list(given) if isinstance(given, Mapping) else ["input"]
    if len(names) != len(arrays):
        names = [f"input_{number}" for number in range(len(arrays))]
    pairs = zip(sorted(names) if isinstance(given, Mapping) else names, arrays, strict=True)
    return tuple(Input(name, (None, *array.shape[1:]), _dtype(array)) for name, array in pairs)


def _dtype(array: np.ndarray[Any, Any]) -> str:
    return "float32" if array.dtype.kind == "f" else str(array.dtype)


def _shapes(
    keras: ModuleType, declared: Sequence[Input], given: Any, hints: Hints, subject: str
) -> Mapping[str, Sequence[int]]:
    """Shapes from the hints by name."""
    names = [one.name for one in declared]
    for name in hints.input_shapes:
        if name not in names:
            known = ", ".join(map(repr, names))
            raise ModelError(f"there is no input {name!r}.", subject=subject, hint=f"Its inputs: {known}.")
    if given is None:
        return {**_sampled(keras, declared, hints), **hints.input_shapes}
    leaves = keras.tree.flatten(given)
    if len(leaves) != len(names):
        raise ModelError(
            f"the example input has {len(leaves)} arrays, and the model takes {len(names)}.",
            subject=subject,
            hint=_GIVE,
        )
    if isinstance(given, Mapping) and set(given) == set(names):
        shapes = {name: tuple(np.shape(given[name])) for name in names}
    else:
        shapes = {name: tuple(np.shape(leaf)) for name, leaf in zip(names, leaves, strict=True)}
    return {**{name: (1, *shape[1:]) for name, shape in shapes.items()}, **hints.input_shapes}


def _sampled(keras: ModuleType, declared: Sequence[Input], hints: Hints) -> Mapping[str, Sequence[int]]:
    """Shapes of the first sample of the data, where an axis is open and nothing else says what it is."""
    is_open = any(None in one.shape[1:] and one.name not in hints.input_shapes for one in declared)
    for item in hints.first_sample() if is_open and hints.first_sample is not None else ():
        if isinstance(item, Mapping):
            leaves = [item[one.name] for one in declared if one.name in item]
        else:
            # Labels stand behind.
            leaves = keras.tree.flatten(item)[: len(declared)]
        shapes = [tuple(np.shape(leaf)) for leaf in leaves]
        if len(shapes) == len(declared) and all(map(_fits, declared, shapes)):
            return {one.name: shape for one, shape in zip(declared, shapes, strict=True)}
    return {}


def _fits(one: Input, shape: Sequence[int]) -> bool:
    own = one.shape
    return len(shape) == len(own) and all(
        mine is None or mine == theirs for mine, theirs in zip(own, shape, strict=True)
    )


def _settled(one: Input, shape: Sequence[int] | None, subject: str) -> Input:
    """An input with a static shape: the given one, or its own where that is known."""
    place = f"{subject}, input {one.name!r}"
    if not one.shape or not all(kind not in one.dtype for kind in ("string", "complex")):
        raise ModelError(f"a {one.dtype} of shape {one.shape} is no tensor of numbers.", subject=place)
    own = (1 if one.shape[0] is None else one.shape[0], *one.shape[1:])
    if shape is not None:
        if not _fits(one, shape):
            raise ModelError(f"the shape {tuple(shape)} does not fit the model's {one.shape}.", subject=place)
        own = tuple(shape)
    if None in own:
        example = ",".join("…" if extent is None else str(extent) for extent in own)
        raise ModelError(
            f"its shape {one.shape} leaves axes open.",
            subject=place,
            hint=f"Give the whole shape: --input-shape {one.name}={example}, or input_shapes in the recipe.",
        )
    if own[0] != 1:
        raise ModelError(
            f"the batch is fixed to {own[0]}, and the chip computes one sample at a time.",
            subject=place,
            hint="Build the model with a batch size of 1 or None.",
        )
    return Input(one.name, own, one.dtype)
