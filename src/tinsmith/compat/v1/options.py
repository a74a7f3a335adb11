"""What the toolkit's users choose, checked: bits, granularity, method, chip."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from tinsmith.errors import RecipeError
from tinsmith.recipe import Recipe
from tinsmith.targets import TARGETS, Target, find

BITS = {"int8": 8, "int16": 16}
GRANULARITIES = ("per-tensor", "per-channel")
METHODS: dict[str, Literal["minmax", "kl"]] = {"minmax": "minmax", "entropy": "kl"}
PROVIDERS = ("CPUExecutionProvider",)


@dataclass(frozen=True, slots=True)
class Options:
    """One way to quantize, as the toolkit names them.

    Attributes:
        quantization_bit: ``int8`` or ``int16``.
        granularity: ``per-tensor`` or ``per-channel``: how many exponents the weights of a layer have.
        calib_method: ``minmax`` or ``entropy``; empty where it is not asked for.

    Raises:
        RecipeError: One of them is unknown, or ``int16`` is to be anything but ``per-tensor`` and ``minmax``.
    """

    quantization_bit: str
    granularity: str = "per-tensor"
    calib_method: str = "minmax"

    def __post_init__(self) -> None:
        _one_of("quantization_bit", self.quantization_bit, BITS)
        _one_of("granularity", self.granularity, GRANULARITIES)
        _one_of("calib_method", self.calib_method, METHODS)
        for name, only in (("granularity", "per-tensor"), ("calib_method", "minmax")):
            if self.quantization_bit == "int16" and getattr(self, name) != only:
                reason = f"int16 knows {only} only, not {getattr(self, name)!r}."
                raise RecipeError(reason, subject=name, hint=f"Choose {only!r}, or 'int8'.")

    @property
    def bits(self) -> Literal[8, 16]:
        """8 or 16."""
        return 8 if self.quantization_bit == "int8" else 16

    def recipe(self, target: Target) -> Recipe:
        """The same for `tinsmith.quantize`: exponents only, since a table holds nothing else."""
        return Recipe(target=target.name, bits=self.bits, calibration=METHODS[self.calib_method], effort="fast")

    def serving(self, target: Target) -> Target:
        """The chip with as many exponents per layer as chosen."""
        return target if self.granularity == "per-channel" else replace(target, per_channel=False)

    def tell(self, target: Target) -> None:
        """Warns where the chip has not what was chosen."""
        if self.granularity == "per-channel" and not target.per_channel:
            several = ", ".join(name for name, chip in TARGETS.items() if chip.per_channel)
            warnings.warn(
                f"{target.name}: per-channel is per-tensor here, since this chip has one exponent for all weights of a "
                f"layer. Exponents per channel: {several}.",
                stacklevel=3,
            )


def chip(name: str) -> Target:
    """The chip of that name.

    Raises:
        RecipeError: There is none.
    """
    return find(name)


@cache
def kinds() -> tuple[Target, ...]:
    """One chip of each kind, where those that differ in no more than their names are of one kind."""
    found: dict[Target, Target] = {}
    for target in TARGETS.values():
        plain = _plain(target)
        if not any(plain == _plain(other) for other in found.values()):
            found[target] = target
    return tuple(found.values())


def kind(target: Target) -> Target:
    """The chip that stands for this one in a table."""
    return next(one for one in kinds() if _plain(one) == _plain(target))


def check_providers(providers: str | Iterable[str]) -> None:
    """Accepts ONNX Runtime's execution providers, of which the processor is used.

    Raises:
        RecipeError: There is none in the list.
    """
    names = [providers] if isinstance(providers, str) else list(providers)
    if not names or not all(str(name).endswith("ExecutionProvider") for name in names):
        hint = "Give names of ONNX Runtime, such as ['CPUExecutionProvider']."
        raise RecipeError(f"{names} are no execution providers.", subject="providers", hint=hint)
    others = [name for name in names if name not in PROVIDERS]
    if others:
        warnings.warn(f"{', '.join(others)}: not needed; everything runs on the processor.", stacklevel=3)


def _plain(target: Target) -> Target:
    return replace(target, name="", family="", since=TARGETS["esp32s3"].since)


def _one_of(subject: str, value: object, known: Iterable[str]) -> None:
    names: Sequence[str] = tuple(known)
    if value in names:
        return
    close = difflib.get_close_matches(str(value), names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(map(repr, names))}."
    raise RecipeError(f"{value!r} is unknown.", subject=subject, hint=hint)
