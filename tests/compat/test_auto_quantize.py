"""`espdl_auto_quantize_onnx`: settings are tried, judged exactly and kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests import small_net
from tinsmith.compat.esp_ppq.autoquant.candidates import best, low_latency_candidate_filter
from tinsmith.compat.esp_ppq.autoquant.interface import espdl_auto_quantize_onnx
from tinsmith.compat.esp_ppq.autoquant.search import Candidate, candidates, search, strategies
from tinsmith.compat.esp_ppq.autoquant.setting import AutoQuantSearchSetting, load_best_setting
from tinsmith.errors import DataError, FormatError, RecipeError

Batches = list[np.ndarray]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_net.saved(small_net.classifier(), tmp_path_factory.mktemp("auto") / "net.onnx")


def _setting(folder: Path, **options: Any) -> AutoQuantSearchSetting:
    """Two ways."""
    setting = AutoQuantSearchSetting(run_dir=str(folder / "run"), **options)
    setting.param_space["effort"]["value"] = ["fast"]
    setting.param_space["calib_algorithm"]["method"] = ["mse", "minmax"]
    return setting


def _noise(graph: Any) -> tuple[float, dict[str, float]]:
    """Squared distance to the float model, and how often the classes agree."""
    images = small_net.images(32, seed=11)
    found = tinsmith.dequantize(graph.program, graph.quantized.simulate(images))["scores"]
    model = small_net.classifier()
    agreed = float((found.argmax(1) == small_net.answers(model, images)).mean())
    import onnxruntime

    (real,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": images})
    return float(((found - real) ** 2).mean()), {"agreed": agreed}


def _searched(
    path: Path,
    folder: Path,
    setting: AutoQuantSearchSetting,
    evaluate: Callable[[Any], Any] | None = _noise,
    shape: Any = (3, 8, 8),
) -> list[dict[str, Any]]:
    data = [image[None] for image in small_net.images(32)]
    export = folder / "out" / "best.espdl"
    return espdl_auto_quantize_onnx(
        str(path), str(export), data, 32, shape, evaluate, target="esp32s3", setting=setting
    )


def test_all_ways_are_tried_and_the_best_is_written(tmp_path: Path, path: Path) -> None:
    setting = _setting(tmp_path, score_direction="minimize", num_of_candidates=2)
    setting.strategy_space["effort"] = [True, False]
    setting.param_space["calib_algorithm"]["method"] = ["minmax"]
    found = _searched(path, tmp_path, setting)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert len(summary) == 2
    assert [one["score"] for one in found] == sorted(one["score"] for one in summary)
    assert found == json.loads((tmp_path / "run" / "candidates.json").read_text())
    for record in summary:
        folder = Path(record["folder"])
        assert {file.name for file in folder.iterdir()} == {*record["files"], "config.json"}
        params = record["params"]
        quantized = tinsmith.quantize(
            path,
            small_net.images(32),
            "esp32s3",
            effort=(params["effort"] or {"value": "default"})["value"],
            calibration=params["calib_algorithm"]["method"],
        )
        program = tinsmith.read(folder / "best.espdl")
        image = small_net.images(2, seed=3)
        assert np.array_equal(
            tinsmith.simulate(program, {"image": image})["scores"], quantized.simulate(image)["scores"]
        )
        assert 0 <= record["agreed"] <= 1
    written = tmp_path / "out" / "best.espdl"
    assert written.read_bytes() == (Path(found[0]["folder"]) / "best.espdl").read_bytes()
    assert {file.name for file in written.parent.iterdir()} == {"best.espdl", "best.info", "best.json"}


@pytest.mark.parametrize("shape", [[3, 8, 8], [1, 3, 8, 8], [[1, 3, 8, 8]]])
def test_the_batch_may_be_left_out(tmp_path: Path, path: Path, shape: Any) -> None:
    setting = _setting(tmp_path, score_direction="minimize")
    setting.param_space["calib_algorithm"]["method"] = ["minmax"]
    assert len(_searched(path, tmp_path, setting, lambda graph: (1.0, {}), shape)) == 1


def test_ways_that_come_to_the_same_are_tried_once(tmp_path: Path, path: Path) -> None:
    setting = _setting(tmp_path, score_direction="minimize")
    setting.strategy_space["bias_correction"] = [True, False]
    setting.param_space["fusion_alignment"]["force_overlap"] = [True, False]
    calls: list[Any] = []

    def evaluate(graph: Any) -> tuple[float, dict[str, float]]:
        calls.append(graph)
        return float(len(calls)), {}

    _searched(path, tmp_path, setting, evaluate)
    assert len(calls) == 2


def test_a_search_goes_on_where_it_stopped(tmp_path: Path, path: Path) -> None:
    count = 0

    def stopping(graph: Any) -> tuple[float, dict[str, float]]:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return _noise(graph)

    setting = _setting(tmp_path, score_direction="minimize")
    with pytest.raises(KeyboardInterrupt):
        _searched(path, tmp_path, setting, stopping)
    assert len(json.loads((tmp_path / "run" / "summary.json").read_text())) == 1
    setting.resume = True
    found = _searched(path, tmp_path, setting, stopping)
    assert count == 3
    assert sorted(one["index"] for one in found) == [0, 1]
    straight = _searched(path, tmp_path, _setting(tmp_path / "again", score_direction="minimize"))
    assert [one["score"] for one in found] == [one["score"] for one in straight]


def test_a_new_search_takes_away_the_old_one_and_nothing_else(tmp_path: Path, path: Path) -> None:
    _searched(path, tmp_path, _setting(tmp_path, score_direction="minimize"))
    mine = tmp_path / "run" / "0007"
    mine.mkdir()
    (mine / "file").write_text("mine")
    setting = _setting(tmp_path, score_direction="minimize")
    setting.param_space["calib_algorithm"]["method"] = ["kl"]
    _searched(path, tmp_path, setting)
    folders = {folder.name for folder in (tmp_path / "run").iterdir() if folder.is_dir()}
    assert folders == {"0000", "0007"}


def test_without_a_function_the_layers_noise_decides(tmp_path: Path, path: Path) -> None:
    pytest.importorskip("torch", reason="the analysis takes tensors")
    found = _searched(path, tmp_path, _setting(tmp_path), None)
    scores = [one["score"] for one in found]
    assert scores == sorted(scores)
    assert found[0]["topn_mean_error"] == found[0]["score"]
    config = json.loads((Path(found[0]["folder"]) / "config.json").read_text())
    assert config["runtime"]["score_direction"] == "minimize"


def test_layers_of_large_error_run_in_int16(tmp_path: Path, path: Path) -> None:
    pytest.importorskip("torch", reason="the analysis takes tensors")
    setting = _setting(tmp_path, score_direction="minimize")
    setting.param_space["calib_algorithm"]["method"] = ["mse"]
    setting.strategy_space["mixed_precision"] = [False, True]
    setting.param_space["mixed_precision"]["topk"] = [1]
    widths: list[set[int]] = []

    def evaluate(graph: Any) -> tuple[float, dict[str, float]]:
        widths.append({decision.bits for decision in graph.quantized.placement.values()})
        return _noise(graph)

    found = _searched(path, tmp_path, setting, evaluate)
    assert widths[0] == {8}
    assert 16 in widths[1]
    assert found[0]["strategy"]["mixed_precision"]


def test_an_int16_budget_is_one_of_the_ways(tmp_path: Path, path: Path) -> None:
    setting = _setting(tmp_path, score_direction="minimize")
    setting.param_space["calib_algorithm"]["method"] = ["mse"]
    setting.param_space["effort"]["value"] = ["default"]
    setting.strategy_space["int16_budget"] = [True]
    setting.param_space["int16_budget"]["share"] = [0.2]
    recipes: list[Any] = []

    def evaluate(graph: Any) -> tuple[float, dict[str, float]]:
        recipes.append(graph.quantized.recipe)
        return 0.0, {}

    _searched(path, tmp_path, setting, evaluate)
    assert [recipe.int16_budget for recipe in recipes] == [0.2]


def test_the_best_setting_is_loaded_back(tmp_path: Path, path: Path) -> None:
    found = _searched(path, tmp_path, _setting(tmp_path, score_direction="minimize"))
    again = load_best_setting(tmp_path / "run" / "candidates.json", score_direction="minimize", candidate_index=1)
    assert again.run_dir == str(tmp_path / "run" / "best")
    (record,) = _searched(path, tmp_path, again)
    assert (record["score"], record["params"]) == (found[1]["score"], found[1]["params"])
    with pytest.raises(FormatError, match="no number 9"):
        load_best_setting(tmp_path / "run" / "candidates.json", candidate_index=9)
    with pytest.raises(FormatError, match="cannot be read"):
        load_best_setting(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (0.5, r"returned 0\.5"),
        ((0.5,), "returned"),
        ((True, {}), "no finite number"),
        ((math.nan, {}), "no finite number"),
        (("1", {}), "no finite number"),
        ((1.0, [2]), "a list beside the score"),
        ((1.0, {"index": 3}), "'index', which the search writes itself"),
    ],
)
def test_results_that_are_no_scores(tmp_path: Path, path: Path, result: Any, said: str) -> None:
    setting = _setting(tmp_path)
    with pytest.raises(DataError, match=said):
        _searched(path, tmp_path, setting, lambda graph: result)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: setattr(s, "search_mode", "random"), "search_mode: there is no 'random'"),
        (lambda s: setattr(s, "score_direction", "up"), "score_direction"),
        (lambda s: setattr(s, "num_of_candidates", 0), "num_of_candidates: is 0"),
        (lambda s: s.strategy_space.update(equalization=[True]), "there is no such module"),
        (lambda s: s.strategy_space.update(effort=True), "Give \\[True\\], \\[False\\] or both"),
        (lambda s: s.param_space["effort"].update(values=[1]), "there is no such option"),
        (lambda s: s.param_space["effort"].update(value="best"), "Give a list of values"),
        (lambda s: s.param_space["effort"].update(value=["hard"]), "effort"),
        (lambda s: s.param_space["calib_algorithm"].update(method=["kll"]), "Did you mean 'kl'"),
        (lambda s: s.strategy_space.update(tqt=[True]), "needs gradients"),
    ],
)
def test_searches_that_cannot_be_had(tmp_path: Path, path: Path, change: Callable[[Any], None], said: str) -> None:
    setting = _setting(tmp_path)
    change(setting)
    with pytest.raises(RecipeError, match=said):
        _searched(path, tmp_path, setting)


def test_what_needs_gradients_is_left_out(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setting = _setting(tmp_path, score_direction="minimize")
    setting.strategy_space["tqt"] = [True, False]
    found = _searched(path, tmp_path, setting)
    assert not any(one["strategy"]["tqt"] for one in found)
    assert "need gradients and are left out" in capsys.readouterr().out


def test_damaged_runs_are_not_resumed(tmp_path: Path, path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").write_text("[1]")
    with pytest.raises(FormatError, match="no list of records"):
        _searched(path, tmp_path, _setting(tmp_path, resume=True))


def _record(index: int, score: float, wide: bool) -> dict[str, Any]:
    return {"index": index, "score": score, "strategy": {"mixed_precision": wide}}


def test_half_of_what_is_kept_costs_no_time() -> None:
    records = [_record(0, 1.0, False), _record(1, 5.0, True), _record(2, 4.0, True), _record(3, 2.0, False)]
    kept = best(records, 2, "maximize", low_latency_candidate_filter)
    assert [one["index"] for one in kept] == [1, 3]
    assert [one["index"] for one in best(records, 2, "maximize", None)] == [1, 2]
    assert [one["index"] for one in best(records, 9, "minimize", low_latency_candidate_filter)] == [0, 3, 2, 1]
    assert [one["index"] for one in best(records[:1], 3, "minimize", low_latency_candidate_filter)] == [0]


def test_the_fast_way_begins_with_the_structure_and_stops() -> None:
    setting = AutoQuantSearchSetting(search_mode="fast")
    setting.strategy_space = {"calib_algorithm": [True], "effort": [True], "mixed_precision": [True, False]}
    setting.param_space = {
        "calib_algorithm": {"method": ["kl", "mse"]},
        "effort": {"value": ["default", "best"]},
        "mixed_precision": {"topk": (1, 9, 1)},
    }
    setting.top_strategy, setting.early_stop_patience = 1, 3
    tried: list[Candidate] = []

    def attempt(one: Candidate) -> float:
        tried.append(one)
        method = (one.params["calib_algorithm"] or {})["method"]
        wide = (one.params["mixed_precision"] or {"topk": 0})["topk"]
        return float((method == "mse") + min(wide, 3))

    search(setting, attempt, "maximize")
    first = [(one.params["calib_algorithm"], one.params["mixed_precision"]) for one in tried[:4]]
    assert first == [
        ({"method": "kl"}, {"topk": 1}),
        ({"method": "mse"}, {"topk": 1}),
        ({"method": "kl"}, None),
        ({"method": "mse"}, None),
    ]
    assert all(one.params["calib_algorithm"] == {"method": "mse"} for one in tried[4:])
    assert [(one.params["mixed_precision"] or {})["topk"] for one in tried[4:]] == [2, 3, 4, 5, 6]
    assert len(list(candidates(setting))) == 2 * 2 * 9 + 2 * 2
    assert len(strategies(setting)) == 2
