"""Layers that fit the cache, from the recipe to the file and the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import tinsmith
from tests.algorithms.scalable import model
from tests.cli.shell import error, ok
from tests.shared import shared_path
from tests.small_net import classifier, images, saved
from tinsmith.errors import RecipeError
from tinsmith.estimate.latency import latency
from tinsmith.estimate.memory import plan_memory
from tinsmith.ops.floatnode import Array
from tinsmith.quantized import Quantized
from tinsmith.recipe import Recipe
from tinsmith.report.graphwise import graphwise
from tinsmith.report.insight.gather import insight
from tinsmith.targets import find

SHAPE = (1, 64, 3, 3)


def large(*, pairs: bool = False) -> onnx.ModelProto:
    """A residual block with a Conv whose 81 KB of weights do not stay in the ESP32-S3's cache, and a small one."""
    rng = np.random.default_rng(0)
    constants: dict[str, Array] = {
        "w": rng.standard_normal((144, 64, 3, 3)) / 24,
        "b": rng.standard_normal(144) / 9,
        "v": rng.standard_normal((64, 144, 1, 1)) / 12,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="large", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["a"], name="act"),
        helper.make_node("Conv", ["a", "v"], ["s"], name="small"),
        helper.make_node("Add", ["s", "x"], ["y"], name="sum"),
    ]
    made = model(nodes, {"x": SHAPE}, {"y": SHAPE}, constants)
    return _with_pairs(made, {"x": 0.03, "a": 0.02, "s": 0.04}) if pairs else made


def _with_pairs(made: onnx.ModelProto, scales: dict[str, float]) -> onnx.ModelProto:
    """QuantizeLinear and DequantizeLinear behind the values named."""
    graph = made.graph
    for node in graph.node:
        node.input[:] = [f"{name}_d" if name in scales else name for name in node.input]
    nodes = list(graph.node)
    for name, scale in scales.items():
        constants = {f"{name}_scale": np.float32(scale), f"{name}_zero": np.int8(0)}
        graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
        pair = [
            helper.make_node("QuantizeLinear", [name, *constants], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", *constants], [f"{name}_d"]),
        ]
        place = next((at for at, node in enumerate(nodes) if name in node.output), -1) + 1
        nodes[place:place] = pair
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def data(count: int = 12) -> Array:
    return np.random.default_rng(1).standard_normal((count, *SHAPE[1:])).astype(np.float32)


@pytest.fixture(scope="module")
def plain() -> Quantized:
    return tinsmith.quantize(large(), data(), "esp32s3", effort="fast")


@pytest.fixture(scope="module")
def fitted() -> Quantized:
    return tinsmith.quantize(large(), data(), "esp32s3", effort="fast", fit_cache=True)


def fitting(quantized: Quantized) -> list[str]:
    return [note for note in quantized.notes if note.startswith("fit_cache: ")]


def test_notes_say_what_was_split_and_what_that_costs(plain: Quantized, fitted: Quantized) -> None:
    assert [node.name for node in fitted.program.nodes][:3] == ["large_part1", "large_part2", "large_concat"]
    times = [latency(one.program, one.target) for one in (plain, fitted)]
    peaks = [plan_memory(one.program, one.target).peak for one in (plain, fitted)]
    assert times[0] is not None
    assert times[1] is not None
    assert times[1].single_ms < 0.5 * times[0].single_ms
    one = f"{times[0].single_ms:,.1f} → {times[1].single_ms:,.1f} ms on one core"
    two = f"{times[0].dual_ms:,.1f} → {times[1].dual_ms:,.1f} ms on two"
    assert peaks[1] > peaks[0]
    assert fitting(plain) == []
    assert fitting(fitted) == [
        "fit_cache: 1 layer is in parts whose weights stay in the cache: 'large' in 2.",
        f"fit_cache: estimated {one}, {two}; RAM for tensors {peaks[0]:,} → {peaks[1]:,} bytes, "
        "since parts and their Concat are there together.",
    ]


def test_nothing_is_lost(plain: Quantized, fitted: Quantized) -> None:
    """With the same exponents of values, finer ones of weights can only help."""
    chosen, before = fitted.formats.values, plain.formats.values
    assert all(chosen[name] == before[name] for name in ("x", "a", "s", "y"))
    assert {chosen[name].exponent for name in ("act_part1", "act_part2", "a")} == {before["a"].exponent}
    assert not any(node.op_type == "RequantizeLinear" for node in fitted.program.nodes)
    noise = {
        one: sum(error.noise for error in graphwise(one, data()) if error.layer == "sum") for one in (plain, fitted)
    }
    assert 0 < noise[fitted] <= 1.01 * noise[plain]


def test_a_sum_behind_parts_rounds_no_more_often() -> None:
    rng = np.random.default_rng(0)
    constants: dict[str, Array] = {
        "w": rng.standard_normal((64, 128, 3, 3)) / 34,
        "u": rng.standard_normal((128, 64, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "u"], ["c"], name="wide"),
        helper.make_node("Conv", ["c", "w"], ["s"], name="large", pads=[1] * 4),
        helper.make_node("Add", ["s", "x"], ["y"], name="sum"),
    ]
    proto = model(nodes, {"x": SHAPE}, {"y": SHAPE}, constants)
    plain, fitted = (tinsmith.quantize(proto, data(), "esp32s3", effort="fast", fit_cache=fit) for fit in (False, True))
    kinds = [sorted(node.op_type for node in one.program.nodes) for one in (plain, fitted)]
    assert kinds[1] == sorted([*kinds[0], "Concat", "Conv"])
    assert all(fitted.formats.values[name] == plain.formats.values[name] for name in ("x", "c", "s", "y"))


@pytest.mark.parametrize("effort", ["default", "best"])
@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_every_effort_takes_parts(target: str, effort: str) -> None:
    quantized = tinsmith.quantize(large(), data(16), target, effort=effort, fit_cache=True)
    expected = ["large_part1", "large_part2", "large_concat"] if target == "esp32s3" else ["large", "small", "sum"]
    assert [node.name for node in quantized.program.nodes][:3] == expected


def test_a_name_of_the_users_means_all_parts() -> None:
    quantized = tinsmith.quantize(large(), data(), "esp32s3", effort="fast", fit_cache=True, int16=["large"])
    wide = {name for name, decision in quantized.placement.items() if decision.bits == 16}
    assert wide >= {"large_part1", "large_part2", "large_part3", "act_part1", "act_part3", "large_concat"}


def test_layers_go_to_int16_after_they_were_split() -> None:
    quantized = tinsmith.quantize(large(), data(16), "esp32s3", effort="fast", fit_cache=True, int16_budget=1.0)
    assert any(decision.bits == 16 for decision in quantized.placement.values())
    assert len(fitting(quantized)) == 2


def test_a_quantized_model_without_data() -> None:
    """Parts have the range of the value that they are parts of."""
    quantized = tinsmith.quantize(large(pairs=True), None, "esp32s3", fit_cache=True)
    assert len(fitting(quantized)) == 2
    missing = [note for note in quantized.notes if "has no range for" in note]
    assert not any("part" in note for note in missing), missing
    whole = tinsmith.quantize(large(pairs=True), None, "esp32s3")
    assert quantized.formats.values["a"] == whole.formats.values["a"]


def test_nothing_to_split() -> None:
    quantized = tinsmith.quantize(classifier(), images(8), "esp32s3", effort="fast", fit_cache=True)
    assert fitting(quantized) == ["fit_cache: no layer is faster in parts; nothing is split."]
    assert quantized.program.nodes == tinsmith.quantize(classifier(), images(8), "esp32s3", effort="fast").program.nodes


@pytest.mark.parametrize("target", ["esp32c3", "c"])
def test_chips_whose_cache_is_not_known(target: str) -> None:
    with pytest.raises(RecipeError, match=r"fit_cache: no times were measured on .*, only on esp32s3 and esp32p4\."):
        tinsmith.quantize(large(), data(), target, fit_cache=True)


def test_the_recipe_keeps_it(fitted: Quantized) -> None:
    again = Recipe.parse(fitted.program.metadata["recipe"])
    assert again.fit_cache
    assert again == fitted.recipe
    assert "fit_cache = true" in again.toml()
    made = tinsmith.quantize(large(), data(), recipe=again)
    assert made.program == fitted.program
    assert not tinsmith.quantize(large(), data(), recipe=again, fit_cache=False).recipe.fit_cache


def test_the_report_has_the_command_until_it_was_used(plain: Quantized, fitted: Quantized) -> None:
    (action,) = (action for action in insight(plain).actions if "--fit-cache" in action.command)
    assert action.command == "tinsmith quantize MODEL --data DATA --recipe MODEL.espdl --fit-cache -o DIR"
    assert "estimated" in action.effect
    assert action.layers == ("large",)
    assert not any("--fit-cache" in action.command for action in insight(fitted).actions)


def test_files_of_other_tools_get_no_command() -> None:
    program = tinsmith.read(shared_path("golden/published/esp32s3__coco_detect_yolo11n_320_s8_v1.espdl"))
    foreign = insight(program, target="esp32s3")
    assert any("Concat behind" in action.why for action in foreign.actions)
    assert not any(action.command for action in foreign.actions)


def test_reports_find_the_parts(fitted: Quantized) -> None:
    layers = {found.name: found for found in insight(fitted, data(4)).layers}
    assert layers["large_part1"].sources == ("large", "act")
    assert layers["large_part2"].sources == ("large", "act")
    assert layers["large_part1"].accumulated is not None
    assert layers["large_part2"].accumulated is not None


def test_the_command(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", data())
    path = saved(large(), tmp_path / "m.onnx")
    common = ("quantize", path, "--data", tmp_path / "x.npy", "-o", tmp_path / "out", "--fit-cache")
    assert "note: fit_cache: 1 layer is in parts" in ok(*common, "--effort", "fast")
    said = ok(*common[:-1], "--recipe", tmp_path / "out/model.espdl")
    assert "note: fit_cache: 1 layer is in parts" in said
    assert "fit_cache: no times were measured on esp32c3" in error(*common, "--target", "esp32c3")


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_a_whole_network_gets_faster(target: str) -> None:
    """MobileNetV2, of which only shapes matter here."""
    path = shared_path("data/models/mobilenetv2.onnx")
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 3, 224, 224)).astype(np.float32)
    quantized = tinsmith.quantize(path, noise, target, effort="fast", fit_cache=True)
    before = tinsmith.quantize(path, noise, target, effort="fast")
    times = [latency(one.program, find(target)) for one in (before, quantized)]
    assert times[0] is not None
    assert times[1] is not None
    assert times[1].single_ms < (0.5 if target == "esp32s3" else 0.7) * times[0].single_ms
    assert times[1].dual_ms < (0.5 if target == "esp32s3" else 0.7) * times[0].dual_ms
