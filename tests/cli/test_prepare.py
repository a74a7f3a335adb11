"""``tinsmith quantize``."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinsmith as package
from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok, rows, tinsmith
from tests.small_net import classifier, images, saved
from tinsmith.cli.options import names, numbers, shape, share, size
from tinsmith.errors import RecipeError
from tinsmith.ops import operators
from tinsmith.recipe import Recipe


def test_what_it_did_is_said(workshop: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "über" / "da"
    said = rows(ok("quantize", workshop.model, "--data", workshop.calibration, "-o", folder, "--name", "netz"))
    assert said[0][:2] == ["target", "esp32s3,"]
    assert said[1][:4] == ["nodes", "5", "int8", "→"]
    assert said[2][0] == "constants"
    assert said[3] == ["recipe", "the", "defaults"]
    assert said[4][0] == "time"
    files = ["netz-report.html", "netz-report.json", "netz.espdl", "netz.info", "netz.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    sizes = {Path(line[1]).name: line[-2] for line in said if line[0] in ("wrote", "report")}
    assert sizes == {path.name: f"{path.stat().st_size:,}" for path in folder.iterdir()}


def test_the_file_is_the_functions(workshop: Workshop) -> None:
    made = package.quantize(workshop.model, np.load(workshop.calibration), "esp32s3").with_test_values()
    assert package.read(workshop.espdl) == made.program


def test_two_runs_give_the_same_bytes(workshop: Workshop, tmp_path: Path) -> None:
    for part in ("a", "b"):
        ok("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path / part)
    for name in ("model.espdl", "model.info", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_sample_is_left_out_where_nobody_asks(workshop: Workshop, tmp_path: Path) -> None:
    ok("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path)
    assert not package.read(tmp_path / "model.espdl").test_inputs
    embedded = package.read(workshop.espdl)
    assert list(embedded.test_inputs) == ["image"]
    assert list(embedded.test_outputs) == ["scores"]


def test_every_option_reaches_the_recipe(workshop: Workshop, tmp_path: Path) -> None:
    outcome = tinsmith(
        "quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path, "--print-recipe",
        "--target", "esp32p4", "--esp-dl", "v3.3.5", "--bits", "16", "--int16", "^conv$", "--int16", "gemm",
        "--calibration", "percentile", "--effort", "fast", "--input-shape", "image=1,3,8,8", "--outputs", "scores",
        "--samples", "5", "--mean", "0.5", "--std", "2,2,3", "--layout", "nchw", "--fit-cache",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert tomllib.loads(outcome.out) == {
        "target": "esp32p4",
        "esp_dl": "3.3.5",
        "bits": 16,
        "int16": ["^conv$", "gemm"],
        "calibration": "percentile",
        "effort": "fast",
        "percentile": 99.99,
        "samples": 5,
        "fit_cache": True,
        "input_shapes": {"image": [1, 3, 8, 8]},
        "outputs": ["scores"],
        "preprocessing": {"mean": [0.5], "std": [2.0, 2.0, 3.0], "layout": "NCHW"},
    }
    (line,) = (line for line in outcome.err.splitlines() if line.startswith("recipe"))
    assert line.split(maxsplit=1)[1].strip() == (
        "esp_dl 3.3.5; bits 16; int16 ^conv$,gemm; calibration percentile; effort fast; samples 5; "
        "fit_cache; input_shapes image=1,3,8,8; outputs scores; mean 0.5; std 2.0,2.0,3.0; layout NCHW"
    )


def test_options_of_algorithms_reach_the_recipe(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked at before anything runs."""
    given: dict[str, Any] = {}

    def run(model: object, data: object, recipe: Recipe, *rest: object, example_input: object) -> None:
        given.update(recipe=recipe, labels=rest[-1])
        raise RecipeError("stop")

    monkeypatch.setattr("tinsmith.pipeline.quantizing.run", run)
    options = ("--effort", "best", "--max-drop", "0.3", "--int16-budget", "10%", "--labels", workshop.labels)
    options = (*options, "--algorithms", "round,correct_bias", "--percentile", "99.5", "--calibration", "percentile")
    common = ("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path)
    assert "stop" in error(*common, *options)
    assert given["labels"] == str(workshop.labels)
    assert given["recipe"] == Recipe.of(
        effort="best",
        max_drop=0.3,
        int16_budget=0.1,
        algorithms=("round", "correct_bias"),
        percentile=99.5,
        calibration="percentile",
    )


def test_the_table_of_layers(workshop: Workshop, tmp_path: Path) -> None:
    common = ("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path, "--effort", "fast")
    said = rows(ok(*common, "--int16", "gemm", "--table"))
    start = said.index(["layer", "operator", "precision", "weights", "output", "MACs", "why"])
    table = {line[0]: line[1:] for line in said[start + 2 :]}
    assert list(table) == ["conv", "relu", "pool", "flatten", "gemm"]
    assert table["conv"][:2] == ["Conv", "int8"]
    assert table["relu"][-2:] == ["within", "'conv'"]
    assert table["gemm"][1] == "int16"
    assert table["gemm"][-3:] == ["chosen", "by", "'gemm'"]
    outcome = tinsmith(*common, "--table", "--print-recipe")
    assert tomllib.loads(outcome.out)["effort"] == "fast"
    assert "precision" in outcome.err


def test_scopes_of_a_recipe_are_described(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[[scope]]\nlayers = ["conv", "gemm"]\nbits = 16\n', "utf-8")
    options = ("--data", workshop.calibration, "-o", tmp_path, "--recipe", tmp_path / "r.toml", "--effort", "fast")
    said = ok("quantize", workshop.model, *options)
    assert "r.toml; effort fast; scopes layers=conv,gemm, bits=16" in " ".join(said.split())
    assert rows(said)[1][1:5] == ["2", "int8,", "3", "int16"]


def test_the_recipe_of_a_file(workshop: Workshop, tmp_path: Path) -> None:
    common = ("quantize", workshop.model, "--data", workshop.calibration)
    printed = ok(*common, "-o", tmp_path / "a", "--int16", "conv", "--print-recipe")
    assert ok("inspect", tmp_path / "a/model.espdl", "--recipe") == printed
    ok(*common, "-o", tmp_path / "b", "--recipe", tmp_path / "a/model.espdl")
    assert (tmp_path / "a/model.espdl").read_bytes() == (tmp_path / "b/model.espdl").read_bytes()


def test_layers_are_split(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[[split]]\nlayers = ["gemm"]\nvalue_threshold = 1.0\n', "utf-8")
    common = (
        "quantize",
        workshop.model,
        "--data",
        workshop.calibration,
        "-o",
        tmp_path / "a",
        "--table",
        "--no-report",
    )
    said = ok(*common, "--recipe", tmp_path / "r.toml")
    assert "note: split 1 (balance): 'gemm'; 54 multiply-accumulates and 48 weights more." in said
    assert [line[1] for line in rows(said) if line[:1] and line[0].startswith("gemm")] == ["Gemm", "Gemm", "Add"]
    (tmp_path / "r.toml").write_text('[[split]]\nlayers = ["gamm"]\n', "utf-8")
    assert "split 1: 'gamm' matches no layer with constant weights. Close names: 'gemm'." in error(
        *common, "--recipe", tmp_path / "r.toml"
    )
    (tmp_path / "r.toml").write_text(
        '[[split]]\nlayers = ["gemm"]\nmethod = "channels"\nvalue_threshold = 99\n', "utf-8"
    )
    assert "split 1 (channels): nothing, no weight is that large" in ok(*common, "--recipe", tmp_path / "r.toml")
    few = '[[split]]\nlayers = ["conv"]\nmethod = "channels"\nvalue_threshold = 0.9\nrelative = true\nmost = 0.25\n'
    (tmp_path / "r.toml").write_text(few, "utf-8")
    assert "split 1 (channels): 'conv'; " in ok(*common, "--recipe", tmp_path / "r.toml")
    assert 8 < package.read(tmp_path / "a/model.espdl").values["active"].shape[-1] <= 10


def test_a_printed_recipe_leads_to_the_same_file(workshop: Workshop, tmp_path: Path) -> None:
    common = ("quantize", workshop.model, "--data", workshop.calibration)
    printed = ok(*common, "-o", tmp_path / "a", "--int16", "conv", "--target", "esp32p4", "--print-recipe")
    (tmp_path / "r.toml").write_text(printed, "utf-8")
    said = ok(*common, "-o", tmp_path / "b", "--recipe", tmp_path / "r.toml")
    assert (tmp_path / "a/model.espdl").read_bytes() == (tmp_path / "b/model.espdl").read_bytes()
    assert "r.toml; int16 conv" in " ".join(said.split())


def test_options_override_the_recipe(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('target = "esp32p4"\nbits = 16\n', "utf-8")
    common = ("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path)
    said = rows(ok(*common, "--recipe", tmp_path / "r.toml", "--bits", "8"))
    assert said[0][1] == "esp32p4,"
    assert said[1][1:3] == ["5", "int8"]


def test_precisions_are_counted(workshop: Workshop, tmp_path: Path) -> None:
    said = rows(ok("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path, "--int16", "conv"))
    assert said[1][1:6] == ["3", "int8,", "2", "int16", "→"]


def test_a_model_with_open_dimensions_needs_a_shape(workshop: Workshop, tmp_path: Path) -> None:
    model = saved(classifier(size="side"), tmp_path / "open.onnx")
    common = ("quantize", model, "--data", workshop.calibration, "-o", tmp_path / "out")
    assert "--input-shape image=1,3,96,96" in error(*common)
    assert not (tmp_path / "out").exists()
    ok(*common, "--input-shape", "image=1x3x8x8")


def test_cut_at_an_inner_value(workshop: Workshop, tmp_path: Path) -> None:
    ok("quantize", workshop.model, "--data", workshop.calibration, "-o", tmp_path, "--outputs", "active,pooled")
    assert [value.name for value in package.read(tmp_path / "model.espdl").outputs] == ["active", "pooled"]


def test_a_folder_of_images(workshop: Workshop, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "bilder"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for index in range(4):
        Image.fromarray(rng.integers(0, 256, (10, 12, 3), np.uint8)).save(folder / f"ö{index}.png")
    options = ("--mean", "127.5", "--std", "64", "--size", "9", "--color", "bgr")
    ok("quantize", workshop.model, "--data", folder, "-o", tmp_path / "out", *options)
    assert (tmp_path / "out/model.espdl").exists()


def test_an_array_of_an_archive(workshop: Workshop, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.load(workshop.calibration), y=np.zeros(16, int))
    common = ("quantize", workshop.model, "-o", tmp_path / "out", "--data")
    ok(*common, f"{tmp_path}/d.npz:X")
    assert package.read(tmp_path / "out/model.espdl").nodes == package.read(workshop.espdl).nodes
    assert "d.npz: holds no array 'Z'. It holds ['X', 'y']." in error(*common, f"{tmp_path}/d.npz:Z")
    assert "['X', 'y']" in error(*common, tmp_path / "d.npz")


def test_runtime_limits_are_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx import TensorProto, helper

    narrow = dict(operators())
    narrow["Sigmoid"] = dataclasses.replace(narrow["Sigmoid"], types=frozenset({"int8"}))
    monkeypatch.setattr("tinsmith.placement.operators", lambda: narrow)
    nodes = [helper.make_node("Sigmoid", ["x"], ["y"], "gate")]
    graph = helper.make_graph(
        nodes,
        "gated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 4, 4])],
    )
    model = saved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(4, 16, 4, 4)).astype(np.float32))
    said = ok("quantize", model, "--data", tmp_path / "x.npy", "-o", tmp_path / "out", "--bits", "16")
    assert "note: 'gate' runs in int8: the runtime has no int16 Sigmoid.\n" in said


def test_what_is_there_stays_when_it_fails(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "model.espdl").write_bytes(b"precious")
    bad = tmp_path / "bad.npy"
    array = images(4)
    array[2, 1, 3, 4] = np.nan
    np.save(bad, array)
    message = error("quantize", workshop.model, "--data", bad, "-o", tmp_path)
    assert "2" in message
    assert "nan" in message.lower()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npy", "model.espdl"]
    assert (tmp_path / "model.espdl").read_bytes() == b"precious"


FAILURES = {
    "unknown chip": (("--target", "esp32s4"), "target: unknown target 'esp32s4'. Did you mean 'esp32s"),
    "pattern matches nothing": (("--int16", "convolution_7"), "'convolution_7' matches no node"),
    "unknown output": (("--outputs", "score"), "no value is named 'score'. Did you mean 'scores'"),
    "unknown input": (("--input-shape", "img=1,3,8,8"), "the model has no input 'img'"),
    "shape without a name": (("--input-shape", "1,3,8,8"), "'1,3,8,8' is no shape"),
    "shape twice": (("--input-shape", "image=1,3,8,8", "--input-shape", "image=1,3,8,8"), "is given twice"),
    "seven bits": (("--bits", "7"), "'7' is not one of"),
    "mean as text": (("--mean", "half"), "'half' is neither a number"),
    "size as text": (("--size", "big"), "'big' is no size"),
    "no samples": (("--samples", "0"), "0 is not in the range x>=1"),
    "a share of ten": (("--int16-budget", "10"), "'10' is no share; write 10% or 0.1."),
    "a share as text": (("--int16-budget", "some"), "'some' is no share"),
    "unknown algorithm": (("--algorithms", "magic"), "algorithms.0: input should be 'equalize'"),
    "labels for nothing": (("--labels", "labels.npy"), "labels: labels are given, and nothing asks for them."),
    "size of arrays": (("--size", "9,9"), "size"),
}


@pytest.mark.parametrize(("options", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_failures(workshop: Workshop, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    out = tmp_path / "out"
    assert message in error("quantize", workshop.model, "--data", workshop.calibration, "-o", out, *options)
    assert not out.exists()


def test_missing_files(workshop: Workshop, tmp_path: Path) -> None:
    assert "does not exist" in error("quantize", tmp_path / "no.onnx", "--data", workshop.calibration, "-o", tmp_path)
    for name in ("no.npy", "no.npz:X"):
        message = error("quantize", workshop.model, "--data", tmp_path / name, "-o", tmp_path)
        assert f"there is no file or folder '{tmp_path / name}'" in message
    assert "Missing option" in error("quantize", workshop.model, "--data", workshop.calibration)


def test_a_model_that_is_none(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model at all")
    message = error("quantize", tmp_path / "model.onnx", "--data", workshop.calibration, "-o", tmp_path / "out")
    assert message.startswith("error: ")
    assert "model.onnx" in message


def test_a_wrong_recipe(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("bitz = 8\n", "utf-8")
    options = ("--data", workshop.calibration, "-o", tmp_path, "--recipe", tmp_path / "r.toml")
    assert "r.toml: there is no option 'bitz'. Did you mean 'bits'?" in error("quantize", workshop.model, *options)


def test_a_folder_that_cannot_be_written(workshop: Workshop) -> None:
    message = error("quantize", workshop.model, "--data", workshop.calibration, "-o", workshop.labels)
    assert "labels.npy' is a file." in message


def test_values_of_options() -> None:
    assert shape("a=b=1,2x3") == ("a=b", (1, 2, 3))
    assert numbers("1") == (1.0,)
    assert numbers("0.5,-1e2, 3") == (0.5, -100.0, 3.0)
    assert (size("96"), size("96,128"), size("96x128")) == (96, (96, 128), (96, 128))
    assert names("a, b") == ("a", "b")
    assert (share("10%"), share(" 0.1"), share("100 %")) == (0.1, 0.1, 1.0)
