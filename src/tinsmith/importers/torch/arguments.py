"""The arguments of a module's ``forward``: what users give, bound to names and turned into tensors."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tinsmith.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """Arguments of one call: tensors, nested in tuples, lists and dicts, and other objects.

    Attributes:
        args: By position.
        kwargs: Those that can only be given by name.
        names: Of ``args``.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    names: tuple[str, ...]

    def named_leaves(self) -> dict[str, Any]:
        """The tensors by name: of the argument, and of the place in it where it holds several."""
        parts = [*zip(self.names, self.args, strict=True), *self.kwargs.items()]
        return {name: leaf for prefix, value in parts for name, leaf in named_tensors(value, prefix)}

    def changed(self, change: Callable[[Any], Any]) -> Call:
        """The call with other tensors."""
        args = tuple(_mapped(value, change) for value in self.args)
        return Call(args, {name: _mapped(value, change) for name, value in self.kwargs.items()}, self.names)

    @property
    def shapes(self) -> str:
        """Of its tensors, for messages."""
        return ", ".join(f"{name} {tuple(leaf.shape)}" for name, leaf in self.named_leaves().items())


def is_tensor(value: Any) -> bool:
    """Whether a value is an array or a tensor of some library."""
    return hasattr(value, "__array__") and hasattr(value, "shape")


def named_tensors(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """The tensors in tuples, lists and dicts, one after the other, each with a name."""
    if is_tensor(value):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from named_tensors(inner, f"{prefix}_{key}" if prefix else str(key))
    elif isinstance(value, (tuple, list)):
        for index, inner in enumerate(value):
            yield from named_tensors(inner, f"{prefix}_{index}" if prefix else str(index))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if is_tensor(value):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(inner, change) for inner in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(inner, change) for inner in value)
    return value


class Maker:
    """Makes calls of a module.

    Args:
        torch: The package.
        module: Its parameters say on which device tensors go, and as which floats.
        subject: What messages call the model.
    """

    def __init__(self, torch: ModuleType, module: Any, subject: str) -> None:
        self._torch = torch
        self._subject = subject
        self._signature = _signature(torch, module)
        tensors = [*module.parameters(), *module.buffers()]
        floats = (tensor.dtype for tensor in tensors if tensor.is_floating_point())
        self._dtype = next(floats, torch.float32)
        self._device = tensors[0].device if tensors else torch.device("cpu")

    def given(self, example: Any) -> Call:
        """The call that a user asks for.

        Raises:
            ModelError: An argument is unknown.
        """
        return self._bound(example).changed(self._tensor)

    def of_shapes(self, shapes: Mapping[str, Sequence[int]]) -> Iterator[Call]:
        """Calls with floats of some shapes, and with integers, which is what an embedding takes.

        Raises:
            ModelError: An argument is unknown.
        """
        generator = self._torch.Generator().manual_seed(0)
        floats = {name: self._torch.rand(tuple(shape), generator=generator) for name, shape in shapes.items()}
        call = self._bound(floats).changed(self._like_parameters)
        yield call
        yield call.changed(lambda leaf: self._torch.zeros_like(leaf, dtype=self._torch.int64))

    def of_sample(self, item: Any) -> Iterator[Call]:
        """Calls with a sample of data, behind which labels may stand; integers are offered as floats, too."""
        for arguments in self._arguments(item):
            try:
                call = self._bound(arguments).changed(self._tensor)
            except (ModelError, TypeError):  # a dict with other names; too few
                continue
            floats = call.changed(self._like_parameters)
            if not all(leaf.is_floating_point() for leaf in call.named_leaves().values()):
                yield call
            yield floats

    def _arguments(self, item: Any) -> Iterator[Any]:
        if not isinstance(item, (tuple, list)):
            yield item
            if isinstance(item, Mapping):  # a dict of inputs and labels
                known = {name: value for name, value in item.items() if name in self._signature.parameters}
                if known and len(known) < len(item):
                    yield known
            return
        if len(item) in (1, 2) and isinstance(item[0], (tuple, list, Mapping)):
            yield from self._arguments(item[0])
        needed = [one for one in self._positional() if one.default is one.empty]
        counts = [len(needed), *range(len(item), 0, -1)] if len(item) <= len(needed) + 1 else range(len(item), 0, -1)
        for count in dict.fromkeys(count for count in counts if 0 < count <= len(item)):
            yield tuple(item[:count])

    def _positional(self) -> list[inspect.Parameter]:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return [one for one in self._signature.parameters.values() if one.kind in kinds]

    def _bound(self, example: Any) -> Call:
        """Arguments in the order in which ``forward`` has them."""
        try:
            if isinstance(example, Mapping):
                bound = self._bound_by_name(example)
            elif isinstance(example, (tuple, list)):
                bound = self._signature.bind(*example)
            else:
                bound = self._signature.bind(example)
        except TypeError as error:
            hint = f"It takes {self.described()}."
            raise ModelError(f"cannot be called like this: {error}.", subject=self._subject, hint=hint) from error
        names: list[str] = []
        for one in self._signature.parameters.values():
            if one.kind is one.VAR_POSITIONAL:
                names += [f"{one.name}_{index}" for index in range(len(bound.args) - len(names))]
            elif len(names) < len(bound.args):
                names.append(one.name)
        return Call(bound.args, bound.kwargs, tuple(names))

    def _bound_by_name(self, example: Mapping[str, Any]) -> inspect.BoundArguments:
        known = self._signature.parameters
        if set(example) <= set(known) or any(one.kind is one.VAR_KEYWORD for one in known.values()):
            return self._signature.bind(**example)
        if any(one.kind is one.VAR_POSITIONAL for one in known.values()) and len(known) == 1:
            return self._signature.bind(*example.values())
        unknown = next(name for name in example if name not in known)
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It takes {self.described()}."
        raise ModelError(f"has no argument {unknown!r}.", subject=self._subject, hint=hint)

    def described(self) -> str:
        """The names of the arguments, for messages."""
        return ", ".join(self._signature.parameters) or "no arguments"

    def _tensor(self, value: Any) -> Any:
        """A tensor of its own on the model's device; NumPy's doubles, which nobody asked for, as the model's floats."""
        if isinstance(value, self._torch.Tensor):
            return value.detach().to(self._device, copy=True)
        array = np.array(value, order="C")
        tensor = self._torch.from_numpy(array)
        return tensor.to(self._device, self._dtype if array.dtype == np.float64 else tensor.dtype)

    def _like_parameters(self, tensor: Any) -> Any:
        return tensor.to(self._device, self._dtype)


def _signature(torch: ModuleType, module: Any) -> inspect.Signature:
    """Of ``forward``, without ``self``."""
    if isinstance(module, torch.jit.ScriptModule):
        described = module.forward.schema.arguments[1:]
        kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
        return inspect.Signature(
            [inspect.Parameter(one.name, kind, default=None if one.has_default_value() else empty) for one in described]
        )
    return inspect.signature(module.forward)
