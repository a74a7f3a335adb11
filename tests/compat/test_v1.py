"""The flow of the v1 toolkit: optimize, calibrate, export, evaluate."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinsmith
from tests import small_net
from tinsmith.compat.v1.calibrator import Calibrator
from tinsmith.compat.v1.evaluator import Evaluator
from tinsmith.compat.v1.optimizer import optimize_fp_model
from tinsmith.errors import DataError, FormatError, ProgramError, RecipeError, TinsmithError

pytestmark = pytest.mark.filterwarnings("ignore:.*per-channel is per-tensor here.*:UserWarning")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    path = small_net.saved(small_net.classifier(), tmp_path_factory.mktemp("v1") / "net.onnx")
    return onnx.load(optimize_fp_model(path))


def _table(path: Path, model: onnx.ModelProto, *options: str) -> Path:
    Calibrator(*options).generate_quantization_table(model, small_net.images(32), path)
    return path


@pytest.fixture(scope="module")
def table(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _table(tmp_path_factory.mktemp("table") / "net.pickle", model, "int8", "per-channel", "entropy")


@pytest.mark.parametrize(
    ("chip", "options", "method"),
    [
        ("esp32s3", ("int8", "per-channel", "entropy"), "kl"),
        ("esp32p4", ("int8", "per-channel", "entropy"), "kl"),
        ("esp32c3", ("int8", "per-tensor", "minmax"), "minmax"),
        ("esp32s3", ("int16", "per-tensor", "minmax"), "minmax"),
    ],
)
def test_the_evaluator_gives_the_numbers_of_the_exact_simulation(
    tmp_path: Path, model: onnx.ModelProto, chip: str, options: tuple[str, str, str], method: str
) -> None:
    path = _table(tmp_path / "t.pickle", model, *options)
    evaluator = Evaluator(options[0], options[1], chip)
    evaluator.set_providers(["CPUExecutionProvider"])
    evaluator.generate_quantized_model(model, path)
    batch = small_net.images(9, seed=5)
    bits = 16 if options[0] == "int16" else 8
    quantized = tinsmith.quantize(model, small_net.images(32), chip, bits=bits, calibration=method, effort="fast")
    expected = quantized.simulate(batch)["scores"]
    outputs, names = evaluator.evaluate_quantized_model(batch)
    assert names == ["scores"]
    assert outputs[0].dtype == expected.dtype
    assert np.array_equal(outputs[0], expected)
    real, _ = evaluator.evalute_quantized_model(batch, to_float=True)
    assert np.array_equal(real[0], tinsmith.dequantize(quantized.program, {"scores": expected})["scores"])


def test_pictures_come_out_in_the_layout_of_the_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.normal(0, 0.3, (5, 3, 3, 3)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[1, 1, 1, 1])],
        "pictures",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 6, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5, 6, 7])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = rng.normal(0, 1, (16, 3, 6, 7)).astype(np.float32)
    Calibrator("int8").generate_quantization_table(model, data, tmp_path / "t.json")
    evaluator = Evaluator("int8")
    evaluator.generate_quantized_model(model, tmp_path / "t.json")
    (integers,), _ = evaluator.evaluate_quantized_model(data)
    (real,), _ = evaluator.evaluate_quantized_model(data, True)
    (floats,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": data})
    assert integers.shape == real.shape == floats.shape
    assert integers.dtype == np.int8
    step = np.unique(real[integers == 1])
    assert len(step) == 1
    assert np.array_equal(integers * step[0], real)
    assert np.corrcoef(real.ravel(), floats.ravel())[0, 1] > 0.99


def test_the_table_is_json_and_says_the_same_twice(tmp_path: Path, model: onnx.ModelProto, table: Path) -> None:
    document = json.loads(table.read_text())
    assert document["calib_method"] == "entropy"
    assert {"esp32s3", "esp32p4"} <= document["chips"].keys()
    again = _table(tmp_path / "t.json", model, "int8", "per-channel", "entropy")
    assert again.read_bytes() == table.read_bytes()


def test_weights_have_as_many_exponents_as_chosen(tmp_path: Path, model: onnx.ModelProto, table: Path) -> None:
    def exponents(path: Path, granularity: str) -> int:
        out = Calibrator("int8", granularity).export_coefficient_to_cpp(model, path, "esp32p4", tmp_path, "net")
        program = tinsmith.read(out.espdl)
        return max(len(tensor.exponents) for tensor in program.constants.values() if tensor.data.ndim == 4)

    assert exponents(table, "per-channel") == 8
    assert exponents(_table(tmp_path / "t", model, "int8"), "per-tensor") == 1


def test_the_exported_model_is_what_was_evaluated(
    tmp_path: Path, model: onnx.ModelProto, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrator = Calibrator("int8", "per-channel", "entropy")
    saved = calibrator.export_coefficient_to_cpp(model, table, "esp32s3", tmp_path / "out", "net-1", True)
    assert "conv" in capsys.readouterr().out
    evaluator = Evaluator("int8", "per-channel", "esp32s3")
    evaluator.generate_quantized_model(model, table)
    batch = small_net.images(4, seed=8)
    outputs, _ = evaluator.evaluate_quantized_model(batch)
    found = tinsmith.simulate(tinsmith.read(saved.espdl), {"image": batch})
    assert np.array_equal(outputs[0], found["scores"])
    header, source = (saved.espdl.with_suffix(suffix).read_text() for suffix in (".hpp", ".cpp"))
    assert "net_1_espdl[]" in header
    assert "esp32s3" in header
    body = source[source.index("{") + 1 : source.index("}")]
    assert bytes(int(number, 16) for number in body.replace(",", " ").split()) == saved.espdl.read_bytes()


def test_another_chip_is_generated_anew(model: onnx.ModelProto, table: Path) -> None:
    evaluator, direct = (Evaluator("int8", "per-channel", chip) for chip in ("esp32s3", "esp32p4"))
    evaluator.generate_quantized_model(model, table)
    evaluator.set_target_chip("esp32p4")
    direct.generate_quantized_model(model, table)
    batch = small_net.images(8)
    (one,), (other,) = (e.evaluate_quantized_model(batch)[0] for e in (evaluator, direct))
    assert np.array_equal(one, other)


def test_one_exponent_per_layer_is_said(model: onnx.ModelProto, table: Path) -> None:
    with pytest.warns(UserWarning, match="esp32s3: per-channel is per-tensor here.*esp32p4"):
        Evaluator("int8", "per-channel", "esp32s3").generate_quantized_model(model, table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Evaluator("int8", "per-channel", "esp32p4").generate_quantized_model(model, table)


def test_check_model(model: onnx.ModelProto) -> None:
    assert Calibrator("int8").check_model(model) == 0
    assert Evaluator("int16").check_model(model) == 0
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"], "determinant")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    refused = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.warns(UserWarning, match="determinant"):
        assert Calibrator("int8").check_model(refused) == -1
    with pytest.warns(UserWarning, match="determinant"):
        assert Evaluator("int8").check_model(refused) == -1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("int4",), "'int4' is unknown. Did you mean"),
        (("int8", "per-chanel"), "Did you mean 'per-channel'"),
        (("int8", "per-tensor", "kl"), "'kl' is unknown. Known: 'minmax', 'entropy'"),
        (("int16", "per-channel"), "int16 knows per-tensor only"),
        (("int16", "per-tensor", "entropy"), "int16 knows minmax only"),
    ],
)
def test_unknown_and_contradictory_options(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Calibrator(*options)


def test_set_method_checks_as_the_constructor_does() -> None:
    calibrator = Calibrator("int16")
    with pytest.raises(RecipeError, match="int16 knows per-tensor only"):
        calibrator.set_method("per-channel", "minmax")


def test_scripts_without_granularity_give_the_chip_in_its_place(tmp_path: Path, model: onnx.ModelProto) -> None:
    path = _table(tmp_path / "t", model, "int8")
    old, new = Evaluator("int8", "esp32p4"), Evaluator("int8", "per-tensor", "esp32p4")
    for evaluator in (old, new):
        evaluator.generate_quantized_model(model, path)
    batch = small_net.images(3)
    assert np.array_equal(old.evaluate_quantized_model(batch)[0][0], new.evaluate_quantized_model(batch)[0][0])


def test_unknown_chips_and_providers(model: onnx.ModelProto, table: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="esp32s3"):
        Evaluator("int8", "per-tensor", "esp32s33")
    with pytest.raises(RecipeError, match="unknown target"):
        Calibrator("int8", "per-channel").export_coefficient_to_cpp(model, table, "esp8266", tmp_path, "x")
    with pytest.raises(RecipeError, match="no execution providers"):
        Calibrator("int8").set_providers(["cpu"])
    with pytest.warns(UserWarning, match="CUDAExecutionProvider: not needed"):
        Evaluator("int8").set_providers(["CUDAExecutionProvider", "CPUExecutionProvider"])


class _Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, model: onnx.ModelProto, protocol: int) -> None:
    path, harm = tmp_path / "old.pickle", tmp_path / "harm"
    path.write_bytes(pickle.dumps(_Trap(harm), protocol))
    with pytest.raises(FormatError, match="Generate it again"):
        Evaluator("int8").generate_quantized_model(model, path)
    assert not harm.exists()


@pytest.mark.parametrize("text", ["[]", "{}", '{"content": "other"}', "nonsense", "[" * 100_000])
def test_other_files_are_no_tables(tmp_path: Path, model: onnx.ModelProto, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(FormatError, match="is no quantization table"):
        Evaluator("int8").generate_quantized_model(model, path)


def test_damaged_tables(tmp_path: Path, model: onnx.ModelProto, table: Path) -> None:
    document = json.loads(table.read_text())
    path = tmp_path / "t.json"
    for chip in ({}, {"table": {}, "widths": {}, "calibration_sha256": ""}, {"table": 1}, 3):
        path.write_text(json.dumps({**document, "chips": {"esp32s3": chip}}))
        with pytest.raises(FormatError, match=r"t\.json"):
            Evaluator("int8", "per-channel").generate_quantized_model(model, path)
    with pytest.raises(FormatError, match="cannot be read"):
        Evaluator("int8").generate_quantized_model(model, tmp_path / "absent")


def _spoiled(document: dict[str, Any], change: str) -> None:
    table = document["chips"]["esp32p4"]["table"]
    name, entry = next((name, entry) for name, entry in table["values"].items() if isinstance(entry["scale"], list))
    match change:
        case "channel":
            entry["scale"].pop()
        case "axis":
            entry["axis"] = 64
        case "node":
            table["formats"]["uses"][0][0] = "another"
        case "index":
            table["formats"]["uses"][0][1] = 77
        case "use":
            del table["formats"]["uses"][0]
        case "activation":
            table["formats"]["values"]["active"] = int(name)


@pytest.mark.parametrize("change", ["channel", "axis", "node", "index", "use", "activation"])
def test_tables_that_do_not_fit(tmp_path: Path, model: onnx.ModelProto, table: Path, change: str) -> None:
    document = json.loads(table.read_text())
    _spoiled(document, change)
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match="does not fit the model at"):
        Evaluator("int8", "per-channel", "esp32p4").generate_quantized_model(model, path)


def test_a_table_of_other_choices_or_another_model_is_refused(
    tmp_path: Path, model: onnx.ModelProto, table: Path
) -> None:
    with pytest.raises(RecipeError, match="was made for granularity 'per-channel'"):
        Evaluator("int8", "per-tensor").generate_quantized_model(model, table)
    with pytest.raises(RecipeError, match="was made for quantization_bit 'int8'"):
        Evaluator("int16").generate_quantized_model(model, table)
    other = onnx.ModelProto()
    other.CopyFrom(model)
    other.graph.node[0].name = "another"
    with pytest.raises(FormatError, match="was made for another model"):
        Evaluator("int8", "per-channel").generate_quantized_model(other, table)


def test_what_no_chip_runs_is_refused_by_the_calibrator(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"], "determinant")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(TinsmithError, match="determinant"):
        Calibrator("int8").generate_quantization_table(model, np.zeros((4, 3, 3)), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_data_that_do_not_fit(tmp_path: Path, model: onnx.ModelProto, table: Path) -> None:
    with pytest.raises(DataError):
        Calibrator("int8").generate_quantization_table(model, np.zeros((4, 5, 8, 8)), tmp_path / "t")
    with pytest.raises(DataError, match="no samples"):
        Calibrator("int8").generate_quantization_table(model, np.zeros((0, 3, 8, 8)), tmp_path / "t")
    with pytest.raises(DataError, match="no array of numbers"):
        Calibrator("int8").generate_quantization_table(model, ["a"], tmp_path / "t")
    evaluator = Evaluator("int8", "per-channel")
    with pytest.raises(ProgramError, match="generate_quantized_model"):
        evaluator.evaluate_quantized_model(small_net.images(1))
    evaluator.generate_quantized_model(model, table)
    with pytest.raises(DataError, match="shape"):
        evaluator.evaluate_quantized_model(np.zeros((2, 4, 8, 8)))
    with pytest.raises(DataError, match="batch_fp_input: holds no samples"):
        evaluator.evaluate_quantized_model(np.zeros((0, 3, 8, 8)))
