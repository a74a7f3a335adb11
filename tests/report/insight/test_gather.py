"""Everything about a model, gathered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.small_net import classifier, images
from tinsmith.errors import DataError, RecipeError, TinsmithError
from tinsmith.espdl.encoder import encode
from tinsmith.estimate.boards import own_board
from tinsmith.estimate.latency import latency
from tinsmith.estimate.memory import plan_memory
from tinsmith.estimate.parameters import parameter_bytes
from tinsmith.quantized import Quantized
from tinsmith.report.evaluate import evaluate
from tinsmith.report.graphwise import graphwise
from tinsmith.report.insight.files import report_name, save_report
from tinsmith.report.insight.gather import insight
from tinsmith.report.insight.json_text import to_json
from tinsmith.report.insight.lines import verdict_lines
from tinsmith.report.insight.schema import Insight
from tinsmith.report.layerwise import layerwise
from tinsmith.targets import find


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return tinsmith.quantize(classifier(), images(12), target="esp32s3", effort="fast")


@pytest.fixture(scope="module")
def whole(quantized: Quantized) -> Insight:
    return insight(quantized, images(12))


def test_costs_are_those_of_the_program(quantized: Quantized, whole: Insight) -> None:
    program, target = quantized.program, quantized.target
    plan, times = plan_memory(program, target), latency(program, target)
    assert times is not None
    assert whole.memory.flash == len(encode(program))
    assert whole.memory.parameters == parameter_bytes(program)
    assert (whole.memory.peak, whole.memory.live) == (plan.peak, plan.live)
    assert whole.speed is not None
    assert (whole.speed.single_ms, whole.speed.dual_ms) == (times.single_ms, times.dual_ms)
    assert [layer.name for layer in whole.layers] == [node.name for node in program.nodes]
    assert [layer.single_ms for layer in whole.layers] == [node.single_ms for node in times.nodes]


def test_errors_are_those_of_the_analysis(quantized: Quantized, whole: Insight) -> None:
    accumulated = {error.layer: error.noise for error in graphwise(quantized, images(12))}
    alone = {error.layer: error.noise for error in layerwise(quantized, images(12))}
    found = {layer.name: layer for layer in whole.layers if layer.accumulated is not None}
    assert found.keys() == accumulated.keys()
    for name, layer in found.items():
        assert layer.accumulated is not None
        assert layer.alone is not None
        assert (layer.accumulated.ratio, layer.alone.ratio) == (accumulated[name], alone[name])
        assert layer.histogram is not None
        assert layer.histogram.tensor == layer.outputs[0]
        assert sum(layer.histogram.counts) > 0
    assert found["conv"].sources == ("conv", "relu")
    assert found["conv"].activation == "Relu"
    assert found["conv"].channels is not None
    assert len(found["conv"].channels.largest) == 8


def test_outputs_are_beside_the_float_model(quantized: Quantized, whole: Insight) -> None:
    expected = evaluate(quantized.program, images(12), float_model=quantized.model)
    (output,) = whole.outputs
    assert output.name == "scores"
    assert output.noise.snr_db == expected.outputs["scores"].snr_db
    assert output.agreement == expected.agreement


def test_samples_are_spread_over_the_data(quantized: Quantized) -> None:
    sorted_data = np.concatenate([images(40), 3 * images(40, seed=2)])
    first, spread = insight(quantized, sorted_data[:4]), insight(quantized, sorted_data, samples=4)
    assert spread.samples == first.samples == 4
    chosen = insight(quantized, sorted_data[[0, 20, 40, 60]])
    assert spread.outputs == chosen.outputs != first.outputs


def test_preprocessing_of_the_recipe_applies_once() -> None:
    raw = 255 * np.abs(images(12))
    prepared = tinsmith.quantize(classifier(), raw, target="esp32p4", effort="fast", mean=100.0, std=64.0)
    expected = evaluate(prepared.program, raw, float_model=prepared.model, mean=100.0, std=64.0)
    (output,) = insight(prepared, raw).outputs
    assert output.noise.snr_db == expected.outputs["scores"].snr_db


def test_without_data_only_costs_are_known(quantized: Quantized) -> None:
    found = insight(quantized)
    assert found.samples == 0
    assert found.outputs == ()
    assert all(layer.accumulated is None and layer.histogram is None for layer in found.layers)
    assert {finding.question: finding.state for finding in found.findings}["accuracy"] == "unknown"


def test_a_program_has_the_same_costs(quantized: Quantized) -> None:
    of_program, of_quantized = insight(quantized.program), insight(quantized)
    assert (of_program.memory, of_program.speed) == (of_quantized.memory, of_quantized.speed)
    with pytest.raises(DataError, match="nothing to compare samples with"):
        insight(quantized.program, images(2))


def test_a_program_without_target_needs_one(quantized: Quantized) -> None:
    from dataclasses import replace

    bare = replace(quantized.program, metadata={})
    with pytest.raises(RecipeError, match="does not record its target"):
        insight(bare)
    found = insight(bare, target=find("esp32c3"))
    assert found.speed is None
    assert "No times were measured on esp32c3" in next(f.detail for f in found.findings if f.question == "speed")


def test_boards(quantized: Quantized) -> None:
    assert len(insight(quantized).boards) > 5
    (fit,) = insight(quantized, board="n8r2").boards
    assert (fit.board, fit.fits) == ("esp32s3 N8R2", True)
    (fit,) = insight(quantized, board="ESP32-S3-EYE", file_bytes=2**23).boards
    assert not fit.fits
    assert fit.missing[0].startswith("flash:")
    with pytest.raises(RecipeError, match="has the chip esp32p4"):
        insight(quantized, board="ESP32-P4-EYE")


def test_parameters_stay_in_flash_where_the_board_has_no_room_for_them(quantized: Quantized) -> None:
    plan, parameters = plan_memory(quantized.program, quantized.target), parameter_bytes(quantized.program)
    tight = own_board("esp32s3", 2**23, 0, internal=plan.peak + parameters // 2)
    found = insight(quantized, board=tight)
    assert found.speed is not None
    assert found.speed.parameters == "flash"
    assert found.speed.single_ms == found.speed.flash_ms
    assert "param_copy = false" in next(f.detail for f in found.findings if f.question == "memory")


def test_lines_say_what_the_values_say(whole: Insight) -> None:
    text = "\n".join(verdict_lines(whole))
    for finding in whole.findings:
        assert finding.headline in text
    assert len(verdict_lines(whole)) <= 24


def test_json_has_the_names_of_the_schema(whole: Insight) -> None:
    facts = json.loads(to_json(whole))
    assert facts["schema"] == 1
    assert facts["memory"]["peak"] == whole.memory.peak
    assert [layer["name"] for layer in facts["layers"]] == [layer.name for layer in whole.layers]


def test_infinite_numbers_are_null_in_json(whole: Insight) -> None:
    from dataclasses import replace

    silent = replace(whole.outputs[0], noise=replace(whole.outputs[0].noise, ratio=float("inf")))
    assert json.loads(to_json(replace(whole, outputs=(silent,))))["outputs"][0]["noise"]["ratio"] is None


def test_saving_replaces_both_files_or_none(whole: Insight, tmp_path: Path) -> None:
    saved = save_report(whole, tmp_path / "new")
    assert saved.html.read_text("utf-8").startswith("<!")
    assert json.loads(saved.json.read_text("utf-8"))["model"] == whole.model
    blocked = tmp_path / "blocked"
    (blocked / "report.json").mkdir(parents=True)
    with pytest.raises(TinsmithError, match="cannot be written"):
        save_report(whole, blocked)
    assert [path.name for path in blocked.iterdir()] == ["report.json"]


def test_names_of_reports() -> None:
    assert report_name("model") == "report"
    assert report_name("digits") == "digits-report"


def test_parameters_are_copied_where_the_board_has_room(monkeypatch: pytest.MonkeyPatch, quantized: Quantized) -> None:
    monkeypatch.setattr("tinsmith.estimate.latency.ROOM", 0.0)
    usual, asked = insight(quantized).speed, insight(quantized, board="N8R8").speed
    assert usual is not None
    assert asked is not None
    assert (usual.parameters, asked.parameters) == ("flash", "psram")
