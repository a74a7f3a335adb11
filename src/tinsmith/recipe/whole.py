"""`Recipe`: every choice."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from tinsmith.errors import RecipeError
from tinsmith.recipe.fields import EspDl, Names, Shape, Share, Strict
from tinsmith.recipe.messages import REPEATED, refused
from tinsmith.recipe.parts import Algorithm, Calibration, Equalization, Preprocessing, Scope, Split
from tinsmith.targets import CURRENT

Effort = Literal["fast", "default", "best"]

RECIPE_KEY = "recipe"
"""Under which a file's metadata hold the recipe it was made with."""


class Recipe(Strict):
    """Every choice that leads from a float model to a file.

    Attributes:
        target: The chip, as `tinsmith targets` lists them.
        esp_dl: The version of ESP-DL in the firmware, such as ``3.3.9``.
        bits: 8 or 16, for layers nothing else is said about.
        int16: Layers that run in int16: names, of nodes or of the modules they come from, or regular expressions,
            looked for anywhere in names. Scopes may take some back.
        calibration: How activations' exponents are chosen: ``mse`` (least squared error with the chip's rounding),
            ``minmax``, ``percentile``, ``kl`` (entropy).
        effort: ``fast``: exponents only, weights and biases stay as they are; ``default``; ``best``: up to ten times
            the time.
        percentile: Share of magnitudes kept, in percent, for ``percentile``.
        max_drop: Run layers in int16 until no more than so many points are lost: of accuracy where labels are given,
            else of agreement with the float model.
        int16_budget: Run layers in int16 that do at most this share of all multiply-accumulates.
        algorithms: What may change weights and biases; None for what the effort says.
        samples: Use at most so many calibration samples; all by default.
        fit_cache: Make several of each layer whose weights are larger than the chip's cache, where that saves time.
        input_shapes: Shapes of inputs whose dimensions the model leaves open.
        outputs: Cut the model at these values; the one name `auto`: before the heads of detectors.
        preprocessing: For folders of images.
        equalization: Of the algorithm ``classic_equalize``.
        scopes: Choices for some layers. In TOML each is a table ``[[scope]]``.
        splits: Layers to split. In TOML each is a table ``[[split]]``.
    """

    target: str = "esp32s3"
    esp_dl: EspDl = str(CURRENT)
    bits: Literal[8, 16] = 8
    int16: Names = ()
    calibration: Calibration = "mse"
    effort: Effort = "default"
    percentile: float = Field(default=99.99, gt=50.0, le=100.0)
    max_drop: float | None = Field(default=None, ge=0.0, le=100.0)
    int16_budget: Share | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(strict=False)] | None = None
    samples: int | None = Field(default=None, gt=0)
    fit_cache: bool = False
    input_shapes: dict[str, Shape] = Field(default_factory=dict)
    outputs: Names = ()
    preprocessing: Preprocessing = Field(default_factory=Preprocessing)
    equalization: Equalization | None = None
    scopes: Annotated[tuple[Scope, ...], Field(strict=False)] = ()
    splits: Annotated[tuple[Split, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Recipe:
        problems = [*self._of_algorithms(), *self._of_widths(), *self._of_scopes()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _of_algorithms(self) -> list[str]:
        named = self.algorithms or ()
        found = []
        if named and self.effort == "fast":
            found.append("algorithms are named, and effort = 'fast' runs none: leave out one of the two")
        if self.equalization is not None and "classic_equalize" not in named:
            found.append("equalization is of the algorithm 'classic_equalize': name it in algorithms")
        return found

    def _of_widths(self) -> list[str]:
        option = "max_drop" if self.max_drop is not None else "int16_budget"
        chosen = self.max_drop is not None or self.int16_budget is not None
        return [f"{option} chooses layers to run in int16, and bits = 16 has all there"] * (chosen and self.bits == 16)

    def _of_scopes(self) -> list[str]:
        methods = {self.calibration}
        found = []
        for number, scope in enumerate(self.scopes, 1):
            methods.update([] if scope.calibration is None else [scope.calibration])
            if scope.percentile is not None and "percentile" not in methods:
                found.append(f"scope {number}: a percentile is given where calibration is not 'percentile'")
        return found

    @classmethod
    def of(cls, **choices: Any) -> Recipe:
        """A recipe from keyword arguments; None leaves the default.

        Raises:
            RecipeError: A name is unknown, a value out of range, or choices contradict each other.
        """
        return _validated({key: value for key, value in choices.items() if value is not None}, "recipe")

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """A recipe from a TOML file, or the one that an `.espdl` file was made with.

        Raises:
            RecipeError: The file cannot be read, is no TOML, says something unknown, or holds no recipe.
            FormatError: The `.espdl` file is damaged.
        """
        if Path(path).suffix == ".espdl":
            return cls.parse(_of_file(Path(path)), str(path))
        try:
            return cls.parse(Path(path).read_text("utf-8"), str(path))
        except OSError as error:
            raise RecipeError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"is no TOML: {error}.", subject=str(path)) from error

    @classmethod
    def parse(cls, text: str, subject: str = "recipe") -> Recipe:
        """A recipe from TOML text.

        Args:
            text: TOML.
            subject: What messages call it.

        Raises:
            RecipeError: It is no TOML, or says something unknown or contradictory.
        """
        try:
            choices = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"is no TOML: {error}.", subject=subject) from error
        for field, table in REPEATED.items():
            if field in choices:
                raise RecipeError(f"there is no option {field!r}.", subject=subject, hint=f"Did you mean {table!r}?")
        fields = {table: field for field, table in REPEATED.items()}
        return _validated({fields.get(key, key): value for key, value in choices.items()}, subject, in_toml=True)

    def changed(self, **choices: Any) -> Recipe:
        """This recipe with some choices replaced; None leaves what is here."""
        given = {key: value for key, value in choices.items() if value is not None}
        return _validated({**self.model_dump(), **given}, "recipe")

    def toml(self) -> str:
        """The recipe as TOML, every choice written out; unset ones are left out."""
        import tomli_w

        choices = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps(
            {REPEATED.get(key, key): value for key, value in choices.items() if value or key not in REPEATED}
        )

    def digest(self) -> str:
        """SHA-256 of the TOML text, in hexadecimal."""
        return hashlib.sha256(self.toml().encode()).hexdigest()


def _validated(choices: dict[str, Any], subject: str, *, in_toml: bool = False) -> Recipe:
    try:
        return Recipe.model_validate(choices)
    except ValidationError as error:
        raise refused(error, subject, Recipe.model_fields, in_toml=in_toml) from error


def _of_file(path: Path) -> str:
    """The text of the recipe in an `.espdl` file."""
    from tinsmith.espdl import read

    program = read(path)
    if RECIPE_KEY not in program.metadata:
        hint = "Files of other tools, and of older versions of this one, have none."
        raise RecipeError("holds no recipe.", subject=str(path), hint=hint)
    return program.metadata[RECIPE_KEY]
