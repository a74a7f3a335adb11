"""What scripts give as data, as tinsmith takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from tinsmith.errors import DataError, RecipeError

if TYPE_CHECKING:
    import onnx_ir as ir


def batches(loader: Any, steps: Any, collate_fn: Callable[[Any], Any] | None = None) -> Callable[[], Iterator[Any]]:
    """The first batches of a loader, as often as somebody walks over them.

    Args:
        loader: Anything that can be iterated over.
        steps: How many batches; None for all.
        collate_fn: Applied to each.

    Raises:
        DataError: Nothing can be iterated over.
        RecipeError: `steps` is no positive number.
    """
    if not isinstance(loader, Iterable) and not (hasattr(loader, "__getitem__") and hasattr(loader, "__len__")):
        hint = "Give a torch DataLoader, or a list of arrays."
        raise DataError(f"a {type(loader).__name__} holds no samples.", subject="calib_dataloader", hint=hint)
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise RecipeError(f"is {steps!r}.", subject="calib_steps", hint="Give the number of batches, such as 32.")
    source = list(islice(loader, steps)) if isinstance(loader, Iterator) else loader

    def calib_dataloader() -> Iterator[Any]:
        items = source if isinstance(source, Iterable) else (source[index] for index in range(len(source)))
        for item in islice(items, steps):
            yield item if collate_fn is None else collate_fn(item)

    return calib_dataloader


def input_shapes(model: ir.Model, given: Any, inputs: Any = None) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Shapes of the inputs that the model leaves open.

    Args:
        model: The float model.
        given: `input_shape` of a script: one shape, or one for each input.
        inputs: Samples of the inputs, where the script gives them.

    Returns:
        Shapes by input name, batch 1, and what to tell the user.

    Raises:
        RecipeError: It is no shape, or the number of shapes or dimensions is not the model's.
        DataError: A shape is not the model's.
    """
    ends = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    shapes = shapes_of(given) if given is not None else [tuple(one.shape) for one in parts(inputs)]
    if not shapes:
        return {}, []
    if len(shapes) != len(ends):
        names = ", ".join(repr(value.name) for value in ends)
        raise RecipeError(f"has {len(shapes)} shapes, the model {len(ends)} inputs: {names}.", subject="input_shape")
    found: dict[str, tuple[int, ...]] = {}
    notes: list[str] = []
    for value, shape in zip(ends, shapes, strict=True):
        dims = None if value.shape is None else tuple(d if isinstance(d, int) else None for d in value.shape)
        if dims is None or None in dims:
            found[value.name or ""] = _resolved(value.name or "", dims, shape, notes)
        elif tuple(dims) != shape:
            reason = f"{shape} is not the shape of input {value.name!r}, {tuple(dims)}."
            raise DataError(reason, subject="input_shape", hint="Leave the batch at 1.")
    return found, notes


def _resolved(
    name: str, dims: Sequence[int | None] | None, shape: tuple[int, ...], notes: list[str]
) -> tuple[int, ...]:
    if dims is None:
        return shape
    fits = len(dims) == len(shape) and all(d in (None, s) for d, s in zip(dims, shape, strict=True))
    if not fits:
        known = tuple("?" if dim is None else dim for dim in dims)
        raise DataError(f"{shape} does not fit input {name!r}, {known}.", subject="input_shape")
    if dims[0] is None and shape[0] != 1 and len(shape) > 1:
        notes.append(f"input_shape: the batch of {name!r} is 1 on the chip, not {shape[0]}.")
        return (1, *shape[1:])
    return shape


def shapes_of(given: Any) -> list[tuple[int, ...]]:
    """The shapes that a script gives: one, or one for each input.

    Raises:
        RecipeError: It is none.
    """
    try:
        several = list(given)
        shapes = [tuple(several)] if all(isinstance(one, int) for one in several) else [tuple(one) for one in several]
    except TypeError:
        shapes = [()]
    if not shapes or any(not shape or any(type(dim) is not int or dim < 1 for dim in shape) for shape in shapes):
        hint = "Give a list such as [1, 3, 224, 224], or one for each input."
        raise RecipeError(f"{given!r} is no shape.", subject="input_shape", hint=hint)
    return shapes


def batched(model: ir.Model, given: Any) -> list[tuple[int, ...]]:
    """Shapes with their batch, which a script may have left out.

    Args:
        model: The float model.
        given: One shape, or one for each input.

    Raises:
        RecipeError: It is no shape.
    """
    ends = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    shapes = shapes_of(given)
    ranks = [None if value.shape is None else len(value.shape) for value in ends]
    lacking = len(shapes) != len(ends) or any(len(s) + 1 == rank for s, rank in zip(shapes, ranks, strict=True))
    return [(1, *shape) for shape in shapes] if lacking or None in ranks else shapes


def parts(inputs: Any) -> list[Any]:
    """The inputs of one sample, in order: of a list, of a dictionary's values, or the one there is."""
    if inputs is None:
        return []
    if isinstance(inputs, Mapping):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def feeds(inputs: Any, names: Sequence[str]) -> dict[str, Any]:
    """Inputs of a network by name.

    Args:
        inputs: A tensor or an array, several in a list, or a dictionary by name.
        names: Of the network's inputs.

    Raises:
        DataError: Names or numbers do not fit.
    """
    from tinsmith.calibrate.inputs import as_array

    given = inputs if isinstance(inputs, Mapping) else None
    if given is None:
        items = parts(inputs)
        if len(items) != len(names):
            raise DataError(f"{len(items)} were given, the graph has {len(names)}: {list(names)}.", subject="inputs")
        given = dict(zip(names, items, strict=True))
    missing, unknown = [n for n in names if n not in given], [n for n in given if n not in names]
    if missing or unknown:
        told = [f"{word} {found}" for word, found in (("lacks", missing), ("has unknown", unknown)) if found]
        raise DataError(f"{' and '.join(told)}; the graph's inputs are {list(names)}.", subject="inputs")
    return {name: as_array(given[name], f"input {name!r}") for name in names}
