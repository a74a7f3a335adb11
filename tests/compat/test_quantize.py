"""`espdl_quantize_onnx`: files, data, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import tinsmith
from tests.small_net import classifier, images, saved
from tinsmith.compat.esp_ppq.api import (
    QuantizationSetting,
    QuantizationSettingFactory,
    espdl_quantize_onnx,
    export_ppq_graph,
    get_target_platform,
    insert_streaming_cache_on_var,
    load_native_graph,
    load_onnx_graph,
    quantize_native_model,
    quantize_onnx_model,
)
from tinsmith.compat.esp_ppq.api.interface import dispatch_graph
from tinsmith.compat.esp_ppq.core import TargetPlatform
from tinsmith.compat.esp_ppq.IR import BaseGraph
from tinsmith.errors import DataError, FormatError, ModelError, ProgramError, RecipeError

BATCHES = [images(3, seed) for seed in range(2)]
"""Too few to tune, which makes tests fast."""
ENOUGH = [images(4, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(classifier(), tmp_path_factory.mktemp("float") / "net.onnx")


def quantized(model: Path, path: Path, **options: Any) -> BaseGraph:
    given = {"calib_dataloader": BATCHES, "calib_steps": 2, "input_shape": [1, 3, 8, 8], "error_report": False}
    return espdl_quantize_onnx(str(model), str(path), **{**given, **options})


def test_three_files_lie_beside_each_other(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = model.read_bytes()
    path = tmp_path / "new" / "folder" / "net.espdl"
    graph = quantized(model, path, target="esp32s3")
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.espdl", "net.info", "net.json"]
    assert model.read_bytes() == before
    assert graph.quantized is not None
    assert tinsmith.read(path) == graph.quantized.program
    assert "esp32s3" in capsys.readouterr().out


def test_it_is_what_quantize_gives(model: Path, tmp_path: Path) -> None:
    graph = quantized(model, tmp_path / "net.espdl", calib_dataloader=ENOUGH, target="esp32p4")
    own = tinsmith.quantize(model, ENOUGH[:2], "esp32p4", input_shapes={"image": (1, 3, 8, 8)})
    assert graph.program == own.program


def test_nothing_is_written_if_asked(model: Path, tmp_path: Path) -> None:
    quantized(model, tmp_path / "a" / "net.espdl", skip_export=True)
    quantized(model, tmp_path / "b" / "net.espdl", export_config=False)
    assert [path.name for path in sorted(tmp_path.rglob("*.*"))] == ["net.espdl"]


def test_test_values_are_the_sample_and_its_exact_outputs(model: Path, tmp_path: Path) -> None:
    sample = images(1, 9)
    path = tmp_path / "net.espdl"
    graph = quantized(model, path, inputs=[sample], export_test_values=True, test_output_names=["pooled", "scores"])
    program = tinsmith.read(path)
    assert graph.quantized is not None
    found = graph.quantized.simulate(sample, save_all=True)
    assert {name: array.tolist() for name, array in program.test_outputs.items()} == {
        name: found[name].tolist() for name in ("pooled", "scores")
    }
    assert program.test_inputs["image"].tolist() == found["image"].tolist()
    quantized(model, path, export_test_values=True)
    assert list(tinsmith.read(path).test_outputs) == ["scores"]


def test_options_of_the_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.espdl"
    quantized(model, path, metadata_props={"author": "me"}, model_version=7, hi_precision=True, int16_lut_step=32)
    program = tinsmith.read(path)
    assert (program.metadata["author"], program.model_version) == ("me", 7)
    for options, message in (
        ({"metadata_props": {"target": "x"}}, "'target' is written by tinsmith"),
        ({"metadata_props": {"a": 1}}, "takes text"),
        ({"model_version": "7"}, "is '7', not a number"),
    ):
        with pytest.raises(RecipeError, match=message):
            quantized(model, path, **options)


def test_an_encrypted_file_has_its_key_beside_it(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    path = tmp_path / "net.espdl"
    graph = quantized(model, path, encrypt_data=True)
    assert tinsmith.espdl.read(path, key=tinsmith.espdl.read_key(tmp_path / "net.key")) == graph.program


@pytest.mark.parametrize("loader", ["batches", "labels", "dicts", "samples", "generator"])
def test_data_come_in_many_forms(model: Path, tmp_path: Path, loader: str) -> None:
    loaders: dict[str, Any] = {
        "batches": BATCHES,
        "labels": [(batch, np.zeros(3, np.int64)) for batch in BATCHES],
        "dicts": [{"image": batch} for batch in BATCHES],
        "samples": [row for batch in BATCHES for row in batch],
        "generator": (batch for batch in BATCHES),
    }
    steps = 6 if loader == "samples" else 2
    graph = quantized(model, tmp_path / "net.espdl", calib_dataloader=loaders[loader], calib_steps=steps)
    assert graph.program == quantized(model, tmp_path / "again.espdl").program


def test_the_error_report_is_printed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    once = (batch for batch in BATCHES)
    quantized(model, tmp_path / "net.espdl", calib_dataloader=once, error_report=True, verbose=1)
    printed = capsys.readouterr().out
    assert printed.count("NOISE:SIGNAL POWER RATIO") == 2, "graphwise and layerwise"
    assert "GlobalAveragePool" in printed, "what became of each layer"


def test_collate_fn_is_applied(model: Path, tmp_path: Path) -> None:
    doubled = [(batch * 2, "label") for batch in BATCHES]
    graph = quantized(model, tmp_path / "a.espdl", calib_dataloader=doubled, collate_fn=lambda batch: batch[0] / 2)
    assert graph.program == quantized(model, tmp_path / "b.espdl").program


def test_loaders_without_a_batch_are_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"calib_dataloader\(\): there are no samples"):
        quantized(model, tmp_path / "net.espdl", calib_dataloader=[])


def test_wrong_data_are_told(model: Path, tmp_path: Path) -> None:
    for loader, steps, error, message in (
        ([images(2, size=9)], 1, DataError, r"shape \(3, 9, 9\), the model takes \(1, 3, 8, 8\)"),
        ([], 1, DataError, "there are no samples"),
        (3, 1, DataError, "a int holds no samples"),
        (BATCHES, 0, RecipeError, "calib_steps: is 0"),
    ):
        with pytest.raises(error, match=message):
            quantized(model, tmp_path / "net.espdl", calib_dataloader=loader, calib_steps=steps)
    assert list(tmp_path.iterdir()) == []


def test_the_shape_is_that_of_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = saved(classifier(batch=1), tmp_path / "fixed.onnx")
    opened = saved(classifier(size="S"), tmp_path / "open.onnx")
    path = tmp_path / "net.espdl"
    for shape in ([1, 3, 8, 8], [[1, 3, 8, 8]], (1, 3, 8, 8), None):
        assert quantized(fixed, path, input_shape=shape).inputs["image"].shape == [1, 3, 8, 8]
    assert quantized(opened, path, input_shape=[16, 3, 8, 8]).inputs["image"].shape == [1, 3, 8, 8]
    assert "the batch of 'image' is 1" in capsys.readouterr().out
    wrong: list[tuple[Path, Any, type[Exception], str]] = [
        (fixed, [1, 3, 9, 9], DataError, "is not the shape of input 'image'"),
        (opened, [1, 4, 8, 8], DataError, "does not fit input 'image'"),
        (opened, [[1, 3, 8, 8], [1]], RecipeError, "has 2 shapes, the model 1 inputs"),
        (opened, "8x8", RecipeError, "is no shape"),
        (opened, [1, 3, 0, 8], RecipeError, "is no shape"),
    ]
    for source, given, error, message in wrong:
        with pytest.raises(error, match=message):
            quantized(source, path, input_shape=given)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"auto_streaming": True}, "auto_streaming: .*not made yet"),
    ({"streaming_table": [insert_streaming_cache_on_var("features", 3)]}, "streaming_table: .*not made yet"),
    ({"quant_type": "w8a16"}, "w8a16"),
    ({"quant_type": "none"}, "FP32: layers run in int8 or int16"),
    ({"num_of_bits": 4}, "num_of_bits: there is no 4"),
    ({"eror_report": False}, "no argument 'eror_report'. Did you mean 'error_report'"),
    ({"target": "esp32s4"}, "unknown target 'esp32s4'. Did you mean 'esp32s3'"),
    ({"metadata_prop": {}}, "no argument 'metadata_prop'. Did you mean 'metadata_props'"),
    ({"dispatching_method": "all"}, "there is no 'all'. Did you mean 'allin'"),
    ({"dispatching_override": {"con": TargetPlatform.ESPDL_INT16}}, "no operator 'con'. Did you mean 'conv'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[next(iter(options)) for options, _ in REFUSED])
def test_refusals(model: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        quantized(model, tmp_path / "net.espdl", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx"):
        quantized(tmp_path / "none.onnx", tmp_path / "net.espdl")


@pytest.mark.parametrize("way", ["override", "table"])
def test_layers_are_dispatched(model: Path, tmp_path: Path, way: str) -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    platform = get_target_platform("esp32p4", 16)
    options: dict[str, Any] = {"setting": setting} if way == "table" else {"dispatching_override": {"gemm": platform}}
    setting.dispatching_table.append("gemm", platform)
    graph = quantized(model, tmp_path / "net.espdl", **options)
    platforms = {name: operation.platform.name for name, operation in graph.operations.items()}
    assert platforms["gemm"] == "ESPDL_INT16"
    assert platforms["conv"] == "ESPDL_INT8"


def _equalized(setting: QuantizationSetting) -> None:
    setting.equalization = True
    setting.equalization_setting.iterations = 3
    setting.equalization_setting.interested_layers = ["conv"]


def _split(setting: QuantizationSetting) -> None:
    setting.weight_split = True
    setting.weight_split_setting.interested_layers = ["gemm"]
    setting.weight_split_setting.value_threshold = 1.0


def _doubled(setting: QuantizationSetting) -> None:
    setting.channel_split = True


def _by_hand(setting: QuantizationSetting) -> None:
    setting.quant_config_modify = True
    setting.quant_config_modify_setting.custom_config = {"gemm": 0.5}


def _of_a_layer(setting: QuantizationSetting) -> None:
    setting.quantize_activation_setting.calib_algorithm = "percentile"
    setting.quantize_activation_setting.calib_algorithm_per_layer = {"conv": "kl"}


CHANGES: list[tuple[Callable[[QuantizationSetting], None], Callable[[tinsmith.Quantized], bool]]] = [
    (_equalized, lambda q: q.recipe.algorithms == ("classic_equalize", "round")),
    (_split, lambda q: [node.op_type for node in q.network.nodes].count("Gemm") == 2),
    (_doubled, lambda q: "split 1 (channels)" in " ".join(q.notes)),
    (_by_hand, lambda q: q.formats.values["scores"].exponent == -1),
    (_of_a_layer, lambda q: [scope.calibration for scope in q.recipe.scopes] == ["kl"]),
]


@pytest.mark.parametrize(("change", "holds"), CHANGES, ids=[change.__name__.strip("_") for change, _ in CHANGES])
def test_options_do_what_the_table_says(
    model: Path,
    tmp_path: Path,
    change: Callable[[QuantizationSetting], None],
    holds: Callable[[tinsmith.Quantized], bool],
) -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    change(setting)
    before = setting.plain()
    graph = quantized(model, tmp_path / "net.espdl", setting=setting, target="esp32s3")
    assert graph.quantized is not None
    assert holds(graph.quantized)
    assert setting.plain() == before


@pytest.mark.parametrize(
    ("options", "bits"), [({"num_of_bits": 16}, 16), ({"quant_type": "w16a16", "num_of_bits": 8}, 16), ({}, 8)]
)
def test_widths(model: Path, tmp_path: Path, options: dict[str, Any], bits: int) -> None:
    graph = quantized(model, tmp_path / "net.espdl", target="c", **options)
    assert {op.platform.name for op in graph.operations.values()} == {f"ESPDL_C_INT{bits}"}


def test_platforms() -> None:
    for target, name in (("esp32p4", "ESPDL"), ("ESP32S3", "ESPDL_S3"), ("esp32c3", "ESPDL_C"), ("c", "ESPDL_C")):
        for arguments in ((target, 16), (target, "w16a16")):
            assert get_target_platform(*arguments).name == f"{name}_INT16"
        assert get_target_platform(target, num_of_bits=16).name == f"{name}_INT16"
        assert get_target_platform(target).name == f"{name}_INT8"
        assert get_target_platform(target, num_of_bits=8, float=True) is TargetPlatform.FP32
    wrong: list[tuple[tuple[Any, ...], str]] = [
        (("esp32p4", "w8a16"), "w8a16"),
        (("esp32p9",), "unknown target"),
        (("esp32p4", 12), "there is no 12"),
        (("esp32p4", None), "quant_type: is None"),
    ]
    for given, message in wrong:
        with pytest.raises(RecipeError, match=message):
            get_target_platform(*given)
    with pytest.raises(RecipeError, match="no argument 'num_of_bit'"):
        get_target_platform("esp32p4", num_of_bit=8)


def test_numbers_are_those_of_the_names_scripts_know() -> None:
    numbers = {"INT8": 551, "INT16": 552, "S3_INT8": 553, "S3_INT16": 554, "C_INT8": 557, "C_INT16": 558}
    assert {name: TargetPlatform[f"ESPDL_{name}"].value for name in numbers} == numbers


def test_step_by_step_is_the_same(model: Path, tmp_path: Path) -> None:
    whole = quantized(model, tmp_path / "net.espdl", target="esp32p4")
    platform = get_target_platform("esp32p4")
    one = quantize_onnx_model(str(model), BATCHES, 2, [1, 3, 8, 8], platform)
    other = quantize_native_model(load_onnx_graph(model), BATCHES, 2, [1, 3, 8, 8], platform)
    assert whole.program == one.program == other.program
    export_ppq_graph(one, platform, tmp_path / "again" / "net", config_save_to=tmp_path / "table.json")
    assert (tmp_path / "again" / "net.espdl").read_bytes() == (tmp_path / "net.espdl").read_bytes()
    assert (tmp_path / "table.json").read_bytes() == (tmp_path / "net.json").read_bytes()
    with pytest.raises(ProgramError, match="is quantized for esp32p4"):
        export_ppq_graph(one, TargetPlatform.ESPDL_S3_INT8, tmp_path / "net")
    with pytest.raises(ProgramError, match="is not quantized"):
        export_ppq_graph(load_onnx_graph(model), platform, tmp_path / "net")
    with pytest.raises(ProgramError, match="is quantized already"):
        quantize_native_model(one, BATCHES, 2, [1, 3, 8, 8], platform)


def test_a_dispatched_graph_is_quantized_as_noted(model: Path) -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    setting.dispatching_table.append("gemm", TargetPlatform.ESPDL_S3_INT16)
    graph = dispatch_graph(load_onnx_graph(model), TargetPlatform.ESPDL_S3_INT8, "allin", setting.dispatching_table)
    found = quantize_native_model(graph, BATCHES, 2, [1, 3, 8, 8], TargetPlatform.ESPDL_S3_INT8)
    assert found.operations["gemm"].platform is TargetPlatform.ESPDL_S3_INT16
    setting.dispatching_table.append("gem", TargetPlatform.ESPDL_S3_INT16)
    with pytest.raises(RecipeError, match="Did you mean 'gemm'"):
        dispatch_graph(load_onnx_graph(model), TargetPlatform.ESPDL_S3_INT8, "allin", setting.dispatching_table)


def test_native_graphs_are_espdl_files_and_never_pickles(model: Path, tmp_path: Path) -> None:
    graph = quantized(model, tmp_path / "net.espdl")
    again = load_native_graph(tmp_path / "net.espdl")
    assert again.program == graph.program
    assert {"conv", "gemm"} <= set(again.operations)
    (tmp_path / "net.native").write_bytes(b"\x80\x04N.")
    with pytest.raises(FormatError, match="is a pickle"):
        load_native_graph(tmp_path / "net.native")


def test_operators_of_which_nothing_is_left_may_be_dispatched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = classifier()
    model.graph.node.insert(2, onnx.helper.make_node("Identity", ["active"], ["same"], "same"))
    model.graph.node[3].input[0] = "same"
    platform = get_target_platform("esp32p4", 16)
    path = saved(model, tmp_path / "net.onnx")
    found = quantized(path, tmp_path / "net.espdl", dispatching_override={"same": platform, "relu": platform})
    assert "dispatching of 'same' has no effect" in capsys.readouterr().out
    assert [name for name, op in found.operations.items() if op.platform is platform] == ["conv", "relu"]


def test_names_without_a_name(tmp_path: Path) -> None:
    unnamed = classifier()
    for node in unnamed.graph.node:
        node.name = ""
    path = saved(unnamed, tmp_path / "net.onnx")
    graph = load_onnx_graph(path)
    assert list(graph.operations)[:2] == ["Conv_0", "Relu_1"]
    found = quantized(path, tmp_path / "net.espdl", dispatching_override={"Gemm_4": get_target_platform("c", 16)})
    assert found.operations["Gemm_4"].platform is TargetPlatform.ESPDL_INT16
    assert onnx.load(path) == unnamed
