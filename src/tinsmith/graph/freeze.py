"""Static input shapes: the batch becomes 1, other open dimensions come from the user."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from tinsmith.errors import ModelError, UnsupportedError

_BATCH = re.compile(r"(n|b|bs|.*batch.*)", re.IGNORECASE)
_NOT_BATCH = re.compile(r"(t|l|s|h|w|c|.*(seq|time|len|frame|step|height|width|token|channel).*)", re.IGNORECASE)

Dim = int | str | None


def freeze(graph: ir.Graph, input_shapes: Mapping[str, Sequence[int]]) -> None:
    """Gives every input a static shape and forgets all other shapes, which inference finds again.

    A dimension that has a number in the file keeps it, unless the user gives another. An open dimension takes, in this
    order: the user's number; the number its name has elsewhere; 1 if it is the batch. The batch is the dimension with
    a name like ``N`` or ``batch_size``, else the first one unless its name says otherwise (``seq_len``).

    Args:
        graph: The graph, changed in place.
        input_shapes: Shapes by input name.

    Raises:
        ModelError: An input is unknown, a shape has the wrong rank or a number below 1, or a dimension stays open.
        UnsupportedError: An input is not a tensor.
    """
    inputs = {value.name or "": value for value in graph.inputs}
    for name in input_shapes:
        if name not in inputs:
            close = difflib.get_close_matches(name, inputs, n=1) or list(inputs)
            raise ModelError(
                f"the model has no input {name!r}.", subject="--input-shape", hint=f"Its inputs: {', '.join(close)}."
            )
    known = {name: _dims(value) for name, value in inputs.items()}
    numbers: dict[str, int] = {}
    for name, shape in input_shapes.items():
        _check(name, known[name], shape)
        _bind(name, known[name], shape, numbers)
    for name, dims in known.items():
        if dims is not None and name not in input_shapes:
            batch = _batch_axis(dims)
            if batch is not None and isinstance(dims[batch], str):
                numbers.setdefault(str(dims[batch]), 1)
    forget_shapes(graph)
    for name, value in inputs.items():
        given = input_shapes.get(name)
        shape = tuple(int(dim) for dim in given) if given is not None else _resolve(name, known[name], numbers)
        value.shape = ir.Shape(shape)


def _dims(value: ir.Value) -> tuple[Dim, ...] | None:
    """Numbers, names, or None for dimensions without either; None where not even the rank is known."""
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        raise UnsupportedError("the input is not a tensor.", subject=repr(value.name))
    if value.shape is None:
        return None
    dims = ((dim if dim >= 0 else None) if isinstance(dim, int) else dim.value for dim in value.shape)
    return tuple(dim if isinstance(dim, int) else (str(dim) if dim else None) for dim in dims)


def _check(name: str, dims: tuple[Dim, ...] | None, shape: Sequence[int]) -> None:
    if dims is not None and len(shape) != len(dims):
        raise ModelError(
            f"the shape {_text(shape)} has {len(shape)} dimensions, the input has {len(dims)}: {_text(dims)}.",
            subject=f"--input-shape {name}",
        )
    if any(int(dim) < 1 for dim in shape):
        raise ModelError(f"the shape {_text(shape)} has a dimension below 1.", subject=f"--input-shape {name}")


def _bind(name: str, dims: tuple[Dim, ...] | None, shape: Sequence[int], numbers: dict[str, int]) -> None:
    for dim, number in zip(dims or (), shape, strict=False):
        if isinstance(dim, str) and numbers.setdefault(dim, int(number)) != int(number):
            raise ModelError(
                f"dimension {dim!r} would be both {numbers[dim]} and {number}.", subject=f"--input-shape {name}"
            )


def _batch_axis(dims: tuple[Dim, ...]) -> int | None:
    opened = [axis for axis, dim in enumerate(dims) if not isinstance(dim, int)]
    for axis in opened:
        if _BATCH.fullmatch(str(dims[axis] or "")):
            return axis
    return 0 if 0 in opened and not _NOT_BATCH.fullmatch(str(dims[0] or "")) else None


def _resolve(name: str, dims: tuple[Dim, ...] | None, numbers: Mapping[str, int]) -> tuple[int, ...]:
    if dims is None:
        raise ModelError(
            "the shape of the input is not in the file.",
            subject=repr(name),
            hint=f"Give it, for example --input-shape {name}=1,3,96,96 (input_shapes={{{name!r}: (1, 3, 96, 96)}}).",
        )
    batch = _batch_axis(dims)
    shape: list[int] = []
    for axis, dim in enumerate(dims):
        number = dim if isinstance(dim, int) else numbers.get(str(dim)) if dim else None
        if number is None and axis == batch:
            number = 1
        if number is None:
            raise ModelError(
                f"dimension {axis} of the input ({dim or 'unnamed'}) is open; only the batch is frozen by itself.",
                subject=repr(name),
                hint=f"Give the shape: --input-shape {_example(name, dims, batch)}.",
            )
        if number == 0:
            raise ModelError(
                f"dimension {axis} of the input is 0: it has no elements.",
                subject=repr(name),
                hint=f"Give the shape, for example --input-shape {_example(name, dims, batch)}.",
            )
        shape.append(number)
    return tuple(shape)


def _example(name: str, dims: tuple[Dim, ...], batch: int | None) -> str:
    """The option with the numbers that are known, 96 in the place of the others."""
    return f"{name}=" + ",".join(
        str(dim) if isinstance(dim, int) and dim else ("1" if axis == batch else "96") for axis, dim in enumerate(dims)
    )


def _text(shape: Sequence[Dim]) -> str:
    return "×".join("?" if dim is None else str(dim) for dim in shape)


def forget_shapes(graph: ir.Graph) -> None:
    """Makes all shapes but those of inputs and constants unknown."""
    for node in graph.all_nodes():
        for value in node.outputs:
            value.shape = None
