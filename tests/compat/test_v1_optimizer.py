"""The v1 toolkit's optimizer: the float model in the form in which it is quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests import small_net
from tinsmith.compat.v1 import optimizer
from tinsmith.errors import ModelError


def _run(model: onnx.ModelProto, data: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: data})
    return np.asarray(found)


def _normalized(layer: str = "Conv", trans: int = 1, bias: bool = False) -> onnx.ModelProto:
    """A layer and BatchNormalization, batch fixed to 2."""
    rng = np.random.default_rng(3)
    shape = {"Conv": (4, 3, 1, 1), "Gemm": (4, 3) if trans else (3, 4)}[layer]
    constants = {
        "w": rng.normal(0, 1, shape),
        "scale": rng.uniform(0.5, 2, 4),
        "offset": rng.normal(0, 1, 4),
        "mean": rng.normal(0, 1, 4),
        "var": rng.uniform(0.5, 2, 4),
    }
    if bias:
        constants["b"] = rng.normal(0, 1, 4)
    options: dict[str, Any] = {"transB": trans} if layer == "Gemm" else {}
    shape_in = [2, 3] if layer == "Gemm" else [2, 3, 5, 5]
    nodes = [
        helper.make_node(layer, ["x", "w", *(["b"] if bias else [])], ["y"], **options),
        helper.make_node("BatchNormalization", ["y", "scale", "offset", "mean", "var"], ["z"], epsilon=0.125),
    ]
    graph = helper.make_graph(
        nodes,
        "normalized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape_in)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, 4, *shape_in[2:]])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("layer", "trans"), [("Conv", 1), ("Gemm", 1), ("Gemm", 0)])
def test_batch_normalization_goes_into_the_layer_before(layer: str, trans: int, bias: bool) -> None:
    model = _normalized(layer, trans, bias)
    fused = _copy(model)
    assert optimizer.fuse_bn(fused) is None  # type: ignore[func-returns-value]
    assert [node.op_type for node in fused.graph.node] == [layer]
    onnx.checker.check_model(fused)
    data = np.random.default_rng(0).normal(0, 1, (2, 3) if layer == "Gemm" else (2, 3, 5, 5)).astype(np.float32)
    before = _run(model, data)
    assert np.abs(_run(fused, data) - before).max() < 1e-5 * np.abs(before).max()


def test_a_layer_that_others_read_is_left_alone() -> None:
    model = _normalized()
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4, 5, 5]))
    before = model.SerializeToString()
    optimizer.fuse_bn(model)
    assert model.SerializeToString() == before


def test_shared_weights_are_left_alone() -> None:
    model = _normalized()
    model.graph.node.insert(0, helper.make_node("Conv", ["x", "w"], ["other"]))
    model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [2, 4, 5, 5]))
    before = model.SerializeToString()
    optimizer.fuse_bn(model)
    assert model.SerializeToString() == before


def test_the_batch_opens() -> None:
    opened = optimizer.convert_model_batch_to_dynamic(_normalized())
    assert opened.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert opened.graph.output[0].type.tensor_type.shape.dim[0].dim_value == 0
    data = np.ones((7, 3, 5, 5), np.float32)
    assert _run(opened, data).shape == (7, 4, 5, 5)


def test_weights_that_are_inputs_are_none_any_more() -> None:
    model = _normalized()
    model.graph.input.insert(0, helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 1, 1]))
    opened = optimizer.convert_model_batch_to_dynamic(model)
    assert [value.name for value in opened.graph.input] == ["x"]


def test_a_model_without_batch_cannot_open() -> None:
    model = _normalized()
    del model.graph.input[:]
    with pytest.raises(ModelError, match="batch dimension"):
        optimizer.convert_model_batch_to_dynamic(model)


def test_the_optimized_model_takes_batches_and_computes_the_same(tmp_path: Path) -> None:
    model = small_net.classifier(batch=1)
    path = small_net.saved(model, tmp_path / "a.net.onnx")
    before = path.read_bytes()
    found = optimizer.optimize_fp_model(str(path))
    assert found == str(tmp_path / "a.net_optimized.onnx")
    assert path.read_bytes() == before
    optimized = onnx.load(found)
    onnx.checker.check_model(optimized, full_check=True)
    data = small_net.images(5)
    expected = np.concatenate([_run(model, data[index : index + 1]) for index in range(5)])
    assert np.abs(_run(optimized, data) - expected).max() < 1e-5 * np.abs(expected).max()


def test_batch_normalization_is_gone_from_the_optimized_model(tmp_path: Path) -> None:
    path = small_net.saved(optimizer.convert_model_batch_to_dynamic(_normalized()), tmp_path / "net.onnx")
    optimized = onnx.load(optimizer.optimize_fp_model(path))
    assert [node.op_type for node in optimized.graph.node] == ["Conv"]


def test_what_works_along_the_batch_takes_one_sample(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"], "rows"), helper.make_node("Relu", ["y"], ["z"], "relu")]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [4, 6])],
        [numpy_helper.from_array(np.array([4, 6]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = small_net.saved(model, tmp_path / "net.onnx")
    with pytest.warns(UserWarning, match="one sample at a time"):
        optimized = onnx.load(optimizer.optimize_fp_model(path))
    data = np.random.default_rng(0).normal(0, 1, (1, 4, 6)).astype(np.float32)
    assert np.array_equal(_run(optimized, data), _run(model, data))


@pytest.mark.parametrize(("name", "said"), [("net.pt", "is no ONNX file"), ("absent.onnx", "no such file")])
def test_paths_that_are_none(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        optimizer.optimize_fp_model(tmp_path / name)


def test_names_of_nodes() -> None:
    model = _normalized("Gemm")
    optimizer.add_fused_gemm_name(model)
    assert [node.name for node in model.graph.node] == ["fused_gemm_0", ""]
    optimizer.rename_node(model)
    assert [node.name for node in model.graph.node] == ["Gemm_1", "BatchNormalization_1"]


def test_star_imports_bring_what_scripts_use() -> None:
    names: dict[str, object] = {}
    for module in ("optimizer", "calibrator", "evaluator"):
        exec(f"from tinsmith.compat.v1.{module} import *", names)
    assert {"optimize_fp_model", "Calibrator", "Evaluator", "pickle", "np", "onnx", "os"} <= names.keys()
