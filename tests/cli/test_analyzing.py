"""``tinsmith analyze``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.shell import ok
from tests.small_net import classifier, images, saved


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("analyze")
    np.save(folder / "data.npy", images(12))
    return saved(classifier(), folder / "net.onnx"), folder / "data.npy"


def layers(text: str) -> list[str]:
    rows = [line.split() for line in text.splitlines()]
    return [row[0] for row in rows if len(row) > 2 and row[2] in ("int8", "int16")]


def test_layers_with_their_errors(files: tuple[Path, Path]) -> None:
    model, data = files
    said = ok("analyze", model, "--data", data, "--target", "esp32p4", "--effort", "fast")
    assert sorted(layers(said)) == ["conv", "gemm", "pool"]
    assert "alone" not in said
    assert "%" in said


def test_each_layer_alone(files: tuple[Path, Path]) -> None:
    model, data = files
    said = ok("analyze", model, "--data", data, "--on", data, "--analyzed", "3", "--layerwise", "--worst", "2",
              "--int16", "gemm")  # fmt: skip
    assert "alone" in said
    assert len(layers(said)) == 2
