"""A folder of pictures, decoded one by one with Pillow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinsmith.calibrate.inputs import Array, InputSpec
from tinsmith.calibrate.records import Reader, Record
from tinsmith.errors import DataError, RecipeError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What counts as a picture; other files are left alone."""

COLORS = {"RGB": 3, "BGR": 3, "GRAY": 1}
"""Channels by the name users give."""

_LAYOUTS = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2)}
_EIGHT_BIT = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"})


def image_reader(
    folder: Path, spec: InputSpec, *, size: int | Sequence[int] | None, color: str | None, layout: str | None
) -> Reader:
    """All pictures below a folder, sorted by path; uint8 arrays (height, width, channels).

    Args:
        folder: Searched recursively.
        spec: A 4-D input with 1 or 3 channels.
        size: See ``calibrate.open_data``.
        color: RGB, BGR or GRAY; None for RGB or gray, by the model's channels.
        layout: The model's order of axes where its shape leaves it open.

    Raises:
        DataError: No pictures, or a model that takes none.
        RecipeError: Options that contradict each other or the model.
    """
    channels, height, width = _geometry(spec, layout)
    chosen = _color(color, channels)
    resize = _resize(size, height, width)
    paths = image_paths(folder)
    if not paths:
        hint = f"Files ending in {', '.join(sorted(SUFFIXES))} are taken."
        raise DataError("there are no images in this folder.", subject=str(folder), hint=hint)

    def records() -> Iterator[Record]:
        for path in paths:
            yield str(path), {spec.name: load_image(path, chosen, resize, (height, width))}

    return Reader(records, len(paths), f"{folder}: {len(paths)} images, {height}×{width} {chosen}")


def image_paths(folder: Path) -> list[Path]:
    """All pictures below a folder, in the order in which they are read."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _geometry(spec: InputSpec, layout: str | None) -> tuple[int, int, int]:
    """Channels, height, width of the input."""
    picture = len(spec.shape) == 4 and spec.batched
    possible = [name for name, (axis, _, _) in _LAYOUTS.items() if picture and spec.shape[axis] in (1, 3)]
    if not possible:
        raise DataError(
            f"takes {spec.shape}, which is no picture with 1 or 3 channels.",
            subject=f"input {spec.name!r}",
            hint="Give arrays in place of images.",
        )
    axes = _LAYOUTS[layout if layout in possible else possible[0]]
    channels, height, width = (spec.shape[axis] for axis in axes)
    return channels, height, width


def _color(color: str | None, channels: int) -> str:
    if color is None:
        return "GRAY" if channels == 1 else "RGB"
    name = "GRAY" if color.upper() == "GREY" else color.upper()
    if COLORS.get(name) != channels:
        fitting = [known for known, count in COLORS.items() if count == channels]
        reason = f"{color!r} does not fit a model with {channels} channel(s)."
        raise RecipeError(reason, subject="color", hint=f"Choose {' or '.join(fitting)}.")
    return name


def _resize(size: int | Sequence[int] | None, height: int, width: int) -> int | tuple[int, int]:
    """An int for the shorter side, or (height, width); never smaller than what is cropped from it."""
    if size is None:
        return height, width
    wanted = size if isinstance(size, int) else tuple(size)
    extents = (wanted, wanted) if isinstance(wanted, int) else wanted
    if len(extents) != 2 or any(not isinstance(extent, int) for extent in extents):
        raise RecipeError(f"is {size!r}.", subject="size", hint="Give one number, or height and width.")
    if extents[0] < height or extents[1] < width:
        raise RecipeError(f"{size!r} is smaller than the model's {height}×{width}.", subject="size")
    return wanted if isinstance(wanted, int) else (extents[0], extents[1])


def load_image(path: Path, color: str, resize: int | tuple[int, int], crop: tuple[int, int]) -> Array:
    """Decode, resize and crop one picture.

    Args:
        path: The file; only the first frame counts, and orientation tags do not.
        color: A key of ``COLORS``. Transparency is dropped.
        resize: (height, width), or the length of the shorter side. Bilinear with antialiasing; none where it fits.
        crop: (height, width) cut from the middle.

    Returns:
        uint8 (height, width, channels).

    Raises:
        DataError: The file is damaged, or has more than 8 bits per channel.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            if opened.mode not in _EIGHT_BIT:
                raise DataError(
                    f"has pixels of mode {opened.mode}, not 8 bits per channel.",
                    subject=str(path),
                    hint="Convert it, or give arrays in place of images.",
                )
            picture: Any = opened.convert("L" if color == "GRAY" else "RGB")
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise DataError(f"cannot be decoded: {error}.", subject=str(path)) from error
    picture = _cropped(_resized(picture, resize), crop)
    pixels = np.asarray(picture).reshape(*crop, COLORS[color])
    return pixels[:, :, ::-1] if color == "BGR" else pixels


def _resized(picture: Any, resize: int | tuple[int, int]) -> Any:
    from PIL import Image

    width, height = picture.size
    if isinstance(resize, int):
        short = min(width, height)
        target = (max(round(width * resize / short), resize), max(round(height * resize / short), resize))
    else:
        target = (resize[1], resize[0])
    return picture if picture.size == target else picture.resize(target, Image.Resampling.BILINEAR)


def _cropped(picture: Any, crop: tuple[int, int]) -> Any:
    height, width = crop
    left, top = (picture.size[0] - width) // 2, (picture.size[1] - height) // 2
    return picture if picture.size == (width, height) else picture.crop((left, top, left + width, top + height))
