"""A network for several versions of ESP-DL: other formats, other claims, the same way to the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.cli.shell import error, ok
from tests.small_net import classifier, images, saved
from tinsmith.errors import RecipeError
from tinsmith.espdl import decode, encode
from tinsmith.program import Program
from tinsmith.quantized import Quantized
from tinsmith.recipe import Recipe
from tinsmith.simulator.legality import violations
from tinsmith.targets import TARGETS, find


def made(target: str, esp_dl: str | None = None) -> Quantized:
    return tinsmith.quantize(classifier(), images(8), target, esp_dl=esp_dl)


def weights(program: Program) -> list[int]:
    """How many exponents the weights of convolution and Gemm have."""
    return [len(program.constants[n.inputs[1]].exponents) for n in program.nodes if n.op_type in ("Conv", "Gemm")]


def test_the_p4_had_no_exponents_per_channel() -> None:
    new, old = made("esp32p4"), made("esp32p4", "3.3.0")
    assert weights(new.program) == [8, 6]
    assert weights(old.program) == [1, 1]
    assert new.program.metadata["esp_dl"] == ">=3.3.1"
    assert old.program.metadata["esp_dl"] == ">=3.2.0"
    assert violations(new.program, old.target) != []
    assert violations(old.program, new.target) == []


def test_a_file_for_an_old_version_runs_the_same_on_the_new_one() -> None:
    old = made("esp32p4", "3.2.0")
    sample = images(3, seed=9)
    program = decode(encode(old.program))
    expected = old.simulate(sample)
    for target in (None, "esp32p4", find("esp32p4", "3.2.0")):
        found = tinsmith.simulate(program, {"image": sample}, target)
        assert all(np.array_equal(found[name], array) for name, array in expected.items())


def test_only_versions_that_were_not_checked_get_a_note() -> None:
    assert not any("checked against" in note for note in made("esp32s3").notes)
    assert any("of 3.2.4 tinsmith knows" in note for note in made("esp32s3", "3.2.4").notes)


def test_the_recipe_keeps_the_version(tmp_path: Path) -> None:
    quantized = tinsmith.quantize(classifier(), images(4), recipe=Recipe.of(target="esp32p4", esp_dl="v3.3.0"))
    assert (str(quantized.target.esp_dl), quantized.recipe.esp_dl) == ("3.3.0", "3.3.0")
    again = tinsmith.quantize(classifier(), images(4), recipe=quantized.recipe, esp_dl="3.3.9")
    assert (again.target, again.recipe.esp_dl) == (TARGETS["esp32p4"], "3.3.9")
    given = tinsmith.quantize(classifier(), images(4), find("esp32p4", "3.3.0"))
    assert (given.target.esp_dl, given.recipe) == (quantized.target.esp_dl, quantized.recipe)
    (tmp_path / "recipe.toml").write_text('esp_dl = "yesterday"')
    with pytest.raises(RecipeError, match="esp_dl: 'yesterday' is no version of ESP-DL"):
        Recipe.read(tmp_path / "recipe.toml")


def test_a_custom_target_is_not_confused_with_the_chip_of_that_name() -> None:
    program, sample = made("esp32s3").program, {"image": images(3, seed=9)}
    target = TARGETS["esp32s3"]
    other = replace(target, rounding=TARGETS["esp32p4"].rounding)
    plain = tinsmith.simulate(program, sample, target, save_all=True)
    custom = tinsmith.simulate(program, sample, other, save_all=True)
    assert any(not np.array_equal(plain[name], custom[name]) for name in plain)
    for chip, expected in ((other, custom), (target, plain)):
        found = tinsmith.simulate(program, sample, chip, save_all=True, compiled=chip is target)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_commands_take_the_version(tmp_path: Path) -> None:
    saved(classifier(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", images(8))
    common = (tmp_path / "m.onnx", "--data", tmp_path / "x.npy", "--target", "esp32c3")
    said = error("quantize", *common, "--esp-dl", "3.2.4", "-o", tmp_path / "out")
    assert "esp32c3 itself needs ESP-DL ≥ 3.3.0; the target speaks 3.2.4" in said
    assert "esp32c3, ESP-DL 3.3.2" in ok("quantize", *common, "--esp-dl", "3.3.2", "-o", tmp_path / "out")
    file = tmp_path / "out/model.espdl"
    assert ">=3.3.0" in ok("inspect", file)
    for command in (("run", file, "--input", tmp_path / "x.npy"), ("eval", file, "--data", tmp_path / "x.npy"),
                    ("twin", file, "-o", tmp_path / "t.onnx"), ("ops",)):  # fmt: skip
        assert "is no version of ESP-DL" in error(*command, "--esp-dl", "new")
        ok(*command, "--esp-dl", "3.3.0")
    listed = {line.split()[0]: line for line in ok("ops", "--esp-dl", "3.2.0").splitlines() if line.strip()}
    assert "yes" not in listed["Pow"].split()[1:2]
