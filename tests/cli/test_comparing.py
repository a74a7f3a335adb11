"""``tinsmith compare``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinsmith as package
from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok, tinsmith
from tests.report.compare.nets import log_of, with_flipped_bit
from tests.small_net import images


@pytest.fixture
def flipped(workshop: Workshop, tmp_path: Path) -> Path:
    """The file with a bit of its convolution turned over."""
    program = package.read(workshop.espdl)
    package.write(with_flipped_bit(program, program.nodes[0].inputs[1], 4, 6), tmp_path / "flipped.espdl")
    return tmp_path / "flipped.espdl"


def test_equal_files(workshop: Workshop) -> None:
    said = ok("compare", workshop.espdl, workshop.espdl)
    assert "inputs   the test sample in the file\n" in said
    assert said.endswith("tensors compared, 5 equal, 0 differ by more than the tolerance; 0 shown.\nNo divergence.\n")


def test_files_that_differ(workshop: Workshop, flipped: Path, tmp_path: Path) -> None:
    outcome = tinsmith("compare", workshop.espdl, flipped, "--input", workshop.data, "--json", tmp_path / "x.json")
    assert outcome.code == 1
    assert "First divergence: tensor 'active' of Conv 'conv'" in outcome.out
    assert "constant 'w', read by Conv 'conv': 1 of 216 elements differ, by at most 64" in outcome.out
    read = json.loads((tmp_path / "x.json").read_text("utf-8"))
    assert (read["first"], read["samples"]) == ("active", 8)
    assert ok("compare", workshop.espdl, flipped, "--tolerance", "255", "--input", "test")
    only = tinsmith("compare", workshop.espdl, flipped, "--only", "image", "--all")
    assert (only.code, "1 tensors compared, 1 equal" in only.out) == (0, True)


def test_the_float_model(workshop: Workshop) -> None:
    said = ok("compare", workshop.espdl, workshop.model, "--input", workshop.data, "--samples", "2", "--all")
    assert "samples  2\n" in said
    assert "give --tolerance STEPS for a verdict" in said
    outcome = tinsmith("compare", workshop.espdl, workshop.model, "--input", workshop.data, "--tolerance", "0.1")
    assert outcome.code == 1
    assert "First divergence: tensor 'image': " in outcome.out


def test_what_run_saves_and_a_board_prints(workshop: Workshop, flipped: Path, tmp_path: Path) -> None:
    ok("run", workshop.espdl, "--save-all", tmp_path / "dump")
    assert "inputs   the inputs in the dump\n" in ok("compare", workshop.espdl, tmp_path / "dump")
    ok("run", workshop.espdl, "--save-all", tmp_path / "reals", "--dequantize")
    assert "No divergence." in ok("compare", workshop.espdl, tmp_path / "reals")
    program = package.read(workshop.espdl)
    tensors = package.simulate(program, {"image": images(1)}, save_all=True)
    (tmp_path / "board.log").write_text(log_of(program, tensors))
    assert "board.log (dump, 5 tensors)" in ok("compare", tmp_path / "board.log", workshop.espdl)
    outcome = tinsmith("compare", flipped, tmp_path / "board.log")
    assert outcome.code == 1
    assert "First divergence: tensor 'active' of Conv 'conv'" in outcome.out


def test_files_that_name_no_target(workshop: Workshop, tmp_path: Path) -> None:
    from dataclasses import replace

    program = replace(package.read(workshop.espdl), metadata={})
    package.write(program, tmp_path / "bare.espdl")
    assert "does not record its target" in error("compare", tmp_path / "bare.espdl", tmp_path / "bare.espdl")
    ok("compare", tmp_path / "bare.espdl", tmp_path / "bare.espdl", "--target", "esp32s3")
    assert "names no target: esp32s3 is taken" in ok("compare", workshop.espdl, tmp_path / "bare.espdl")


def test_errors(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "board.log").write_text("@tensor image int8 -5 2,2\n@data 00\n@end\n")
    assert "line 1: holds 1 bytes" in error("compare", workshop.espdl, tmp_path / "board.log")
    assert "matches no tensor or node" in error("compare", workshop.espdl, workshop.espdl, "--only", "spam")
    assert "there is no file or folder" in error("compare", workshop.espdl, workshop.espdl, "--input", "absent.npy")
    assert "does not exist" in error("compare", workshop.espdl, tmp_path / "absent")
    assert "--tolerance" in error("compare", workshop.espdl, workshop.espdl, "--tolerance", "-1")
    np.savez(tmp_path / "other.npz", spam=np.zeros(3))
    assert "no tensor of the same name" in error("compare", workshop.espdl, tmp_path / "other.npz")
