"""The tables of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tinsmith.recipe.fields import Names, Numbers, Size, SomeNames, Strict

Calibration = Literal["mse", "minmax", "percentile", "kl"]
Algorithm = Literal["equalize", "classic_equalize", "absorb_bias", "round", "correct_bias", "search"]


class Preprocessing(Strict):
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

    mean: Numbers = ()
    std: Numbers = ()
    size: Size | None = None
    color: Literal["rgb", "bgr", "gray"] | None = None
    layout: Literal["NCHW", "NHWC", "NCW", "NWC"] | None = None


class Scope(Strict):
    """Choices for some layers; what is None stays as it is elsewhere. Of scopes that disagree, the last one wins.

    Attributes:
        layers: Names or regular expressions, found as for `Recipe.int16`.
        bits: 8 or 16.
        calibration: How the exponents of what these layers compute are chosen. Where values share an exponent, the last
            scope that says something about one of them decides for all.
        percentile: Share of magnitudes kept, in percent, for ``percentile``.
        exponent: What these layers compute has this exponent: its integers count multiples of ``2**exponent``. A larger
            one where the chip's rules ask for it.
        tune: False: the weights and biases of these layers stay as they are, rounded to nearest.
    """

    layers: SomeNames
    bits: Literal[8, 16] | None = None
    calibration: Calibration | None = None
    percentile: float | None = Field(default=None, gt=50.0, le=100.0)
    exponent: int | None = Field(default=None, ge=-30, le=30)
    tune: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Scope:
        choices = (self.bits, self.calibration, self.percentile, self.exponent, self.tune)
        if all(choice is None for choice in choices):
            raise ValueError("says nothing about its layers: give bits, calibration, percentile, exponent or tune")
        if self.exponent is not None and (self.calibration is not None or self.percentile is not None):
            raise ValueError("exponent is given, and how to find one as well: leave out one of the two")
        if self.percentile is not None and self.calibration not in (None, "percentile"):
            raise ValueError(f"percentile is given, and calibration is {self.calibration!r}, which has none")
        return self


class Equalization(Strict):
    """Equalization as the tutorials of esp-ppq know it, for the algorithm ``classic_equalize``.

    Attributes:
        iterations: How often all pairs of layers are gone through.
        value_threshold: Channels whose two ranges, of the weights before and behind, add up to less are left alone.
        opt_level: 1: through Relu and its like only; 2: through Add and Sub as well.
        including_bias: Whether biases count as a channel's range.
        bias_multiplier: With what weight.
        including_act: Whether activations count.
        act_multiplier: With what weight.
        interested_layers: Names or regular expressions: only these layers; all by default.
    """

    iterations: int = Field(default=10, gt=0)
    value_threshold: float = Field(default=0.5, ge=0.0)
    opt_level: Literal[1, 2] = 1
    including_bias: bool = False
    bias_multiplier: float = Field(default=0.5, ge=0.0)
    including_act: bool = False
    act_multiplier: float = Field(default=0.5, ge=0.0)
    interested_layers: Names = ()

    @model_validator(mode="after")
    def _multipliers_multiply(self) -> Equalization:
        for option, used in (("bias", self.including_bias), ("act", self.including_act)):
            name = f"{option}_multiplier"
            if not used and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is given: set including_{option} = true, too")
        return self


class Split(Strict):
    """Layers whose large weights get company, so that a finer step suffices; costs time and weights on the chip.

    Attributes:
        layers: Regular expressions, or names.
        method: ``balance`` and ``random`` make two layers of one, whose results are added: half of each large weight
            goes to either, or shares at random. ``channels`` doubles the channels with large weights.
        value_threshold: Only weights of a larger magnitude count: 2.0 by default, 0.5 for ``channels``.
        opt_level: Of ``channels``, as are the next two. 1: channels that no Add or Sub takes part in; 2: those as well.
            By default 1.
        relative: Whether the threshold is a share of the largest weight of the layers behind. By default it is not.
        most: At most so many copies per channel that there was, the largest weights first. By default any number.
    """

    layers: SomeNames
    method: Literal["balance", "random", "channels"] = "balance"
    value_threshold: float | None = Field(default=None, gt=0.0)
    opt_level: Literal[1, 2] | None = None
    relative: bool | None = None
    most: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _options_of_channels(self) -> Split:
        for name in ("opt_level", "relative", "most"):
            if getattr(self, name) is not None and self.method != "channels":
                raise ValueError(f"{name} is given, and method is {self.method!r}: only 'channels' has it")
        return self
