"""The names that few scripts use: what they do, and what those say that do nothing."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests import small_net
from tinsmith.compat import esp_ppq
from tinsmith.compat.esp_ppq.stand_ins import StandIn
from tinsmith.errors import DataError, ProgramError, RecipeError

torch = pytest.importorskip("torch", reason="esp-ppq's names take tensors")

PFL = importlib.import_module("tinsmith.compat.esp_ppq.lib")
passes = importlib.import_module("tinsmith.compat.esp_ppq.quantization.optim")
TargetPlatform = importlib.import_module("tinsmith.compat.esp_ppq.core").TargetPlatform
interface = importlib.import_module("tinsmith.compat.esp_ppq.api.interface")
TorchExecutor = importlib.import_module("tinsmith.compat.esp_ppq.executor").TorchExecutor
S3, S3_WIDE = TargetPlatform.ESPDL_S3_INT8, TargetPlatform.ESPDL_S3_INT16


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_net.saved(small_net.classifier(), tmp_path_factory.mktemp("rare_names") / "net.onnx")


@pytest.fixture(scope="module")
def data() -> list[Any]:
    return [torch.from_numpy(image[None]) for image in small_net.images(32)]


def _usual() -> list[Any]:
    return [
        passes.QuantizeSimplifyPass(),
        passes.QuantizeFusionPass(activation_type={"Relu"}),
        passes.ParameterQuantizePass(),
        passes.RuntimeCalibrationPass(),
        passes.PassiveParameterQuantizePass(),
        passes.QuantAlignmentPass(),
    ]


def _quantized(graph: Any) -> bool:
    return graph.quantized is not None


def _modules() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(esp_ppq.__path__, f"{esp_ppq.__name__}.")]


@pytest.mark.parametrize("module", _modules())
def test_every_name_that_a_module_lists_is_there(module: str) -> None:
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        assert not isinstance(getattr(found, name), ModuleType | None)


def test_importing_them_imports_no_framework() -> None:
    code = (
        "import sys, importlib, pkgutil, tinsmith.compat.esp_ppq as e\n"
        "for m in pkgutil.walk_packages(e.__path__, e.__name__ + '.'):\n"
        "    importlib.import_module(m.name)\n"
        "print([n for n in ('torch', 'keras', 'tensorflow') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_that_do_nothing_say_what_to_use_instead() -> None:
    found: list[type[StandIn]] = []
    for module in _modules():
        loaded = importlib.import_module(module)
        names = [getattr(loaded, name) for name in getattr(loaded, "__all__", ())]
        found += [one for one in names if isinstance(one, type) and issubclass(one, StandIn)]
    assert len(found) > 80
    for one in found:
        with pytest.raises(RecipeError) as error:
            one("anything", at="all")
        assert error.value.subject.startswith("esp_ppq.")
        assert error.value.reason
        assert error.value.hint


def test_what_derives_from_them_says_the_same() -> None:
    base = importlib.import_module("tinsmith.compat.esp_ppq.quantization.quantizer").TensorRTQuantizer
    kind = type("MyQuantizer", (base,), {})
    with pytest.raises(RecipeError, match=r"quantizer\.TensorRTQuantizer: belongs to another runtime.*ESPDL_S3_INT8"):
        kind(graph=None)


def test_unknown_names_have_suggestions() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'BiasCorrectionPass'"):
        passes.BiasCorectionPass  # noqa: B018


def test_a_pipeline_of_passes_quantizes_as_tinsmith_does(path: Path, data: list[Any]) -> None:
    graph = PFL.Parser(importlib.import_module("tinsmith.compat.esp_ppq.core").NetworkFramework.ONNX).build(path)
    quantizer = PFL.Quantizer(platform=S3, graph=graph)
    platforms = PFL.Dispatcher(graph=graph, method="allin").dispatch(quantizer.quant_operation_types)
    platforms["gemm"] = S3_WIDE
    for name in list(graph.operations):
        quantizer.quantize_operation(name, platforms[name])
    executor = TorchExecutor(graph=graph)
    PFL.Pipeline(_usual()).optimize(
        graph=graph, dataloader=data, calib_steps=32, collate_fn=lambda x: x, executor=executor, verbose=False
    )
    same = tinsmith.quantize(path, small_net.images(32), "esp32s3", int16=["^gemm$"])
    image = small_net.images(1, seed=9)
    expected = tinsmith.dequantize(same.program, same.simulate(image))["scores"]
    assert graph.operations["gemm"].platform is S3_WIDE
    assert np.array_equal(executor(torch.from_numpy(image))[0].numpy(), expected)


def test_single_passes_add_up(path: Path, data: list[Any]) -> None:
    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(TargetPlatform.ESPDL_INT8, graph).quantize_operation("gemm", TargetPlatform.ESPDL_INT16)
    passes.LayerwiseEqualizationPass(iterations=3, optimize_level=1).optimize(graph)
    assert not _quantized(graph)
    passes.RuntimeCalibrationPass(method="minmax").optimize(graph, dataloader=data, calib_steps=32)
    assert _quantized(graph)
    recipe = graph.quantized.recipe
    assert (recipe.target, recipe.calibration, recipe.int16) == ("esp32p4", "minmax", ("^gemm$",))
    assert recipe.equalization is not None
    assert recipe.equalization.iterations == 3
    passes.ParameterQuantizePass().optimize(graph)
    assert graph.quantized.recipe == recipe


def test_scales_by_hand_are_powers_of_two(path: Path, data: list[Any]) -> None:
    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(TargetPlatform.ESPDL_INT8, graph)
    steps = [*_usual(), passes.QuantConfigModifyPass({"gemm": 0.25})]
    PFL.Pipeline(steps).optimize(graph, dataloader=data, verbose=False)
    assert graph.quantized.program.values["scores"].exponent == -2


def test_quantizers_take_settings(path: Path, data: list[Any]) -> None:
    settings = importlib.import_module("tinsmith.compat.esp_ppq.api.setting")
    setting = settings.QuantizationSettingFactory.espdl_setting()
    setting.quantize_activation_setting.calib_algorithm = "percentile"
    setting.dispatching_table.append("conv", TargetPlatform.ESPDL_C_INT16)
    graph = interface.load_onnx_graph(path)
    kinds = importlib.import_module("tinsmith.compat.esp_ppq.quantization.quantizer")
    quantizer = kinds.EspdlCQuantizer(graph)
    quantizer.quantize(inputs=data[0], calib_dataloader=data, executor=TorchExecutor(graph), setting=setting)
    recipe = graph.quantized.recipe
    assert (recipe.target, recipe.calibration, recipe.int16) == ("c", "percentile", ("^conv$",))
    assert "ESPDL_C_INT16: " in quantizer.report()


def test_exporters_write_what_was_quantized(path: Path, data: list[Any], tmp_path: Path) -> None:
    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(S3, graph)
    with pytest.raises(ProgramError, match="is not quantized"):
        PFL.Exporter(S3).export(tmp_path / "net.espdl", graph)
    PFL.Pipeline(_usual()).optimize(graph, dataloader=data, verbose=False)
    program = graph.quantized.program
    PFL.Exporter(S3).export(tmp_path / "net.espdl", graph, config_path=tmp_path / "config.json")
    PFL.Exporter(TargetPlatform.NATIVE).export(tmp_path / "net.native", graph)
    assert tinsmith.read(tmp_path / "net.espdl") == tinsmith.read(tmp_path / "net.native") == program
    assert (tmp_path / "config.json").is_file()
    info = importlib.import_module("tinsmith.compat.esp_ppq.parser.espdl.espdl_typedef").ExporterPatternInfo()
    assert info.get_var_exponents("scores") == list(program.values["scores"].exponents)
    back = interface.load_native_graph(tmp_path / "net.native")
    image = small_net.images(1, seed=3)
    outputs = [TorchExecutor(one)(torch.from_numpy(image))[0] for one in (graph, back)]
    assert torch.equal(*outputs)
    with pytest.raises(RecipeError, match="quantized for esp32s3, and ESPDL_INT8 is asked for"):
        PFL.Exporter(TargetPlatform.ESPDL_INT8).export(tmp_path / "net.espdl", graph)
    with pytest.raises(RecipeError, match="TRT_INT8 is no platform of ESP-DL"):
        PFL.Exporter(TargetPlatform.TRT_INT8)


def test_onnx_exporters_write_floats_and_the_exact_twin(path: Path, data: list[Any], tmp_path: Path) -> None:
    import onnxruntime

    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(TargetPlatform.ESPDL_INT8, graph)
    PFL.Pipeline(_usual()).optimize(graph, dataloader=data, verbose=False)
    image = small_net.images(1, seed=4)
    for platform in (TargetPlatform.ONNX, TargetPlatform.ONNXRUNTIME):
        PFL.Exporter(platform).export(tmp_path / f"{platform.name}.onnx", graph)
    floats, exact = (
        onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx")).run(None, {"image": image})[0]
        for name in ("ONNX", "ONNXRUNTIME")
    )
    (plain,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": image})
    assert np.abs(floats - plain).max() < 1e-5 * np.abs(plain).max()
    assert np.array_equal(exact, TorchExecutor(graph)(torch.from_numpy(image))[0].numpy())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TrainedQuantizationThresholdPass", "gradients"),
        ("LearnedStepSizePass", "gradients"),
        ("RoundTuningPass", "gradients"),
        ("AdaroundPass", "gradients"),
        ("ExtensionPass", "extension"),
    ],
)
def test_what_cannot_be_had_is_refused(path: Path, data: list[Any], name: str, said: str) -> None:
    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(S3, graph)
    with pytest.raises(RecipeError, match=said):
        PFL.Pipeline([*_usual(), getattr(passes, name)(steps=3)]).optimize(graph, dataloader=data)
    assert graph.quantized is None


def test_options_without_counterpart_are_refused(path: Path, data: list[Any]) -> None:
    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(S3, graph)
    for one in (
        passes.LayerwiseEqualizationPass(iterations=2, including_weight=False),
        passes.SSDEqualizationPass(quant_func=abs),
        passes.ChannelwiseSplitPass(iterations=10, including_act=True),
    ):
        with pytest.raises(RecipeError, match="no counterpart"):
            one.optimize(graph, dataloader=data)
    with pytest.raises(RecipeError, match="gem"):
        passes.BiasCorrectionPass(interested_layers=["gem"]).optimize(graph, dataloader=data)


def test_passes_of_a_script_run_on_the_quantized_graph(path: Path, data: list[Any]) -> None:
    seen: list[Any] = []

    class Mine(passes.QuantizationOptimizationPass):  # type: ignore[misc, name-defined]
        def optimize(self, graph: Any, **options: Any) -> None:
            seen.append((graph.quantized is not None, options["calib_steps"], options["extra"]))

    graph = interface.load_onnx_graph(path)
    PFL.Quantizer(S3, graph)
    pipeline = PFL.Pipeline(_usual()).append_optimization_to_pipeline(Mine(name="mine"))
    with pytest.warns(UserWarning, match="mine: runs on the quantized graph; what it changes there does not reach"):
        pipeline.optimize(graph, dataloader=data, calib_steps=16, verbose=False, extra=5)
    assert seen == [(True, 16, 5)]
    assert len(pipeline) == 7
    assert pipeline.report().endswith("mine\n")


def test_pipelines_that_lack_something(path: Path, data: list[Any]) -> None:
    graph = interface.load_onnx_graph(path)
    with pytest.raises(RecipeError, match="for which chip"):
        PFL.Pipeline(_usual()).optimize(graph, dataloader=data)
    with pytest.raises(RecipeError, match="is no pass"):
        PFL.Pipeline([3])
    PFL.Quantizer(S3, graph)
    with pytest.raises(DataError, match="no data to calibrate with"):
        PFL.Pipeline(_usual()).optimize(graph)
    done = interface.quantize_onnx_model(path, data, 8, [1, 3, 8, 8], S3)
    with pytest.raises(RecipeError, match="Set the option in the setting"):
        passes.BiasCorrectionPass().optimize(done, dataloader=data)


def test_quantizers_and_dispatchers_that_cannot_be_had(path: Path) -> None:
    graph = interface.load_onnx_graph(path)
    with pytest.raises(RecipeError, match="w8a16"):
        PFL.Quantizer(TargetPlatform.ESPDL_S3_W8A16, graph)
    with pytest.raises(RecipeError, match="no platform of ESP-DL"):
        PFL.Quantizer(TargetPlatform.TRT_INT8, graph)
    quantizer = PFL.Quantizer(S3, graph)
    with pytest.raises(RecipeError, match="Did you mean 'gemm'"):
        quantizer.quantize_operation("gem")
    with pytest.raises(RecipeError, match="FP32"):
        quantizer.quantize_operation("gemm", TargetPlatform.FP32)
    with pytest.raises(RecipeError, match="Did you mean 'conservative'"):
        PFL.Dispatcher(graph, "conservativ")
    kinds = importlib.import_module("tinsmith.compat.esp_ppq.quantization.quantizer")
    mine = type("Mine", (kinds.EspdlQuantizer,), {"init_quantize_config": lambda self, operation: None})
    with pytest.raises(RecipeError, match="sets formats by hand"):
        mine(graph)


@pytest.mark.parametrize("kind", ["quantizer", "parser", "exporter"])
def test_nothing_is_registered(kind: str) -> None:
    with pytest.raises(RecipeError, match="is not available"):
        getattr(PFL, f"register_network_{kind}")(object, S3)


def test_handlers_are_kept_and_not_called(path: Path) -> None:
    base = importlib.import_module("tinsmith.compat.esp_ppq.executor.base")
    with pytest.warns(UserWarning, match="handler of 'MyOperator': is kept, and not called"):
        PFL.register_operation_handler(lambda op, values, ctx=None: values[0], "MyOperator", S3)
    try:
        assert base.OPERATION_FORWARD_TABLE[S3]["MyOperator"](None, [7]) == 7
        assert "MyOperator" not in base.OPERATION_FORWARD_TABLE[TargetPlatform.FP32]
    finally:
        del base.OPERATION_FORWARD_TABLE[S3]["MyOperator"]
    gemm = interface.load_onnx_graph(path).operations["gemm"]
    x = torch.ones(2, 8)
    found = PFL.OperationForwardFunction("Gemm")(gemm, [x, *(one.value for one in gemm.parameters)])
    expected = x @ gemm.parameters[0].value.T + gemm.parameters[1].value
    assert torch.allclose(found, expected, rtol=1e-5)
    with pytest.raises(RecipeError, match="there is no operator 'Gem'"):
        PFL.OperationForwardFunction("Gem")


def test_tables_are_those_of_the_file(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph_ = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"], "sigmoid"), helper.make_node("Relu", ["y"], ["z"], "relu")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 8])],
    )
    onnx.save(
        helper.make_model(graph_, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx"
    )
    rng = np.random.default_rng(0)
    samples = [torch.from_numpy(rng.normal(0, 2, (1, 8)).astype(np.float32)) for _ in range(16)]
    graph = interface.quantize_onnx_model(tmp_path / "net.onnx", samples, 16, [1, 8], S3)
    patterns = importlib.import_module("tinsmith.compat.esp_ppq.parser.espdl.export_patterns")
    pattern, sigmoid = patterns.AddLUTPattern(int16_step=32), graph.operations["sigmoid"]
    assert pattern.check_op(sigmoid, graph)
    name = pattern.export(sigmoid, graph).attributes["lut"]
    table = graph.quantized.program.constants[name].data.reshape(-1)
    info = patterns.ExporterPatternInfo()
    assert np.array_equal(info.get_lut(name).numpy(), table)
    assert np.array_equal(pattern.calculate_lut(sigmoid, graph).numpy(), table)
    config = sigmoid.output_quant_config[0]
    low = torch.arange(-128, 128) * sigmoid.input_quant_config[0].scale
    to_int = importlib.import_module("tinsmith.compat.esp_ppq.quantization.qfunction").PPQLinearQuant_toInt
    assert np.array_equal(to_int(torch.sigmoid(low), config).numpy(), table)


def test_trainable_graphs_show_weights(path: Path) -> None:
    trainable = importlib.import_module("tinsmith.compat.esp_ppq.IR").TrainableGraph
    shown = trainable(interface.load_onnx_graph(path))
    assert {"w", "b", "v", "u"} == shown.state_dict().keys()
    assert len(shown.parameters()) == 4
    shown.zero_grad()


def test_loggers_write_to_the_terminal_and_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger_of = importlib.import_module("tinsmith.compat.esp_ppq.log").NaiveLogger.get_logger
    logger = logger_of("rare_names", file_name=str(tmp_path / "log"))
    logger.info("one")
    logger.debug("two")
    logger.set_level("error")
    logger_of("rare_names").warning("three")
    logger.error("four")
    logger.remove_handler(str(tmp_path / "log"))
    for found in (capsys.readouterr().out, (tmp_path / "log").read_text()):
        assert ("one" in found, "two" in found, "three" in found, "four" in found) == (True, False, False, True)
    with pytest.raises(RecipeError, match="there is no 'loud'"):
        logger.set_level("loud")


def test_small_helpers() -> None:
    core = importlib.import_module("tinsmith.compat.esp_ppq.core")
    assert core.convert_any_to_numpy(torch.ones(2)).tolist() == [1.0, 1.0]
    assert torch.equal(core.convert_any_to_torch_tensor([1, 2], dtype=torch.float32), torch.tensor([1.0, 2.0]))
    assert core.convert_any_to_python_primary_type(torch.tensor(3)) == 3
    assert core.convert_primary_type_to_list(3) == [3]
    assert core.convert_any_to_numpy(None) is None
    with pytest.raises(DataError, match="is None"):
        core.convert_any_to_torch_tensor(None, accept_none=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert core.empty_ppq_cache(len) is len


def test_element_types_are_numbered_as_in_onnx() -> None:
    kinds = importlib.import_module("tinsmith.compat.esp_ppq.core").DataType
    assert kinds.convert_from_numpy(np.float32) is kinds.convert_from_torch(torch.float32) is kinds.FP32
    assert kinds.to_torch(kinds.INT8) is torch.int8
    assert kinds.to_numpy(10) == np.float16
    for wrong in ("complex64", np.complex64):
        with pytest.raises(DataError, match="no counterpart"):
            kinds.convert_from_numpy(wrong)
    with pytest.raises(DataError, match="is none"):
        kinds.to_numpy(0)


def test_tables_are_always_simulated() -> None:
    lut = importlib.import_module("tinsmith.compat.esp_ppq.executor.op.torch.espdl_lut")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lut.set_simulation_mode(lut.SimulationMode.SIMULATION)
    with pytest.warns(UserWarning, match="as the chip does, always"):
        lut.set_simulation_mode(lut.SimulationMode.IDEAL_MATH)


def test_means_of_numbers() -> None:
    recorder = importlib.import_module("tinsmith.compat.esp_ppq.utils.ema").EMARecorder(beta=0.5)
    assert recorder.pop() == 0.0
    recorder.push(2.0)
    assert recorder.pop() == 2.0
    recorder.push(8.0)
    assert recorder.pop() == pytest.approx((0.25 * 2 + 0.5 * 8) / 0.75)
