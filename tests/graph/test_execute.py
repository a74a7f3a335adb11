from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from tests.graph.models import model, node
from tinsmith.errors import ModelError
from tinsmith.graph import Runner
from tinsmith.graph.execute import reason
from tinsmith.importers import load

W = np.random.default_rng(10).normal(size=(64, 64)).astype(np.float32)
X = np.linspace(-1, 1, 64, dtype=np.float32)[None]
NODES = [node("MatMul", "x w", "h"), node("Relu", "h", "y")]


def test_runs() -> None:
    runner = Runner(load(model(NODES, {"x": (1, 64)}, "y", {"w": W})))
    assert (runner.inputs, runner.outputs) == (("x",), ("y",))
    assert runner({"x": X})["y"] == pytest.approx(np.maximum(X @ W, 0), abs=1e-4)


def test_any_value_can_be_an_output() -> None:
    runner = Runner(load(model(NODES, {"x": (1, 64)}, "y", {"w": W})), ["h", "y"])
    results = runner({"x": X})
    assert list(results) == ["h", "y"]
    assert np.array_equal(np.maximum(results["h"], 0), results["y"])


@pytest.mark.parametrize("op_type", ["Gemm", "MatMul"])
def test_a_product_that_is_transposed_as_well(op_type: str) -> None:
    turned = [node("Transpose", a, b, perm=[1, 0]) for a, b in ("xt", "hy")]
    nodes = [turned[0], node(op_type, "t w", "h"), turned[1]]
    results = Runner(load(model(nodes, {"x": (64, 1)}, "y", {"w": W})), ["h", "y"])({"x": X.T})
    assert np.array_equal(results["h"].T, results["y"])


def test_the_model_is_not_changed() -> None:
    source = load(model(NODES, {"x": (1, 64)}, "y", {"w": W}))
    before = ir.to_proto(source).SerializeToString()
    Runner(source, ["h"])
    assert ir.to_proto(source).SerializeToString() == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.bool_])
def test_large_constants_of_any_type(dtype: type) -> None:
    table = (np.arange(3000) % 2).astype(dtype)
    original = model(
        [node("Gather", "t i", "g"), node("Cast", "g", "h", to=1), node("Add", "h x", "y")],
        {"x": (2,)},
        "y",
        {"t": table, "i": [1, 2]},
    )
    assert Runner(load(original))({"x": np.zeros(2, np.float32)})["y"].tolist() == [1, 0]


def test_external_data_is_read_where_it_is(tmp_path: Path) -> None:
    original = model(NODES, {"x": (1, 64)}, "y", {"w": W})
    onnx.save_model(original, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    assert Runner(load(tmp_path / "m.onnx"))({"x": X})["y"] == pytest.approx(np.maximum(X @ W, 0), abs=1e-4)


def test_failures_are_ours() -> None:
    bad = load(model([node("Relu", "x", "y", "n")], {"x": (1, 3)}, "y"))
    bad.graph[0].op_type = "Nonsense"
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load the model.*Nonsense"):
        Runner(bad)
    runner = Runner(load(model(NODES, {"x": (1, 64)}, "y", {"w": W})))
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the model"):
        runner({"x": X[:, :5]})


def test_reasons_are_one_sentence() -> None:
    assert reason(ValueError("[ONNXRuntimeError] : something is wrong\nwith details")) == "something is wrong."
    assert reason(ValueError()) == "ValueError."


def test_failures_print_nothing(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(onnxruntime.InferenceSession, "_create_inference_session", fail)
    with pytest.raises(ModelError, match="ONNX Runtime cannot load the model: no"):
        Runner(load(model(NODES, {"x": (1, 64)}, "y", {"w": W})))
    assert capfd.readouterr() == ("", "")


def test_transposed_matrices_meet_vectors() -> None:
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "t v", "y")]
    x, v = np.arange(16, dtype=np.float32).reshape(1, 4, 4), np.arange(4, dtype=np.float32)
    runner = Runner(load(model(nodes, {"x": (1, 4, 4), "v": (4,)}, "y")))
    assert np.array_equal(runner({"x": x, "v": v})["y"], x.transpose(0, 2, 1) @ v)


def test_a_run_that_fails_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Cast", "x", "shape", to=7), node("Reshape", "w shape", "y")]
    runner = Runner(load(model(nodes, {"x": (1,)}, "y", {"w": W})))
    with pytest.raises(ModelError, match="cannot run the model"):
        runner({"x": np.array([5], np.float32)})
    assert capfd.readouterr() == ("", "")
