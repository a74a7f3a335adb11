from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.graph.models import check, model, node, op_types, value
from tinsmith.errors import ModelError
from tinsmith.graph import canonicalize
from tinsmith.importers import load

W = np.random.default_rng(9).normal(size=(4, 3, 3, 3)).astype(np.float32)
ONES = np.ones(4, np.float32)
NEWEST = min(28, onnx.defs.onnx_opset_version())


@pytest.mark.parametrize("opset", range(7, 27))
def test_every_opset(opset: int) -> None:
    if opset > NEWEST:
        pytest.skip(f"this ONNX ends at opset {NEWEST}")
    nodes = [
        node("Conv", "x w", "c", "conv", kernel_shape=[3, 3]), node("BatchNormalization", "c o o o o", "b"),
        node("Relu", "b", "r"), node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Dropout", "p", "d m"), node("GlobalAveragePool", "d", "g"), node("Flatten", "g", "f"),
        node("Gemm", "f k t", "e", transB=1), node("Softmax", "e", "y", axis=1),
    ]  # fmt: skip
    constants = {"w": W, "o": ONES, "k": W[:, :, 0, 0] @ W[0, :, 0, :].T.repeat(2, 1)[:, :4], "t": ONES}
    original = model(nodes, {"x": ("N", 3, 9, 9)}, "y", constants, opset=opset)
    check_either(original, ["Conv", "Relu", "MaxPool", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"], opset)


def check_either(original: onnx.ModelProto, ops: list[str], opset: int) -> None:
    """Compares results where ONNX Runtime runs the original, and only operators where it does not."""
    if opset <= 23:
        check(original, ops)
    else:
        assert op_types(canonicalize(load(original))) == ops


OLD: dict[str, tuple[list[Any], dict[str, Any], int]] = {
    "Clip": ([node("Clip", "x", "y", min=-0.5, max=0.5)], {}, 7),
    "Pad": ([node("Pad", "x", "y", pads=[0, 0, 1, 1, 0, 0, 0, 2], mode="constant", value=0.5)], {}, 7),
    "Slice": ([node("Slice", "x", "y", starts=[1], ends=[-1], axes=[2])], {}, 7),
    "Squeeze": (
        [node("Unsqueeze", "x", "u", axes=[0]), node("Exp", "u", "e"), node("Squeeze", "e", "y", axes=[0])],
        {},
        7,
    ),
    "ReduceMean": ([node("ReduceMean", "x", "y", axes=[1], keepdims=0)], {}, 7),
    "Split": ([node("Split", "x", "s t", axis=1, split=[1, 2]), node("Concat", "t s", "y", axis=1)], {}, 7),
    "Upsample": ([node("Upsample", "x f", "y", mode="linear")], {"f": [1.0, 1.0, 2.0, 2.0]}, 9),
    "Upsample, nearest": ([node("Upsample", "x f", "y", mode="nearest")], {"f": [1.0, 1.0, 2.0, 3.0]}, 9),
    "Resize": ([node("Resize", "x f", "y", mode="linear")], {"f": [1.0, 1.0, 1.5, 1.5]}, 10),
    "Resize, smaller": ([node("Resize", "x f", "y", mode="nearest")], {"f": [1.0, 1.0, 0.6, 0.6]}, 10),
    "TopK": ([node("TopK", "x k", "y i", axis=-1)], {"k": [2]}, 10),
    "Softmax": ([node("Softmax", "x", "y", axis=2)], {}, 8),
    "GRU": (
        [node("Squeeze", "x", "q", axes=[0]), node("GRU", "q w r", "y", hidden_size=2)],
        {"w": W.reshape(-1)[:48].reshape(1, 6, 8), "r": W.reshape(-1)[:12].reshape(1, 6, 2)},
        9,
    ),
}


@pytest.mark.parametrize("kind", OLD)
def test_what_changed(kind: str) -> None:
    nodes, constants, opset = OLD[kind]
    original = model(nodes, {"x": (1, 3, 8, 8)}, "y", constants, opset=opset)
    canonical = check(original)
    assert canonical.opset_imports == {"": 24}


def test_resizes_keep_their_names() -> None:
    nodes = [node("Upsample", "x f", "up", "mine"), node("Relu", "up", "y")]
    original = model(nodes, {"x": (1, 3, 8, 8)}, "y", {"f": [1.0, 1.0, 2.0, 2.0]}, opset=9)
    canonical = check(original, ["Resize", "Relu"])
    assert (canonical.graph[0].name, canonical.graph[0].outputs[0].name) == ("mine", "up")


def test_opset_6() -> None:
    nodes = [
        node("Conv", "x w", "c", kernel_shape=[3, 3]), node("BatchNormalization", "c o o o o", "b", is_test=1),
        node("Dropout", "b", "d", is_test=1), node("Relu", "d", "y"),
    ]  # fmt: skip
    original = model(nodes, {"x": (1, 3, 6, 6)}, "y", {"w": W, "o": ONES}, opset=6)
    assert op_types(canonicalize(load(original))) == ["Conv", "Relu"]


def test_initializers_that_are_inputs_too() -> None:
    original = model(
        [node("Conv", "x w", "y")], {"x": (1, 3, 6, 6), "w": W.shape}, "y", {"w": W}, opset=8, ir_version=3
    )
    canonical = check(original, ["Conv"])
    assert [item.name for item in canonical.graph.inputs] == ["x"]


def test_training_is_refused() -> None:
    nodes = [node("BatchNormalization", "x o o o o", "y", "norm", training_mode=1)]
    original = model(nodes, {"x": (2, 4, 3, 3)}, "y", {"o": ONES}, opset=17)
    with pytest.raises(
        ModelError, match=r"'norm': BatchNormalization normalizes with the statistics of the batch.*model\.eval"
    ):
        canonicalize(load(original))


@pytest.mark.parametrize("ratio", [0.5, None])
@pytest.mark.parametrize("mode", [True, None])
def test_dropping_at_random_is_refused(ratio: float | None, mode: bool | None) -> None:
    constants = {"r": np.float32(0.5) if ratio else None, "t": np.array(True) if mode else None}
    nodes = [node("Dropout", f"x {'r' if ratio else '_'} t", "y", "drop")]
    inputs = [value("x", (1, 4)), *([] if mode else [value("t", (), bool)])]
    given = {name: array for name, array in constants.items() if array is not None}
    with pytest.raises(ModelError, match=r"'drop': Dropout drops elements at random.*model\.eval"):
        canonicalize(load(model(nodes, inputs, "y", given)))


@pytest.mark.parametrize(("ratio", "mode"), [(0.5, False), (0.0, True)])
def test_dropping_nothing(ratio: float, mode: bool) -> None:
    nodes = [node("Tanh", "x", "h"), node("Dropout", "h r t", "y")]
    check(model(nodes, {"x": (1, 4)}, "y", {"r": np.float32(ratio), "t": np.array(mode)}), ["Tanh"])


@pytest.mark.skipif(NEWEST < 26, reason="this ONNX has no opset 26")
def test_newer_operators_are_refused_by_name() -> None:
    nodes = [node("Relu", "x", "h"), node("CumProd", "h a", "y", "new one")]
    original = model(nodes, {"x": (1, 3)}, "y", {"a": 1}, opset=26)
    with pytest.raises(ModelError, match="'new one': CumProd is younger than ONNX opset 24"):
        canonicalize(load(original))


@pytest.mark.skipif(NEWEST < 28, reason="this ONNX has no opset 28")
def test_what_is_new_in_an_operator() -> None:
    def original(**attributes: Any) -> onnx.ModelProto:
        layer = node("SpaceToDepth", "x", "y", blocksize=2, **attributes)
        return model([layer], {"x": (1, 3, 4, 4)}, "y", opset=28)

    (step,) = canonicalize(load(original(mode="DCR"))).graph
    assert set(step.attributes) == {"blocksize"}
    # The other mode is written out.
    assert op_types(canonicalize(load(original(mode="CRD")))) == ["Reshape", "Transpose", "Reshape"]


def test_an_unknown_opset() -> None:
    original = model([node("Relu", "x", "y")], {"x": (1, 3)}, "y")
    loaded = load(original)
    loaded.opset_imports.pop("")
    with pytest.raises(ModelError, match="does not say which ONNX opset"):
        canonicalize(loaded)


def test_conversions_that_fail_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxscript import version_converter

    monkeypatch.setattr(version_converter, "convert_version", lambda *args, **kwargs: None)
    original = model([node("Relu", "x", "y")], {"x": (1, 3)}, "y", opset=13)
    with pytest.raises(ModelError, match=r"cannot be converted from ONNX opset 13 to 24.*Export it with opset 18"):
        canonicalize(load(original))


def test_the_libraries_are_quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Conv", "x w", "h"), node("Softmax", "h", "y", axis=1)]
    canonicalize(load(model(nodes, {"x": ("N", 3, 8, 8)}, "y", {"w": W}, opset=11)))
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_types_of_other_domains_are_not_opsets() -> None:
    original = model([node("Relu", "x", "y")], [value("x", (1, 3))], "y", opset=24)
    original.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    check(original, ["Relu"])


def test_scans_with_a_batch_are_refused() -> None:
    body = helper.make_graph(
        [node("Add", "s e", "t"), node("Identity", "t", "u")], "body", [value("s", (2,)), value("e", (2,))],
        [value("t", (2,)), value("u", (2,))],
    )  # fmt: skip
    scan = node("Scan", "_ i x", "y z", "scan", num_scan_inputs=1, body=body)
    original = model([scan], {"i": (1, 2), "x": (1, 3, 2)}, "y z", opset=8, ir_version=3)
    with pytest.raises(ModelError, match=r"'scan': Scan of ONNX opset 8 runs over a batch.*opset 9"):
        canonicalize(load(original))
