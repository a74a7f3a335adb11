"""Graphs are looked at, not edited: what would have no effect is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.small_net import classifier, images, saved
from tinsmith.compat.esp_ppq.api import export_ppq_graph, load_onnx_graph, quantize_onnx_model
from tinsmith.compat.esp_ppq.core import QuantizationStates, TargetPlatform
from tinsmith.compat.esp_ppq.executor import TorchExecutor
from tinsmith.compat.esp_ppq.IR import BaseGraph
from tinsmith.errors import DataError, RecipeError

torch = pytest.importorskip("torch", reason="tensors need torch")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network with bounds that are inputs in the place of its Relu."""
    model = classifier()
    bounds = [onnx.numpy_helper.from_array(images(1)[0, 0, 0, :1].reshape(()) * 0 + top, f"at{top}") for top in (0, 6)]
    model.graph.initializer.extend(bounds)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Clip"
    relu.input.extend(["at0", "at6"])
    return saved(model, tmp_path_factory.mktemp("float") / "net.onnx")


@pytest.fixture(scope="module")
def graph(path: Path) -> BaseGraph:
    return quantize_onnx_model(str(path), [images(8)], 1, [1, 3, 8, 8], TargetPlatform.ESPDL_INT8)


def test_what_stays_float_has_no_scale(graph: BaseGraph) -> None:
    clip = next(operation for operation in graph.operations.values() if operation.type == "Clip")
    bounds = clip.config.input_quantization_config[1:]
    assert len(bounds) == 2
    assert [(one.scale, one.offset, one.state) for one in bounds] == [(None, None, QuantizationStates.FP32)] * 2


def _format(graph: BaseGraph) -> Any:
    return graph.operations["conv"].config.output_quantization_config[0]


SET: list[tuple[str, Callable[[BaseGraph], Any], str]] = [
    ("scale", _format, "scale of a format: .*quant_config_modify"),
    ("state", _format, "state of a format: .*dispatching_table"),
    ("platform", lambda g: g.operations["conv"], "quantized for ESPDL_INT8. .*dispatching_table"),
    ("value", lambda g: g.operations["conv"].parameters[0], "value of .*not edited in memory"),
]


@pytest.mark.parametrize(("name", "part", "message"), SET, ids=[name for name, _, _ in SET])
def test_what_is_quantized_is_not_set(
    graph: BaseGraph, name: str, part: Callable[[BaseGraph], Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        setattr(part(graph), name, TargetPlatform.FP32)


def test_platforms_of_float_graphs_are_set(path: Path) -> None:
    graph = load_onnx_graph(str(path))
    graph.operations["conv"].platform = TargetPlatform.ESPDL_INT16
    assert graph.copy().operations["conv"].platform is TargetPlatform.ESPDL_INT16


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (lambda g: g, "remove_operation"),
        (lambda g: g, "insert_op_on_var"),
        (lambda g: g.operations["conv"], "dequantize"),
    ],
)
def test_names_of_editing_say_what_to_do(graph: BaseGraph, part: Callable[[BaseGraph], Any], name: str) -> None:
    assert not hasattr(part(graph), name)
    with pytest.raises(AttributeError, match=f"{name}'.*Change the ONNX model before it is loaded"):
        getattr(part(graph), name)
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        part(graph).colour  # noqa: B018


def test_no_sample_is_an_error(graph: BaseGraph) -> None:
    with pytest.raises(DataError, match="hold no sample"):
        TorchExecutor(graph)(torch.zeros(0, 3, 8, 8))


def test_graphs_are_written_for_onnx_runtime_too(graph: BaseGraph, tmp_path: Path) -> None:
    export_ppq_graph(graph, TargetPlatform.ONNXRUNTIME, tmp_path / "twin.onnx")
    assert onnx.load(tmp_path / "twin.onnx").graph.node
    with pytest.raises(RecipeError, match="TRT_INT8 is no platform of ESP-DL"):
        export_ppq_graph(graph, TargetPlatform.TRT_INT8, tmp_path / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["twin.onnx"]
