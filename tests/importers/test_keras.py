"""Keras models arrive as what they are, and compute what Keras computes: from memory and from both kinds of files."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests.importers.contract import assert_agrees
from tests.importers.keras_nets import (
    attention,
    cnn,
    depthwise,
    functional,
    gru,
    keras,
    layers,
    lstm,
    results,
    sample,
    sequential,
)
from tests.shared import shared_path
from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import Runner, canonicalize, network
from tinsmith.importers import load
from tinsmith.importers.hints import Hints

ZOO: dict[str, tuple[Callable[[], Any], dict[str, int], set[str]]] = {
    "cnn": (
        cnn,
        {"Conv": 3, "Clip": 1, "Relu": 1, "MaxPool": 1, "Gemm": 1, "Softmax": 1},
        {"stem", "stem_relu", "second", "pool", "flat", "head"},
    ),
    "depthwise": (
        depthwise,
        {"Conv": 4, "Swish": 1, "HardSwish": 1, "Add": 1, "GlobalAveragePool": 1},
        {"separable", "dw", "dw_act", "shortcut", "conv2d_1"},
    ),
    "gru": (gru, {"GRU": 2, "Gemm": 1}, {"first", "both", "head"}),
    "lstm": (lstm, {"LSTM": 2, "Gemm": 1}, {"both", "last", "head.inner"}),
    "attention": (
        attention,
        {"Gemm": 6, "MatMul": 2, "Softmax": 1, "Add": 2, "LayerNormalization": 2, "Gelu": 1, "ReduceMean": 1},
        {"sum", "norm", "up", "sum_2", "norm_2", "mean", "head"},
    ),
}  # fmt: skip


class NoTensorFlow(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname.partition(".")[0] in ("tensorflow", "tf_keras", "tf2onnx"):
            raise ModuleNotFoundError(fullname)


@pytest.fixture(scope="module", params=list(ZOO))
def net(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, ZOO[request.param][0]()


def operators(canonical: Any) -> Counter[str]:
    """Those that compute something."""
    found = Counter(node.op_type for node in network(canonical).nodes)
    return Counter({name: count for name, count in found.items() if name not in ("Reshape", "Transpose")})


def test_zoo_from_memory(net: tuple[str, Any]) -> None:
    name, model = net
    inputs = sample(model)
    canonical = assert_agrees(model, inputs, results(model, inputs))
    _, expected, names = ZOO[name]
    assert operators(canonical) == expected
    assert names <= {node.name for node in canonical.graph}
    assert canonical.graph.name == name
    (value,) = canonical.graph.inputs
    assert (value.name, tuple(value.shape)) == (model.inputs[0].name, (1, *model.inputs[0].shape[1:]))
    assert [value.name for value in canonical.graph.outputs] == [model.layers[-1].name]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_zoo_from_files(net: tuple[str, Any], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = net
    path = tmp_path / f"model{suffix}"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(sys, "meta_path", [NoTensorFlow(), *sys.meta_path])
    inputs = sample(model)
    canonical = assert_agrees(path, inputs, results(model, inputs))
    assert path.read_bytes() == before
    assert canonical.graph.inputs[0].name == model.inputs[0].name
    assert [value.name for value in canonical.graph.outputs] == [model.layers[-1].name]


def test_old_file_and_its_twin() -> None:
    """MLPerf Tiny's ResNet, written by TensorFlow 2.4; its ONNX twin lacks the softmax."""
    ours = canonicalize(load(shared_path("data/tflite/pretrainedResnet.h5")))
    twin = canonicalize(load(shared_path("data/models/resnet8_cifar10.onnx")))
    logits = {node.op_type: node for node in ours.graph}["Softmax"].inputs[0]
    assert logits is not None
    assert logits.name is not None
    assert "Transpose" not in [node.op_type for node in ours.graph][1:]
    cut, probable, other = Runner(canonicalize(ours, outputs=[logits.name])), Runner(ours), Runner(twin)
    for picture in np.load(shared_path("data/cifar10_2000.npz"))["X"][:20].astype(np.float32):
        (expected,) = other({"input": picture.transpose(2, 0, 1)[None]}).values()
        (found,) = cut({"input_1": picture[None]}).values()
        (shares,) = probable({"input_1": picture[None]}).values()
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
        powers = np.exp(expected - expected.max())
        assert np.abs(shares - powers / powers.sum()).max() <= 1e-5


def test_several_inputs_and_outputs_nested_models_and_shared_layers() -> None:
    inner = keras.Input((8, 8, 3))
    base = keras.Model(inner, layers.Conv2D(4, 3, padding="same", name="conv")(inner) + 1.0, name="base")
    one, two = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="two")
    dense, mean = layers.Dense(5, name="dense"), layers.GlobalAveragePooling2D(name="mean")
    first, second = dense(mean(base(one))), dense(mean(base(two)))
    model = functional({"one": one, "two": two}, {"b": layers.Concatenate()([first, second]), "a": second})
    inputs = sample(model)
    canonical = assert_agrees(model, inputs, results(model, inputs))
    assert [value.name for value in canonical.graph.outputs] == ["a", "b"]
    names = {node.name for node in canonical.graph}
    assert {"base.conv", "base.conv/Conv", "dense"} <= names


def test_open_axes() -> None:
    model = sequential((None, 6), layers.Conv1D(4, 3, padding="causal"), layers.GlobalMaxPooling1D())
    with pytest.raises(ModelError, match=r"input 'x': its shape \(None, None, 6\) leaves axes open\. .*x=1,…,6"):
        load(model)
    inputs = sample(model, shapes={"x": (1, 11, 6)})
    expected = results(model, inputs)
    assert_agrees(model, inputs, expected, example_input=np.zeros((5, 11, 6)))
    graph = load(model, Hints(first_sample=lambda: [(np.zeros((1, 6)), 3), (np.zeros((1, 10, 6)), 3)])).graph
    assert tuple(graph.inputs[0].shape or ()) == (1, 10, 6)
    with pytest.raises(ModelError, match=r"the shape \(1, 11, 5\) does not fit the model's \(None, None, 6\)"):
        load(model, Hints(input_shapes={"x": (1, 11, 5)}))
    with pytest.raises(ModelError, match=r"there is no input 'y'\. Its inputs: 'x'"):
        load(model, Hints(input_shapes={"y": (1, 11, 6)}))
    with pytest.raises(ModelError, match="has 2 arrays, and the model takes 1"):
        load(model, Hints([np.zeros((1, 11, 6))] * 2))


def test_subclasses_of_model() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = layers.Dense(3, name="inner")

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Own()
    with pytest.raises(ModelError, match="the Keras model 'own': it was never called, so it has no weights"):
        load(model, Hints(np.zeros((1, 4), np.float32)))
    assert not model.dense.built
    model(np.zeros((2, 4)))
    graph = load(model, Hints(np.zeros((1, 4), np.float32))).graph
    assert [node.name for node in graph if node.op_type == "MatMul"] == ["inner"]
    assert load(model).graph.inputs[0].name == "input"


def test_the_model_and_the_process_stay_as_they_were(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = sequential((5, 4), layers.GRU(3, dropout=0.5, recurrent_dropout=0.5), layers.Dropout(0.5), layers.Dense(2))
    model.compile(loss="mse")
    model(np.zeros((1, 5, 4)))
    model.save(tmp_path / "model.keras")
    parts = model._flatten_layers()

    def state() -> list[Any]:
        variables = [
            variable.numpy().tobytes() for part in parts for variable in (*part.variables, *part._trainable_variables)
        ]
        seeds = [generator.state.numpy().tobytes() for part in parts for generator in part._seed_generators]
        methods = [sorted(part.__dict__) for part in parts]
        numbers = [
            random.getstate(),
            torch.random.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
        ]
        settings = [keras.config.floatx(), keras.config.image_data_format(), keras.backend.backend(), dict(os.environ)]
        return [variables, seeds, methods, [part.training for part in parts], numbers, settings, len(tmp_path_files())]

    def tmp_path_files() -> list[Path]:
        return sorted(tmp_path.iterdir())

    before = state()
    loaded = load(model)
    load(tmp_path / "model.keras")
    assert state() == before
    weights = [value.const_value.numpy().copy() for value in loaded.graph.initializers.values()]
    model.set_weights([weight + 1 for weight in model.get_weights()])
    for value, weight in zip(loaded.graph.initializers.values(), weights, strict=True):
        assert np.array_equal(value.const_value.numpy(), weight)


def test_what_cannot_run_on_a_chip_is_refused_by_layer() -> None:
    masked = sequential((5, 4), layers.Masking(), layers.GRU(3, name="rec"))
    with pytest.raises(UnsupportedError, match=r"^rec: a mask says which steps"):
        load(masked)
    both = sequential((5, 4), layers.Masking(), layers.Bidirectional(layers.GRU(3), name="two"))
    with pytest.raises(UnsupportedError, match=r"^two: a mask says which steps"):
        load(both)
    x = keras.Input(batch_shape=(1, 5, 4))
    with pytest.raises(UnsupportedError, match=r"^kept: it keeps its state"):
        load(keras.Model(x, layers.LSTM(3, stateful=True, name="kept")(x)))
    x = keras.Input(batch_shape=(8, 4), name="rows")
    with pytest.raises(ModelError, match="input 'rows': the batch is fixed to 8"):
        load(keras.Model(x, layers.Dense(3)(x)))
    with pytest.raises(ModelError, match=r"a GRU is not a keras\.Model"):
        load(layers.GRU(3))


def test_an_exporter_that_fails_names_the_layer() -> None:
    class Odd(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs[inputs > 0]

        def compute_output_spec(self, inputs: Any) -> Any:
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    with pytest.raises(ModelError, match=r"the Keras model 'net'.*: PyTorch's exporter cannot convert it"):
        load(sequential((5,), Odd(name="odd"), layers.Dense(3)))

    class Broken(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            raise KeyError("speed")

        def compute_output_spec(self, inputs: Any) -> Any:
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    with pytest.raises(ModelError, match=r"'net', layer 'broken': .*speed"):
        load(sequential((5,), layers.Dense(3), Broken(name="broken")))


def test_from_keras_to_the_chip(tmp_path: Path) -> None:
    model = cnn()
    data = [np.random.default_rng(number).normal(size=(15, 16, 3)).astype(np.float32) for number in range(4)]
    result = tinsmith.quantize(model, data, target="esp32s3", int16=["^second$"])
    result.save(tmp_path, "cnn")
    (found,) = tinsmith.simulate(tinsmith.read(tmp_path / "cnn.espdl"), {"x": data[0][None]}).values()
    (expected,) = results(model, {"x": data[0][None]})
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.05
