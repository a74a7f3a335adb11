"""Recipes: the same in TOML, strict about everything else."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.errors import RecipeError
from tinsmith.recipe import Calibration, Equalization, Recipe, Scope, Split

names = st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text and text.isprintable())
extents = st.integers(1, 4096)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, Any]:
    """A table that says something and does not contradict itself."""
    found = draw(
        st.fixed_dictionaries(
            {"layers": st.lists(names, min_size=1, max_size=2).map(tuple)},
            optional={
                "bits": st.sampled_from([8, 16]),
                "calibration": st.sampled_from(typing.get_args(Calibration)),
                "tune": st.booleans(),
            },
        )
    )
    if len(found) == 1 or (found.get("calibration") == "percentile" and draw(st.booleans())):
        found |= {"calibration": "percentile", "percentile": draw(st.floats(50, 100, exclude_min=True))}
    return found


recipes = st.builds(
    Recipe.of,
    max_drop=st.none() | st.floats(0, 100),
    int16_budget=st.none() | st.floats(0, 1, exclude_min=True),
    algorithms=st.sampled_from([None, (), ("search",), ("round", "correct_bias")]),
    scopes=st.lists(scopes(), max_size=3).map(tuple),
    target=names,
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
        Recipe.of(effort="best"),
        Recipe.of(max_drop=0.3),
        Recipe.of(int16_budget=0.1),
        Recipe.of(algorithms=()),
        Recipe.of(algorithms=("classic_equalize",)),
        Recipe.of(algorithms=("classic_equalize",), equalization={"opt_level": 2}),
        Recipe.of(splits=[{"layers": ["a"]}]),
        Recipe.of(scopes=[{"layers": ["a"], "bits": 16}]),
        Recipe.of(scopes=[{"layers": ["a"], "tune": False}]),
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


FULL = """
calibration = "minmax"
effort = "best"
max_drop = 1
int16_budget = "10%"
algorithms = ["classic_equalize", "absorb_bias", "search"]

[equalization]
opt_level = 2
including_bias = true
bias_multiplier = 1.0
interested_layers = ["^features"]

[[scope]]
layers = ["conv", "gemm"]
bits = 16
calibration = "percentile"
percentile = 99.9

[[scope]]
layers = ["^conv1$"]
tune = false

[[split]]
layers = ["conv2"]

[[split]]
layers = ["conv3"]
method = "channels"
"""


def test_a_full_recipe(tmp_path: Path) -> None:
    recipe = Recipe.read(write(tmp_path, FULL))
    assert (recipe.max_drop, recipe.int16_budget, recipe.effort) == (1.0, 0.1, "best")
    assert recipe.scopes == (
        Scope(layers=("conv", "gemm"), bits=16, calibration="percentile", percentile=99.9),
        Scope(layers=("^conv1$",), tune=False),
    )
    assert recipe.splits == (Split(layers=("conv2",)), Split(layers=("conv3",), method="channels"))
    assert recipe.equalization == Equalization(
        opt_level=2, including_bias=True, bias_multiplier=1.0, interested_layers=("^features",)
    )
    assert Recipe.parse(recipe.toml()) == recipe
    assert recipe.changed(calibration="kl").scopes == recipe.scopes


def test_the_classic_options_have_the_defaults_of_the_tutorials() -> None:
    assert Equalization().model_dump() == {
        "iterations": 10,
        "value_threshold": 0.5,
        "opt_level": 1,
        "including_bias": False,
        "bias_multiplier": 0.5,
        "including_act": False,
        "act_multiplier": 0.5,
        "interested_layers": (),
    }


@pytest.mark.parametrize("value", [0.1, "10%", "10 %", " 10%"])
def test_a_share_is_a_fraction_or_a_percentage(value: float | str) -> None:
    assert Recipe.of(int16_budget=value).int16_budget == 0.1


MORE_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a share of ten": ({"int16_budget": 10}, "int16_budget: should be a share"),
    "a share of nothing": ({"int16_budget": "0%"}, "int16_budget: should be a share"),
    "a share as text": ({"int16_budget": "some"}, "int16_budget: should be a share"),
    "a share that is true": ({"int16_budget": True}, "int16_budget: should be a share"),
    "a negative drop": ({"max_drop": -1.0}, "max_drop: input should be greater than or equal to 0"),
    "unknown effort": ({"effort": "much"}, "effort: input should be 'fast', 'default' or 'best'"),
    "unknown algorithm": ({"algorithms": ["magic"]}, "algorithms.0: input should be 'equalize', 'classic_equalize'"),
    "algorithms without effort": ({"algorithms": ["round"], "effort": "fast"}, "algorithms are named, and effort"),
    "options of nothing": ({"equalization": {}}, "equalization is of the algorithm 'classic_equalize': name it"),
    "a level of halves": (
        {"splits": [{"layers": ["a"], "opt_level": 2}]},
        "split 1: opt_level is given, and method is 'balance': only 'channels' has it",
    ),
    "copies of halves": (
        {"splits": [{"layers": ["a"], "method": "random", "most": 0.5}]},
        "split 1: most is given, and method is 'random': only 'channels' has it",
    ),
    "a threshold of zero": (
        {"splits": [{"layers": ["a"], "value_threshold": 0.0}]},
        "split 1: value_threshold: input should be greater than 0",
    ),
    "a multiplier of nothing": (
        {"algorithms": ["classic_equalize"], "equalization": {"act_multiplier": 2.0}},
        "equalization: act_multiplier is given: set including_act = true, too",
    ),
    "level three": (
        {"algorithms": ["classic_equalize"], "equalization": {"opt_level": 3}},
        "equalization.opt_level: input should be 1 or 2",
    ),
    "all in int16 already": ({"bits": 16, "max_drop": 1.0}, "max_drop chooses layers to run in int16, and bits = 16"),
    "all of it already": ({"bits": 16, "int16_budget": 1.0}, "int16_budget chooses layers to run in int16, and bits"),
    "a scope of nothing": ({"scopes": [{"layers": [], "bits": 8}]}, "scope 1: layers: tuple should have at least 1"),
    "a scope without layers": ({"scopes": [{"bits": 8}]}, "scope 1: layers is missing"),
    "a silent scope": ({"scopes": [{"layers": ["a"]}]}, "scope 1: says nothing about its layers: give bits, calibr"),
    "seven bits in the second": (
        {"scopes": [{"layers": ["a"], "bits": 8}, {"layers": ["a"], "bits": 7}]},
        "scope 2: bits: input should be 8 or 16",
    ),
    "a percentile of kl": (
        {"scopes": [{"layers": ["a"], "calibration": "kl", "percentile": 99.0}]},
        "scope 1: percentile is given, and calibration is 'kl', which has none",
    ),
    "a percentile of mse": (
        {"scopes": [{"layers": ["a"], "percentile": 99.0}]},
        "scope 1: a percentile is given where calibration is not 'percentile'",
    ),
    "unknown option of a scope": (
        {"scopes": [{"layers": ["a"], "bitz": 8}]},
        "there is no option 'scope 1: bitz'. Did you mean 'bits'?",
    ),
}


@pytest.mark.parametrize(("choices", "message"), MORE_WRONG.values(), ids=MORE_WRONG.keys())
def test_wrong_choices_for_layers_and_algorithms(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.of(**choices)
    assert str(caught.value).startswith(f"recipe: {message}")


def test_a_percentile_may_refine_an_earlier_scope() -> None:
    first = {"layers": ["a"], "calibration": "percentile"}
    assert Recipe.of(scopes=[first, {"layers": ["b"], "percentile": 99.0}]).scopes[1].percentile == 99.0


def test_toml_has_one_name_for_each_table() -> None:
    with pytest.raises(RecipeError, match=r"no option 'scopes'\. Did you mean 'scope'\?"):
        Recipe.parse('[[scopes]]\nlayers = ["a"]\nbits = 8\n')


def test_problems_of_several_tables_name_each() -> None:
    text = '[[scope]]\nlayers = ["a"]\nbits = 4\n[[split]]\nlayers = ["a"]\nmethod = "half"\n'
    with pytest.raises(RecipeError, match=r"scope 1: bits: .*; split 1: method: ") as caught:
        Recipe.parse(text, "mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
