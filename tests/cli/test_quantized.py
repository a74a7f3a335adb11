"""``tinsmith quantize`` with models that are quantized already."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok
from tests.quantized_net import with_pairs
from tests.small_net import classifier, saved


def test_a_quantized_model_needs_no_data(workshop: Workshop, tmp_path: Path) -> None:
    paired = saved(with_pairs(classifier()), tmp_path / "qdq.onnx")
    said = ok("quantize", paired, "-o", tmp_path / "build")
    assert "note: no calibration data: formats follow the ranges that the model brings." in said
    ok("quantize", paired, "--data", workshop.calibration, "-o", tmp_path / "build")


def test_a_float_model_needs_data(workshop: Workshop, tmp_path: Path) -> None:
    said = error("quantize", workshop.model, "-o", tmp_path / "build")
    assert "Give calibration data" in said
    assert "--data" in said
