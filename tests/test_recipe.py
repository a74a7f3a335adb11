"""Recipes: the same in TOML, strict about everything else."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.errors import RecipeError
from tinsmith.recipe import Calibration, Recipe

names = st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text and text.isprintable())
extents = st.integers(1, 4096)
finite = st.floats(allow_nan=False, allow_infinity=False)

recipes = st.builds(
    Recipe.of,
    target=names,
    bits=st.sampled_from([8, 16]),
    int16=st.lists(names, max_size=3).map(tuple),
    calibration=st.sampled_from(typing.get_args(Calibration)),
    percentile=st.floats(50, 100, exclude_min=True),
    samples=st.none() | extents,
    input_shapes=st.dictionaries(names, st.lists(extents, min_size=1, max_size=4).map(tuple), max_size=2),
    outputs=st.lists(names, max_size=3).map(tuple),
    preprocessing=st.fixed_dictionaries(
        {},
        optional={
            "mean": st.lists(finite, max_size=3).map(tuple),
            "std": st.lists(finite, max_size=3).map(tuple),
            "size": extents | st.tuples(extents, extents),
            "color": st.sampled_from(["rgb", "bgr", "gray"]),
            "layout": st.sampled_from(["NCHW", "NHWC", "NCW", "NWC"]),
        },
    ),
)


def write(folder: Path, text: str) -> Path:
    path = folder / "rezept für S3.toml"
    path.write_text(text, "utf-8")
    return path


@given(recipe=recipes)
def test_toml_and_back(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = Recipe.read(write(tmp_path_factory.mktemp("recipe"), recipe.toml()))
    assert found == recipe
    assert found.digest() == recipe.digest()


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert Recipe.read(write(tmp_path, "")) == Recipe()
    assert Recipe() == Recipe.of(target="esp32s3", bits=8, calibration="mse")


def test_one_number_stands_for_all_channels(tmp_path: Path) -> None:
    pictures = Recipe.read(write(tmp_path, "[preprocessing]\nmean = 127\nstd = 58.5\nsize = 256\n")).preprocessing
    assert (pictures.mean, pictures.std, pictures.size) == ((127.0,), (58.5,), 256)


def test_every_choice_changes_the_digest() -> None:
    changed = [
        Recipe.of(target="esp32p4"),
        Recipe.of(bits=16),
        Recipe.of(int16=("a",)),
        Recipe.of(calibration="kl"),
        Recipe.of(percentile=99.0),
        Recipe.of(samples=1),
        Recipe.of(input_shapes={"x": (1,)}),
        Recipe.of(outputs=("y",)),
        Recipe.of(preprocessing={"mean": (1.0,)}),
    ]
    assert len({recipe.digest() for recipe in (Recipe(), *changed)}) == len(changed) + 1


def test_changed_keeps_what_is_not_given() -> None:
    base = Recipe.of(bits=16, outputs=("y",))
    assert base.changed(bits=None, calibration="kl") == Recipe.of(bits=16, outputs=("y",), calibration="kl")


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().bits = 16  # type: ignore[misc]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "width": ({"bits": 4}, "bits: input should be 8 or 16"),
    "width as text": ({"bits": "8"}, "bits: input should be 8 or 16"),
    "true is no number": ({"samples": True}, "samples: input should be a valid integer"),
    "no samples": ({"samples": 0}, "samples: input should be greater than 0"),
    "half a sample": ({"samples": 1.5}, "samples: input should be a valid integer"),
    "percentile of half": ({"percentile": 50.0}, "percentile: input should be greater than 50"),
    "percentile above all": ({"percentile": 100.5}, "percentile: input should be less than or equal to 100"),
    "unknown calibration": ({"calibration": "best"}, "calibration: input should be 'mse'"),
    "target as number": ({"target": 3}, "target: input should be a valid string"),
    "one name for a list": ({"int16": "conv"}, "int16: should be a list"),
    "number for a name": ({"int16": ["conv", 1]}, "int16.1: input should be a valid string"),
    "dimension as text": ({"input_shapes": {"x": ["1"]}}, "input_shapes.x.0: input should be a valid integer"),
    "dimension of zero": ({"input_shapes": {"x": [0]}}, "input_shapes.x.0: input should be greater than 0"),
    "mean as text": ({"preprocessing": {"mean": ["a"]}}, "preprocessing.mean.0: input should be a valid number"),
    "three extents": ({"preprocessing": {"size": [1, 2, 3]}}, "preprocessing.size: should be height and width"),
    "broken extent": ({"preprocessing": {"size": 1.5}}, "preprocessing.size: should be height and width"),
    "no extent": ({"preprocessing": {"size": 0}}, "preprocessing.size: should be height and width"),
    "colour": ({"preprocessing": {"color": "cmyk"}}, "preprocessing.color: input should be 'rgb'"),
}


@pytest.mark.parametrize(("choices", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_values_are_named(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.of(**choices)
    assert str(caught.value).startswith(f"recipe: {message}")


def test_every_wrong_value_is_named() -> None:
    with pytest.raises(RecipeError, match=r"bits: .*; samples: "):
        Recipe.of(bits=4, samples=-1)


def test_an_unknown_key_suggests_the_closest(tmp_path: Path) -> None:
    path = write(tmp_path, 'calibraton = "kl"\n')
    with pytest.raises(RecipeError) as caught:
        Recipe.read(path)
    assert str(caught.value) == f"{path}: there is no option 'calibraton'. Did you mean 'calibration'?"


def test_an_unknown_key_close_to_nothing_lists_all() -> None:
    with pytest.raises(RecipeError, match=r"no option 'zzz'\. Options: target, esp_dl, bits, int16"):
        Recipe.of(zzz=1)


def test_an_unknown_key_of_the_pictures() -> None:
    with pytest.raises(RecipeError, match=r"no option 'preprocessing\.meen'\. Did you mean 'mean'\?"):
        Recipe.of(preprocessing={"meen": 1.0})


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: cannot be read: No such file"):
        Recipe.read(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"bits = ", b"\xff\xfe", b"bits = 8\nbits = 8\n"])
def test_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="is no TOML"):
        Recipe.read(path)
