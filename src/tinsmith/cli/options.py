"""Options that several commands share, and the types of their values: what the functions of the same options take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tinsmith.cli.group import traceback_option

Function = TypeVar("Function", bound=Callable[..., Any])

existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
existing_model = click.Path(exists=True, path_type=Path)
"""A file, or the folder of a SavedModel."""
written_file = click.Path(dir_okay=False, path_type=Path)
written_folder = click.Path(file_okay=False, path_type=Path)


def data_path(text: str) -> str:
    """A file, a folder, or ``file.npz:key``; it is there."""
    before, found, _ = text.rpartition(".npz:")
    if not Path(f"{before}.npz" if found else text).expanduser().exists():
        raise click.BadParameter(f"there is no file or folder {text!r}.")
    return text


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """``name=1,3,96,96`` → (name, (1, 3, 96, 96))."""
    name, _, dims = text.rpartition("=")
    parts = dims.replace("x", ",").split(",")
    if not name or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is no shape; write it as name=1,3,96,96.")
    return name, tuple(int(part) for part in parts)


def numbers(text: str) -> tuple[float, ...]:
    """``0.5`` or ``0.5,0.4,0.3`` → a tuple of floats."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a number nor numbers with commas between them.") from None


def size(text: str) -> int | tuple[int, int]:
    """``96,128`` or ``96x128`` → (96, 128), height and width; ``96`` → 96, the shorter side."""
    parts = text.replace("x", ",").split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is no size; write height,width or the length of the shorter side.")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def names(text: str) -> tuple[str, ...]:
    """``a,b`` → ("a", "b")."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise click.BadParameter(f"{text!r} has an empty name.")
    return found


def share(text: str) -> float:
    """``10%`` or ``0.1`` → 0.1."""
    number = text.strip().removesuffix("%")
    try:
        found = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise click.BadParameter(f"{text!r} is no share; write 10% or 0.1.")
    return found


def _number(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    return None if text is None else int(text)


def _given(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    return values or None


def _by_name(
    context: click.Context, option: click.Parameter, shapes: tuple[tuple[str, tuple[int, ...]], ...]
) -> dict[str, tuple[int, ...]] | None:
    """Shapes by the name of their input, each given once."""
    found: dict[str, tuple[int, ...]] = {}
    for name, dims in shapes:
        if name in found:
            raise click.BadParameter(f"the shape of {name!r} is given twice.", param_hint="--input-shape")
        found[name] = dims
    return found or None


_COMMON: tuple[Callable[[Any], Any], ...] = (traceback_option,)
_PICTURES: tuple[Callable[[Any], Any], ...] = (
    click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Use at most N samples."),
    click.option("--mean", type=numbers, metavar="X[,Y,Z]", help="Subtracted from the data, in their own units."),
    click.option("--std", type=numbers, metavar="X[,Y,Z]", help="Divides the difference."),
    click.option(
        "--size",
        type=size,
        metavar="H,W",
        help="Height and width, or shorter side, images are scaled to and then cut from.",
    ),
    click.option("--color", type=click.Choice(["rgb", "bgr", "gray"], case_sensitive=False), help="Order of colors."),
    click.option(
        "--layout",
        type=click.Choice(["NCHW", "NHWC", "NCW", "NWC"], case_sensitive=False),
        help="The data's order of axes.",
    ),
)

_MODEL: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--bits",
        type=click.Choice(["8", "16"]),
        callback=_number,
        help="Width of weights and activations.  [default: 8]",
    ),
    click.option(
        "--int16",
        multiple=True,
        callback=_given,
        metavar="REGEX",
        help="Layers whose name it matches run in int16. Repeatable.",
    ),
)
_OPENING: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--input-shape",
        "input_shapes",
        type=shape,
        multiple=True,
        callback=_by_name,
        metavar="NAME=1,3,96,96",
        help="Shape of an input whose dimensions the model leaves open. Repeatable.",
    ),
    click.option(
        "--outputs",
        type=names,
        metavar="A,B",
        help="Cut the model at these values; auto: before the heads of detectors.",
    ),
)

_CHOOSING: tuple[Callable[[Any], Any], ...] = (
    click.option("--target", metavar="CHIP", help="The chip, see `tinsmith targets`.  [default: esp32s3]"),
    click.option(
        "--calibration",
        type=click.Choice(["mse", "minmax", "percentile", "kl"]),
        help="How the range of activations is chosen.  [default: mse]",
    ),
    click.option(
        "--percentile",
        type=float,
        metavar="P",
        help="Share of magnitudes that --calibration percentile keeps.  [99.99]",
    ),
    click.option(
        "--effort",
        type=click.Choice(["fast", "default", "best"]),
        help="fast: exponents only; default: channels are equalized and weights rounded for the data, too; best: up to "
        "ten times as long.",
    ),
    click.option(
        "--algorithms", type=names, metavar="A,B", help="What may change weights, in place of what --effort says."
    ),
    click.option(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="Layers go to int16 until no more points are lost: of accuracy with --labels, else of agreement with "
        "float.",
    ),
    click.option(
        "--int16-budget",
        type=share,
        metavar="SHARE",
        help="Layers go to int16 up to this share of the work: 10% or 0.1.",
    ),
    click.option(
        "--labels", metavar="PATH", help="Classes of the calibration data, for --max-drop: .npy, .npz[:KEY] or .csv."
    ),
    click.option(
        "--fit-cache",
        is_flag=True,
        default=None,
        help="Split layers whose weights are larger than the chip's cache, where that saves time.",
    ),
    click.option("--recipe", type=existing_file, help="Choices from a TOML or .espdl file; options override it."),
)
_BOARD: tuple[Callable[[Any], Any], ...] = (
    click.option("--board", metavar="BOARD", help="Whether the model fits on it, see `tinsmith boards`."),
    click.option(
        "--internal",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="BYTES",
        help="Internal RAM that activations may use; the rest lies in PSRAM.",
    ),
)
_LOOKING: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--on", type=data_path, metavar="PATH", help="Samples to analyze; better others.  [default: those of --data]"
    ),
    click.option(
        "--analyzed",
        type=click.IntRange(min=1),
        default=32,
        show_default=True,
        metavar="N",
        help="Analyze at most N samples.",
    ),
)

target_option = click.option("--target", metavar="CHIP", help="The chip, for files that do not name theirs.")
esp_dl_option = click.option(
    "--esp-dl", metavar="VERSION", help="Version of ESP-DL in the firmware, such as 3.3.9, the default."
)
saturation_option = click.option(
    "--assume-no-saturation", is_flag=True, help="Do not check the ESP32-S3's saturating accumulators."
)


def _all(options: tuple[Callable[[Any], Any], ...]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


common_options = _all(_COMMON)
"""What every command has."""

width_options = _all(_MODEL)
"""Which precision nodes run in."""

opening_options = _all(_OPENING)
"""Which part of a float model is meant, and of what shape."""

data_options = _all(_PICTURES)
"""How data become samples."""

choosing_options = _all((*_CHOOSING, *_MODEL, *_OPENING, *_PICTURES, esp_dl_option))
"""How a float model is quantized: what `tinsmith.quantize` takes by the same names."""

board_options = _all(_BOARD)
"""What the model has to fit into."""

looking_options = _all(_LOOKING)
"""Which samples are analysed."""
