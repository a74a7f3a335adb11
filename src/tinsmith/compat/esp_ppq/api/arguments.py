"""The arguments that all quantizing functions share, checked before anything runs."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.platforms import refused
from tinsmith.errors import RecipeError
from tinsmith.targets import Target, find

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting

OF_FILES = ("metadata_props", "model_version", "encrypt_data")
"""Keyword arguments that say what is in the file."""
KNOWN = ("hi_precision", "int16_lut_step", *OF_FILES)
_STREAMING = ("auto_streaming", "streaming_table", "streaming_input_shape", "streaming_custom_passes")
_WIDTHS: Mapping[Any, int] = {8: 8, 16: 16, "w8a8": 8, "w16a16": 16}


@dataclass(slots=True)
class Arguments:
    """What was asked for.

    Attributes:
        target: The chip.
        bits: Of layers nothing else is said about.
        setting: The setting, if there is one.
        extra: Keyword arguments of the file.
        notes: What to tell the user.
        platforms: By operator name, beside those of the setting.
        dispatcher: Its name, where it is not the usual one.
    """

    target: Target
    bits: int
    setting: QuantizationSetting | None
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    platforms: dict[str, Any] = field(default_factory=dict)
    dispatcher: str = "allin"

    @classmethod
    def checked(
        cls,
        target: str,
        num_of_bits: int,
        quant_type: str | None,
        setting: QuantizationSetting | None,
        streaming: Iterable[Any],
        kwargs: Mapping[str, Any],
    ) -> Arguments:
        """The arguments.

        Raises:
            RecipeError: One is unknown, or cannot be had.
        """
        for name, value in zip(_STREAMING, streaming, strict=True):
            if value:
                reason = "models that keep state between frames are not made yet; files that have it are simulated."
                raise RecipeError(reason, subject=name, hint="Leave it out: the whole window is computed each time.")
        extra_options(kwargs, KNOWN, "quantization", _named())
        bits = width_of(num_of_bits, "num_of_bits") if quant_type is None else width_of(quant_type)
        notes = []
        if kwargs.get("int16_lut_step") is not None:
            notes.append("int16_lut_step: the table that the chip needs is written, whatever it says.")
        return cls(find(target), bits, setting, dict(kwargs), notes)

    @property
    def dispatches(self) -> bool:
        """Whether some operators are to run elsewhere than the rest."""
        table = getattr(self.setting, "dispatching_table", None)
        return bool(self.platforms) or bool(getattr(table, "dispatchings", None))

    def dispatched(self, override: Mapping[str, Any] | None, method: str) -> None:
        """Take in the older way to dispatch."""
        self.platforms = dict(override or {})
        self.dispatcher = method


def width_of(quant_type: Any, subject: str = "quant_type") -> int:
    """8 or 16.

    Raises:
        RecipeError: It stands for neither; ``w8a16`` by name.
    """
    name = quant_type.lower() if isinstance(quant_type, str) else quant_type
    if name in _WIDTHS and not isinstance(name, bool):
        return _WIDTHS[name]
    if name == "w8a16":
        raise refused(TargetPlatform.ESPDL_W8A16, subject)
    if name == "none":
        raise refused(TargetPlatform.FP32, subject)
    raise RecipeError(f"there is no {quant_type!r}.", subject=subject, hint="Use 8 or 16, 'w8a8' or 'w16a16'.")


def extra_options(kwargs: Mapping[str, Any], known: Iterable[str], subject: str, named: Iterable[str] = ()) -> None:
    """Refuse keyword arguments that nothing here knows.

    Args:
        kwargs: What was given beside the arguments that have a name.
        known: Those that may be.
        subject: What they were given to.
        named: Further names that may have been meant.

    Raises:
        RecipeError: Names the closest one that is known.
    """
    for name in kwargs:
        if name not in known:
            close = difflib.get_close_matches(name, [*known, *named], n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Others are {', '.join(known)}."
            raise RecipeError(f"there is no argument {name!r}.", subject=subject, hint=hint)


def _named() -> list[str]:
    """The arguments that quantizing functions name."""
    from tinsmith.compat.esp_ppq.api.espdl_interface import espdl_quantize_torch

    return [name for name in inspect.signature(espdl_quantize_torch).parameters if name != "kwargs"]
