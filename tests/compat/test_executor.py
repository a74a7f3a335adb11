"""`TorchExecutor` is the exact simulator, and graphs say what it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import tinsmith
from tests.small_net import classifier, images, saved
from tinsmith.compat.esp_ppq.api import (
    DEQUANTIZE_GRAPH,
    ENABLE_CUDA_KERNEL,
    load_native_graph,
    load_onnx_graph,
    quantize_onnx_model,
)
from tinsmith.compat.esp_ppq.api.interface import dump_torch_to_onnx
from tinsmith.compat.esp_ppq.core import QuantizationProperty, QuantizationStates, TargetPlatform
from tinsmith.compat.esp_ppq.executor import TorchExecutor
from tinsmith.compat.esp_ppq.IR import BaseGraph, QuantableOperation
from tinsmith.errors import DataError, RecipeError

torch = pytest.importorskip("torch", reason="tensors need torch")

BATCHES = [images(3, seed) for seed in range(2)]
INPUT = images(5, 7)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(classifier(), tmp_path_factory.mktemp("float") / "net.onnx")


@pytest.fixture(scope="module", params=[TargetPlatform.ESPDL_INT8, TargetPlatform.ESPDL_S3_INT8])
def graph(model: Path, request: pytest.FixtureRequest) -> BaseGraph:
    return quantize_onnx_model(str(model), BATCHES, 2, [1, 3, 8, 8], request.param)


def real(graph: BaseGraph, name: str, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A value as integers times their scale, by the interpreter."""
    assert graph.quantized is not None
    integers: np.ndarray[Any, Any] = graph.quantized.simulate(samples, save_all=True, compiled=False)[name]
    return integers.astype(np.float32) * np.float32(2.0 ** graph.quantized.program.values[name].exponent)


@pytest.mark.parametrize("count", [1, 5])
def test_outputs_are_the_chips(graph: BaseGraph, count: int) -> None:
    executor = TorchExecutor(graph, device="cuda")
    (found,) = executor(torch.from_numpy(INPUT[:count]))
    assert found.dtype == torch.float32
    assert found.numpy().tolist() == real(graph, "scores", INPUT[:count]).tolist()


def test_inputs_come_in_many_forms(graph: BaseGraph) -> None:
    executor, one = TorchExecutor(graph), torch.from_numpy(INPUT)
    expected = executor(one)[0].tolist()
    forms: list[Any] = [[one], (one,), {"image": one}, INPUT, [one.double()], [one.requires_grad_()]]
    assert [executor.forward(form)[0].tolist() for form in forms] == [expected] * len(forms)


def test_values_inside_come_in_the_layout_of_the_model(graph: BaseGraph) -> None:
    found, image, weights = TorchExecutor(graph).forward(INPUT, output_names=["active", "image", "w"])
    assert tuple(found.shape) == (5, 8, 8, 8)
    assert found.numpy().tolist() == real(graph, "active", INPUT).transpose(0, 3, 1, 2).tolist()
    assert image.numpy().tolist() == real(graph, "image", INPUT).transpose(0, 3, 1, 2).tolist()
    assert tuple(weights.shape) == (8, 3, 3, 3)


def test_wrong_inputs_and_names_are_told(graph: BaseGraph) -> None:
    executor = TorchExecutor(graph)
    for inputs, names, message in (
        ({"imag": INPUT}, None, r"lacks \['image'\] and has unknown \['imag'\]"),
        ([INPUT, INPUT], None, "2 were given, the graph has 1"),
        (INPUT[:, :2], None, "has shape"),
        (INPUT, ["score"], "no such value. Did you mean 'scores'"),
        (INPUT, ["features"], "never stores this value.*Ask for 'active'"),
    ):
        with pytest.raises(DataError, match=message):
            executor.forward(inputs, names)
    with pytest.raises(RecipeError, match="hooks"):
        executor.forward(INPUT, hooks={"conv": None})
    with pytest.raises(RecipeError, match="no gradients"):
        executor.forward_with_gradient(INPUT)


def test_a_part_runs_from_values_inside(graph: BaseGraph) -> None:
    executor = TorchExecutor(graph)
    (active,), (scores,) = executor.forward(INPUT, ["active"]), executor(INPUT)
    operations = [graph.operations[name] for name in ("pool", "flatten", "gemm")]
    assert torch.equal(executor.partial_graph_forward(operations, {"active": active}, ["scores"])[0], scores)
    with pytest.raises(DataError, match="value 'image': is needed"):
        executor.partial_graph_forward(operations, {"scores": scores}, ["active"])
    with pytest.raises(DataError, match="the graph"):
        executor.partial_graph_forward(operations, {"active": active[:, 1:]}, ["scores"])


def test_a_part_of_a_float_graph_runs_too(model: Path) -> None:
    graph = load_onnx_graph(model)
    executor, reference = TorchExecutor(graph), _reference(model, ["scores", "pooled"])
    operations = [graph.operations["flatten"], graph.operations["gemm"]]
    feed = {"pooled": reference["pooled"]}
    scores, pooled = executor.partial_graph_forward(operations, feed, ["scores", "pooled"])
    assert np.array_equal(scores.numpy(), reference["scores"])
    assert np.array_equal(pooled.numpy(), reference["pooled"])
    assert np.array_equal(executor(INPUT)[0].numpy(), reference["scores"]), "the graph is as it was"
    with pytest.raises(DataError, match="value 'image': is needed"):
        executor.partial_graph_forward(operations, {"scores": scores}, ["pooled"])
    with pytest.raises(DataError, match="value 'pool': the graph has no such value"):
        executor.partial_graph_forward(operations, {"pool": pooled}, ["scores"])


def test_the_compiled_form_is_kept(graph: BaseGraph) -> None:
    executor = TorchExecutor(graph)
    executor(INPUT[:1])
    assert graph.program is not None
    before = set(graph.program.memo)
    TorchExecutor(graph)(INPUT[:1])
    executor(INPUT[:1])
    assert set(graph.program.memo) == before


def test_a_float_graph_runs_the_float_model(model: Path) -> None:
    graph = load_onnx_graph(model)
    executor = TorchExecutor(graph)
    reference = _reference(model, ["scores", "pooled"])
    with ENABLE_CUDA_KERNEL():
        scores, pooled = executor.forward(INPUT, ["scores", "pooled"])
    assert np.array_equal(scores.numpy(), reference["scores"])
    assert np.array_equal(pooled.numpy(), reference["pooled"])
    assert graph.variables["pooled"].shape is None
    executor.tracing_operation_meta(INPUT[:1])
    assert graph.variables["pooled"].shape == [1, 8, 1, 1]
    with pytest.raises(DataError, match="Did you mean 'pooled'"):
        executor.forward(INPUT, ["pool"])


def test_a_float_model_of_one_sample_runs_batches(tmp_path: Path) -> None:
    executor = TorchExecutor(load_onnx_graph(saved(classifier(batch=1), tmp_path / "net.onnx")))
    (found,) = executor(INPUT)
    assert torch.equal(found, torch.cat([executor(INPUT[row : row + 1])[0] for row in range(5)]))


def test_a_graph_can_be_dequantized_for_a_while(graph: BaseGraph, model: Path) -> None:
    executor = TorchExecutor(graph)
    before = executor(INPUT)[0]
    with DEQUANTIZE_GRAPH(graph):
        np.testing.assert_allclose(executor(INPUT)[0].numpy(), _reference(model, ["scores"])["scores"], atol=1e-5)
    assert torch.equal(executor(INPUT)[0], before)


def test_a_file_runs_as_the_graph_it_was_written_from(graph: BaseGraph, tmp_path: Path) -> None:
    assert graph.program is not None
    tinsmith.write(graph.program, tmp_path / "net.espdl")
    again = TorchExecutor(load_native_graph(tmp_path / "net.espdl"))
    assert torch.equal(again(INPUT)[0], TorchExecutor(graph)(INPUT)[0])


def test_the_graph_says_what_runs(graph: BaseGraph) -> None:
    names = [operation.name for operation in graph.topological_sort()]
    assert names == list(graph.operations) == ["conv", "relu", "pool", "flatten", "gemm"]
    assert (list(graph.inputs), list(graph.outputs)) == (["image"], ["scores"])
    conv = graph.operations["conv"]
    assert isinstance(conv, QuantableOperation)
    assert (conv.type, conv.attributes["pads"], conv.is_computing_op) == ("Conv", [1, 1, 1, 1], True)
    assert [variable.name for variable in conv.inputs] == ["image", "w", "b"]
    assert [variable.is_parameter for variable in conv.inputs] == [False, True, True]
    assert tuple(conv.inputs[1].value.shape) == (8, 3, 3, 3)
    assert conv.outputs[0].dest_ops == [graph.operations["relu"]]
    assert graph.operations["relu"].inputs[0].source_op is conv
    assert graph.get_downstream_operations(conv) == [graph.operations["relu"]]


def test_configurations_are_the_formats_of_the_chip(graph: BaseGraph) -> None:
    assert graph.quantized is not None
    formats, target = graph.quantized.formats, graph.quantized.target
    conv = graph.operations["conv"]
    assert isinstance(conv, QuantableOperation)
    image, weight, bias = conv.config.input_quantization_config
    (output,) = conv.config.output_quantization_config
    assert float(image.scale) == 2.0 ** formats.values["image"].exponent
    assert (image.num_of_bits, image.quant_min, image.quant_max) == (8, -128, 127)
    assert weight.policy.has_property(QuantizationProperty.PER_CHANNEL) is target.per_channel
    assert weight.scale.shape == ((8,) if target.per_channel else ())
    assert torch.equal(bias.scale, image.scale * weight.scale)
    assert (bias.state, bias.num_of_bits) == (QuantizationStates.PASSIVE, target.linear[8].bias_bits)
    assert output.state is QuantizationStates.OVERLAPPED
    assert conv.config_with_variable[0][0].state is QuantizationStates.ACTIVATED


def test_a_copy_has_its_own_operators(graph: BaseGraph) -> None:
    copy = graph.copy()
    copy.operations["conv"].attributes["mark"] = 1
    copy.operations["conv"].set_extension_attrib("mine", 2)
    assert "mark" not in graph.operations["conv"].attributes
    assert graph.operations["conv"].extension_attrib == {}
    assert copy.copy().operations["conv"].extension_attrib == {"mine": 2}
    assert list(copy.operations) == list(graph.operations)
    assert copy.program is graph.program


def test_a_module_is_exported_with_the_names_scripts_know(tmp_path: Path) -> None:
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    net = torch.nn.Sequential(layers)
    net.train()
    dump_torch_to_onnx(net, tmp_path / "new" / "net.onnx", [1, 3, 8, 8])
    names = [node.name for node in onnx.load(tmp_path / "new" / "net.onnx").graph.node]
    assert names == ["/0/0.0/Conv", "/0/0.1/Relu"]
    assert net.training
    assert layers[0].training


def _reference(model: Path, names: list[str]) -> Mapping[str, np.ndarray[Any, Any]]:
    import onnxruntime

    proto = onnx.load(model)
    for name in names:
        if name not in [output.name for output in proto.graph.output]:
            proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    found = onnxruntime.InferenceSession(proto.SerializeToString()).run(names, {"image": INPUT})
    return dict(zip(names, found, strict=True))
