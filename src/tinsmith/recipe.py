"""What a user may choose, in one place: strict, and the same as TOML."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from tinsmith.errors import RecipeError
from tinsmith.targets import CURRENT, Version

Calibration = Literal["mse", "minmax", "percentile", "kl"]


def _several(value: Any) -> Any:
    """One number where several may stand."""
    return (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _extents(value: Any) -> int | tuple[int, int]:
    """The shorter side, or height and width."""
    parts = value if isinstance(value, (list, tuple)) else (value,)
    if len(parts) not in (1, 2) or any(type(part) is not int or part < 1 for part in parts):
        raise ValueError("should be height and width, or the length of the shorter side")
    return (parts[0], parts[1]) if len(parts) == 2 else int(parts[0])


def _version(text: str) -> str:
    """One spelling of each version."""
    try:
        return str(Version.of(text))
    except RecipeError as error:
        raise ValueError(f"{error.reason} {error.hint}".rstrip(". ")) from error


def _as_is(value: Any) -> Any:
    return value


# TOML has lists where Python has tuples; their elements stay strict.
_Extent = Annotated[int, Field(gt=0)]
_Numbers = Annotated[tuple[float, ...], Field(strict=False), BeforeValidator(_several)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]
_Shape = Annotated[tuple[_Extent, ...], Field(strict=False)]
_EspDl = Annotated[str, AfterValidator(_version)]
_Size = Annotated[int | tuple[int, int], PlainValidator(_extents), PlainSerializer(_as_is, return_type=Any)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Preprocessing(_Strict):
    """How pictures become samples: ``(x - mean) / std``, in pixel units 0…255.

    Attributes:
        mean: One number or one per channel.
        std: Likewise.
        size: What to scale to before the model's height and width are cut from the middle: the length of the shorter
            side, or height and width. By default the model's input, whatever the proportions.
        color: ``rgb``, ``bgr`` or ``gray``.
        layout: The data's order of axes: ``NCHW``, ``NHWC``, ``NCW`` or ``NWC``. For images, the model's, where its
            shape could be read both ways.
    """

    mean: _Numbers = ()
    std: _Numbers = ()
    size: _Size | None = None
    color: Literal["rgb", "bgr", "gray"] | None = None
    layout: Literal["NCHW", "NHWC", "NCW", "NWC"] | None = None


class Recipe(_Strict):
    """Every choice that leads from a float model to a file.

    Attributes:
        target: The chip, as `tinsmith targets` lists them.
        esp_dl: The version of ESP-DL in the firmware, such as ``3.3.9``.
        bits: 8 or 16, for layers nothing else is said about.
        int16: Regular expressions; layers whose name one matches run in int16.
        calibration: How activations' exponents are chosen: ``mse`` (least squared error with the chip's rounding),
            ``minmax``, ``percentile``, ``kl`` (entropy).
        effort: ``default``, or ``fast``: exponents only, weights and biases stay as they are.
        percentile: Share of magnitudes kept, in percent, for ``percentile``.
        samples: Use at most so many calibration samples; all by default.
        input_shapes: Shapes of inputs whose dimensions the model leaves open.
        outputs: Cut the model at these values; the one name `auto`: before the heads of detectors.
        preprocessing: For folders of images.
    """

    target: str = "esp32s3"
    esp_dl: _EspDl = str(CURRENT)
    bits: Literal[8, 16] = 8
    int16: _Names = ()
    calibration: Calibration = "mse"
    effort: Literal["fast", "default"] = "default"
    percentile: float = Field(default=99.99, gt=50.0, le=100.0)
    samples: int | None = Field(default=None, gt=0)
    input_shapes: dict[str, _Shape] = Field(default_factory=dict)
    outputs: _Names = ()
    preprocessing: Preprocessing = Field(default_factory=Preprocessing)

    @classmethod
    def of(cls, **choices: Any) -> Recipe:
        """A recipe from keyword arguments; None leaves the default.

        Raises:
            RecipeError: A name is unknown or a value out of range.
        """
        return _validated({key: value for key, value in choices.items() if value is not None}, "recipe")

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """A recipe from a TOML file.

        Raises:
            RecipeError: The file cannot be read, is no TOML, or says something unknown.
        """
        try:
            with Path(path).open("rb") as file:
                choices = tomllib.load(file)
        except OSError as error:
            raise RecipeError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"is no TOML: {error}.", subject=str(path)) from error
        return _validated(choices, str(path))

    def changed(self, **choices: Any) -> Recipe:
        """This recipe with some choices replaced; None leaves what is here."""
        given = {key: value for key, value in choices.items() if value is not None}
        return _validated({**self.model_dump(), **given}, "recipe")

    def toml(self) -> str:
        """The recipe as TOML, every choice written out; unset ones are left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> str:
        """SHA-256 of the TOML text, in hexadecimal."""
        return hashlib.sha256(self.toml().encode()).hexdigest()


def _validated(choices: dict[str, Any], subject: str) -> Recipe:
    try:
        return Recipe.model_validate(choices)
    except ValidationError as error:
        found = [_told(e["loc"], e["type"], e["msg"]) for e in error.errors()]
        hints = dict.fromkeys(hint for _, hint in found if hint)
        raise RecipeError(
            "; ".join(reason for reason, _ in found) + ".", subject=subject, hint=" ".join(hints)
        ) from error


def _told(place: tuple[int | str, ...], kind: str, message: str) -> tuple[str, str]:
    """What is wrong at one place of a recipe, and the way out where there is more to say."""
    name = ".".join(map(str, place)) or "recipe"
    if kind == "extra_forbidden":
        known = Preprocessing.model_fields if place[0] == "preprocessing" else Recipe.model_fields
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Options: {', '.join(known)}."
        return f"there is no option {name!r}", hint
    if kind == "tuple_type":
        return f"{name}: should be a list", ""
    text = message.removeprefix("Value error, ")
    return f"{name}: {text[:1].lower()}{text[1:]}", ""
