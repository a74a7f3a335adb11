"""``tinsmith calibration``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok, rows
from tests.small_net import images


def test_data_that_are_fine(workshop: Workshop, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.concatenate([images(200), images(200)[::-1]]))
    said = ok("calibration", workshop.model, "--data", tmp_path / "x.npy")
    assert said.splitlines()[:3] == [
        "samples    400, the first 256 looked at one by one",
        "stability  stable: 0 of 4 values would take another exponent from half of the samples",
        "outliers   none",
    ]


def test_data_that_are_not(workshop: Workshop, tmp_path: Path) -> None:
    data = images(16)
    data[3] *= 20
    data[5] = data[4]
    data[7] = 0
    np.save(tmp_path / "bad.npy", data)
    said = rows(ok("calibration", workshop.model, "--data", tmp_path / "bad.npy"))
    facts = {line[0]: line[1:] for line in said[:5]}
    assert facts["samples"] == ["16"]
    assert facts["stability"][:2] == ["add", "samples:"]
    assert facts["outliers"] == ["1"]
    assert facts["repeated"] == [f"{tmp_path}/bad.npy[5]", "as", f"{tmp_path}/bad.npy[4]"]
    assert facts["constant"] == [f"{tmp_path}/bad.npy[7]"]
    assert ["outlier", "reaches", "furthest", "at", "times", "the", "others", "values"] in said
    assert ["value", "exponent", "one", "half", "the", "other", "error", "in", "dB"] in said


def test_methods_side_by_side(workshop: Workshop) -> None:
    said = rows(ok("calibration", workshop.model, "--data", workshop.calibration, "--methods"))
    start = said.index(["value", "layer", "smallest", "largest", "minmax", "mse", "percentile", "kl"])
    assert [line[0] for line in said[start + 2 :]] == ["image", "active", "pooled", "scores"]
    assert said[start + 3][1] == "relu"


def test_few_samples(workshop: Workshop, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images(3))
    said = ok("calibration", workshop.model, "--data", tmp_path / "x.npy")
    assert "stability  cannot be told from fewer than 4 samples: add samples\n" in said
    assert "outliers   cannot be told from fewer than 16 samples\n" in said


def test_options_are_those_of_quantize(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("samples = 6\n", "utf-8")
    common = ("calibration", workshop.model, "--data", workshop.calibration)
    assert rows(ok(*common, "--recipe", tmp_path / "r.toml"))[0] == ["samples", "6"]
    assert rows(ok(*common, "--recipe", tmp_path / "r.toml", "--samples", "5", "--mean", "0.5"))[0] == ["samples", "5"]
    assert "unknown target 'esp33'" in error(*common, "--target", "esp33")
    assert "Missing option '--data'" in error("calibration", workshop.model)
