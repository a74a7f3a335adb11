"""``tinsmith report``, ``profile``, ``boards``, and the end of ``quantize``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli.shell import error, ok, tinsmith
from tests.report.planted import large_channel
from tests.small_net import classifier, images, saved
from tinsmith.errors import DataError
from tinsmith.estimate.boards import BOARDS
from tinsmith.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.onnx, data.npy, and build/model.espdl with its report."""
    base = tmp_path_factory.mktemp("reporting")
    np.save(base / "data.npy", images(12))
    model = saved(classifier(), base / "net.onnx")
    said = ok("quantize", model, "--data", base / "data.npy", "--effort", "fast", "-o", base / "build")
    (base / "said.txt").write_text(said)
    return base


def test_quantize_ends_with_the_verdicts(folder: Path) -> None:
    said = (folder / "said.txt").read_text()
    for question in ("flash", "memory", "speed", "accuracy"):
        assert f"\n{question}" in said
    assert str(folder / "build" / "report.html") in said
    facts = json.loads((folder / "build" / "report.json").read_text("utf-8"))
    assert facts["memory"]["flash"] == (folder / "build" / "model.espdl").stat().st_size
    assert facts["samples"] == 12
    assert facts["effort"] == "fast"


def test_quantize_without_report(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "net.onnx", "--data", folder / "data.npy", "--effort", "fast")
    said = ok("quantize", *arguments, "--no-report", "--name", "net", "-o", tmp_path)
    assert "accuracy" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.espdl", "net.info", "net.json"]


def test_models_of_other_names_keep_their_own_reports(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "net.onnx", "--data", folder / "data.npy", "--effort", "fast")
    ok("quantize", *arguments, "--name", "net", "-o", tmp_path)
    assert {"net-report.html", "net-report.json"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (DataError("is gone.", subject="data"), "no report: data: is gone."),
        (KeyError("conv"), "no report: KeyError('conv')"),
    ],
)
def test_a_report_that_fails_costs_nobody_the_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Exception, said: str
) -> None:
    (tmp_path / "report.json").write_text("of another model")

    def broken(*given: object, **more: object) -> None:
        raise mistake

    monkeypatch.setattr("tinsmith.report.insight.gather.insight", broken)
    arguments = (folder / "net.onnx", "--data", folder / "data.npy", "--effort", "fast", "-o", tmp_path)
    outcome = tinsmith("quantize", *arguments)
    assert outcome.code == 0
    assert "model.espdl" in outcome.out
    assert outcome.err.startswith(f"warning: {said}")
    assert len(outcome.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.espdl", "model.info", "model.json"]
    assert "Traceback" in tinsmith("quantize", *arguments, "--traceback").err


def test_control_c_during_the_report_leaves_the_model_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinsmith.report.insight.gather.insight", interrupted)
    arguments = (folder / "net.onnx", "--data", folder / "data.npy", "--effort", "fast", "-o", tmp_path)
    outcome = tinsmith("quantize", *arguments)
    assert (outcome.code, outcome.err) == (130, "Interrupted.\n")
    assert f"wrote      {tmp_path / 'model.espdl'}" in outcome.out
    assert (tmp_path / "model.espdl").is_file()


def test_the_board_names_the_chip(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "net.onnx", "--data", folder / "data.npy", "--effort", "fast")
    ok("quantize", *arguments, "--board", "esp32 p4 eye", "-o", tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (facts["target"], facts["board"]) == ("esp32p4", "ESP32-P4-EYE")


def test_a_wrong_board_is_refused_before_anything_is_done(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "net.onnx", "--data", folder / "data.npy", "-o", tmp_path / "new")
    assert "unknown board" in error("quantize", *arguments, "--board", "ESP32-S3-EIE")
    assert "has the chip esp32p4" in error("quantize", *arguments, "--board", "ESP32-P4-EYE", "--target", "esp32s3")
    recipe = ("--recipe", folder / "build" / "model.espdl", "--board", "ESP32-P4-EYE")
    assert "has the chip esp32p4" in error("quantize", *arguments, *recipe)
    assert not (tmp_path / "new").exists()


def test_report_of_a_model_equals_that_of_quantize(folder: Path, tmp_path: Path) -> None:
    recipe = folder / "build" / "model.espdl"
    said = ok("report", folder / "net.onnx", "--data", folder / "data.npy", "--recipe", recipe, "-o", tmp_path)
    assert str(tmp_path / "report.html") in said
    first, second = (json.loads((base / "report.json").read_text("utf-8")) for base in (folder / "build", tmp_path))
    assert json.dumps(second).replace(f"{tmp_path / 'report.toml'}", f"{recipe}") == json.dumps(first).replace(
        f"{folder / 'build-next'}", f"{tmp_path}-next"
    )
    assert Recipe.read(tmp_path / "report.toml") == Recipe.read(recipe)


def test_commands_of_a_report_can_be_copied(tmp_path: Path) -> None:
    planted = large_channel()
    model = saved(planted.model, tmp_path / "net.onnx")
    np.save(tmp_path / "data.npy", planted.data)
    arguments = (model, "--data", tmp_path / "data.npy", "--effort", "fast", "--target", planted.target)
    said = ok("quantize", *arguments, "-o", tmp_path / "build")
    before = (tmp_path / "build" / "model.espdl").read_bytes()
    facts = json.loads((tmp_path / "build" / "report.json").read_text("utf-8"))
    assert "\nerror in" in said
    assert planted.kind in said
    commands = [shlex.split(action["command"]) for action in facts["actions"] if action["command"]]
    assert commands
    ok(*commands[0][1:])
    after = json.loads((tmp_path / "build-next" / "report.json").read_text("utf-8"))
    gained = after["outputs"][0]["noise"]["snr_db"] - facts["outputs"][0]["noise"]["snr_db"]
    assert gained > 3
    assert (tmp_path / "build" / "model.espdl").read_bytes() == before


def test_report_of_a_file_has_costs_only(folder: Path, tmp_path: Path) -> None:
    ok("report", folder / "build" / "model.espdl", "-o", tmp_path, "--name", "costs")
    facts = json.loads((tmp_path / "costs.json").read_text("utf-8"))
    assert facts["outputs"] == []
    assert facts["model"] == "model.espdl"
    assert facts["memory"]["flash"] == (folder / "build" / "model.espdl").stat().st_size


def test_options_that_are_idle_with_a_file_are_refused(folder: Path, tmp_path: Path) -> None:
    arguments = ("report", folder / "build" / "model.espdl", "-o", tmp_path)
    assert "--data" in error(*arguments, "--data", folder / "data.npy")
    assert "--bits" in error(*arguments, "--bits", "16")


def test_profile(folder: Path, tmp_path: Path) -> None:
    file = folder / "build" / "model.espdl"
    said = ok("profile", file)
    assert "conv " in said
    assert "gemm " in said
    slowest = ok("profile", file, "--layers", "1", "--json", tmp_path / "costs.json")
    assert json.loads((tmp_path / "costs.json").read_text("utf-8"))["layers"][0]["name"] == "conv"
    assert sum(line.split()[-1:] == ["%"] for line in slowest.splitlines()) == 1


def test_profile_says_whether_it_fits_by_its_exit_code(folder: Path) -> None:
    file = folder / "build" / "model.espdl"
    assert tinsmith("profile", file, "--board", "N8R2").code == 0
    small = tinsmith("profile", file, "--board", "N1")
    assert small.code == 1
    assert "flash" in small.out
    assert "missing" in small.out


def test_boards() -> None:
    said = ok("boards")
    assert all(name in said for name in BOARDS)
