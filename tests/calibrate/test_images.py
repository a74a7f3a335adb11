from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinsmith.calibrate import InputSpec, open_data
from tinsmith.calibrate.images import SUFFIXES
from tinsmith.errors import DataError, RecipeError

RGB = [InputSpec("x", (1, 3, 8, 6))]
GRAY = [InputSpec("x", (1, 1, 8, 6))]
LAST = [InputSpec("x", (1, 8, 6, 3))]


def picture(seed: int, height: int = 8, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def fill(folder: Path, names: list[str], height: int = 8, width: int = 6) -> None:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(i, height, width)).save(path)


def collect(folder: Path, specs: list[InputSpec] = RGB, **options: Any) -> list[np.ndarray]:
    return [sample["x"] for sample in open_data(folder, specs, **options)]


def test_pictures_arrive_as_the_model_wants_them_sorted_by_path(tmp_path: Path) -> None:
    fill(tmp_path, ["c.png", "a/z.bmp", "b.PNG"])
    (tmp_path / "labels.csv").write_text("c.png,1")
    samples = collect(tmp_path)
    for sample, seed in zip(samples, (1, 2, 0), strict=True):
        assert sample.dtype == np.float32
        assert sample.flags.c_contiguous
        assert np.array_equal(sample, picture(seed).transpose(2, 0, 1)[None])
    assert np.array_equal(collect(tmp_path, LAST)[0], picture(1)[None])
    source = open_data(str(tmp_path), RGB, limit=2)
    assert len(source) == len(list(source)) == len(list(source)) == 2
    assert source.describe().endswith("3 images, 8×6 RGB; x: layout NHWC; at most 2")


def test_colors_and_scaling(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png"])
    wide = picture(0).astype(np.float32)
    assert np.array_equal(collect(tmp_path, color="bgr")[0][0], wide[:, :, ::-1].transpose(2, 0, 1))
    gray = np.asarray(Image.fromarray(picture(0)).convert("L"), np.float32)
    for color in (None, "gray", "GREY"):
        assert np.array_equal(collect(tmp_path, GRAY, color=color)[0][0, 0], gray)
    mean, std = np.array([10, 20, 30], np.float32), np.array([2, 3, 5], np.float32)
    scaled = (wide - mean) / std
    assert np.array_equal(collect(tmp_path, mean=(10, 20, 30), std=(2, 3, 5))[0][0], scaled.transpose(2, 0, 1))
    assert np.array_equal(collect(tmp_path, LAST, mean=(10, 20, 30), std=(2, 3, 5))[0][0], scaled)
    flipped = collect(tmp_path, color="BGR", mean=(10, 20, 30))[0][0]
    assert np.array_equal(flipped, (wide[:, :, ::-1] - mean).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK", "LA"])
def test_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    converted = Image.fromarray(picture(0)).convert(mode)
    converted.save(path)
    expected = np.asarray(Image.open(path).convert("RGB"), np.float32).transpose(2, 0, 1)
    assert np.array_equal(collect(tmp_path)[0][0], expected)


def test_resizing_and_cropping(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png"], height=20, width=30)
    original = Image.fromarray(picture(0, 20, 30))

    def resized(width: int, height: int) -> np.ndarray:
        return np.asarray(original.resize((width, height), Image.Resampling.BILINEAR), np.float32).transpose(2, 0, 1)

    assert np.array_equal(collect(tmp_path)[0][0], resized(6, 8))
    assert np.array_equal(collect(tmp_path, size=(12, 10))[0][0], resized(10, 12)[:, 2:10, 2:8])
    # shorter side (height) to 10: 15 × 10, then the middle
    assert np.array_equal(collect(tmp_path, size=10)[0][0], resized(15, 10)[:, 1:9, 4:10])
    assert np.array_equal(collect(tmp_path, size=20)[0][0], picture(0, 20, 30).transpose(2, 0, 1)[:, 6:14, 12:18])


def test_shapes_that_could_be_read_both_ways(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png"], height=3, width=5)
    spec = [InputSpec("x", (1, 3, 5, 3))]
    assert np.array_equal(collect(tmp_path, spec, layout="NHWC")[0][0], picture(0, 3, 5))
    (sample,) = collect(tmp_path, spec)  # channels first: 5 × 3 pixels
    small = Image.fromarray(picture(0, 3, 5)).resize((3, 5), Image.Resampling.BILINEAR)
    assert np.array_equal(sample[0], np.asarray(small).transpose(2, 0, 1))


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png", "b.jpg"])
    (tmp_path / "c.png").write_bytes(b"no picture")
    source = iter(open_data(tmp_path, RGB))
    next(source)
    next(source)
    with pytest.raises(DataError, match=r"c\.png: cannot be decoded"):
        next(source)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.png: cannot be decoded"):
        collect(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deeper_pictures_are_refused(tmp_path: Path, dtype: Any) -> None:
    Image.fromarray(np.zeros((8, 6), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: has pixels of mode .*, not 8 bits per channel"):
        collect(tmp_path, GRAY)


def test_folders_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("")
    with pytest.raises(DataError, match=r"there are no images in this folder\. Files ending in \.bmp"):
        open_data(tmp_path, RGB)
    assert ".jpg" in SUFFIXES


@pytest.mark.parametrize(
    ("specs", "reason"),
    [
        ([InputSpec("x", (1, 2, 8, 6))], r"input 'x': takes \(1, 2, 8, 6\), which is no picture"),
        ([InputSpec("x", (1, 49))], r"takes \(1, 49\), which is no picture"),
        ([*RGB, InputSpec("y", (1, 2))], "images serve models with one input, this one has 2"),
    ],
)
def test_models_that_take_no_pictures(tmp_path: Path, specs: list[InputSpec], reason: str) -> None:
    fill(tmp_path, ["a.png"])
    with pytest.raises(DataError, match=reason):
        open_data(tmp_path, specs)


@pytest.mark.parametrize(
    ("specs", "options", "reason"),
    [
        (RGB, {"color": "gray"}, r"color: 'gray' does not fit a model with 3 channel\(s\)\. Choose RGB or BGR."),
        (GRAY, {"color": "RGB"}, r"color: 'RGB' does not fit a model with 1 channel\(s\)\. Choose GRAY."),
        (RGB, {"color": "HSV"}, "color: 'HSV' does not fit"),
        (RGB, {"size": 7}, "size: 7 is smaller than the model's 8×6"),
        (RGB, {"size": (8, 5)}, r"size: \(8, 5\) is smaller"),
        (RGB, {"size": (8, 6, 3)}, r"size: is \(8, 6, 3\). Give one number, or height and width."),
        (RGB, {"mean": (1, 2)}, "mean: has 2 entries"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, specs: list[InputSpec], options: dict[str, Any], reason: str) -> None:
    fill(tmp_path, ["a.png"])
    with pytest.raises(RecipeError, match=reason):
        open_data(tmp_path, specs, **options)
