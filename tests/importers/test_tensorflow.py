"""TensorFlow models: the zoo agrees with TensorFlow itself, everything in the way is one line."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.contract import assert_agrees
from tinsmith.errors import ModelError
from tinsmith.importers import load
from tinsmith.importers.hints import Hints

if not all(importlib.util.find_spec(name) for name in ("tensorflow", "tf2onnx", "keras")):
    pytest.skip("TensorFlow is not installed: pip install 'tinsmith[tensorflow]'", allow_module_level=True)
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
keras = importlib.import_module("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend than TensorFlow here", allow_module_level=True)
tf: Any = importlib.import_module("tensorflow")
layers = keras.layers


def cnn() -> Any:
    return keras.Sequential(
        [
            keras.Input((16, 16, 3), name="picture"),
            layers.Conv2D(8, 3, strides=2, padding="same"),
            layers.BatchNormalization(moving_variance_initializer=keras.initializers.RandomUniform(0.5, 1.5)),
            layers.ReLU(6.0),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, activation="silu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def depthwise() -> Any:
    return keras.Sequential(
        [
            keras.Input((16, 16, 4)),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(8, 1, activation="hard_swish"),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def gru() -> Any:
    return keras.Sequential(
        [keras.Input((10, 6)), layers.GRU(8, return_sequences=True), layers.GRU(7), layers.Dense(3)]
    )


def lstm() -> Any:
    recurrent = [layers.LSTM(8, return_sequences=True), layers.Bidirectional(layers.LSTM(5))]
    return keras.Sequential([keras.Input((10, 6)), *recurrent, layers.Dense(3)])


def attention() -> Any:
    given = keras.Input((12, 16))
    x = layers.LayerNormalization()(given)
    x = layers.Add()([layers.MultiHeadAttention(2, 8)(x, x), given])
    y = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(16)(y)])
    return keras.Model(given, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


ZOO = {
    cnn: {"Conv", "Clip", "MaxPool", "Swish", "GlobalAveragePool", "Gemm", "Softmax", "Transpose"},
    depthwise: {"Conv", "Relu", "HardSwish", "Gemm", "Transpose"},
    gru: {"GRU", "Gemm"},
    lstm: {"LSTM", "Concat", "Gemm"},
    attention: {"LayerNormalization", "MatMul", "Softmax", "Gelu", "Gemm", "Add", "Transpose", "ReduceMean"},
}
MOVES = {"Reshape", "Squeeze", "Unsqueeze", "Slice", "Flatten"}


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize("build", ZOO, ids=lambda build: build.__name__)
def test_the_zoo_from_saved_models(
    build: Callable[[], Any], tmp_path: Path, rng: np.random.Generator, capfd: pytest.CaptureFixture[str]
) -> None:
    model = build()
    x = rng.normal(size=(1, *model.inputs[0].shape[1:])).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    model.export(tmp_path / "saved", verbose=False)
    capfd.readouterr()
    canonical = assert_agrees(tmp_path / "saved", {"x": x}, [expected])
    assert capfd.readouterr() == ("", "")
    assert {node.op_type for node in canonical.graph} - MOVES == ZOO[build]
    assert tuple(canonical.graph.inputs[0].shape) == x.shape
    assert canonical.graph.inputs[0].name == model.inputs[0].name
    assert not any("PartitionedCall" in (node.name or "") for node in load(tmp_path / "saved").graph)


class Scaled(tf.Module):
    """Two inputs, two outputs, a variable, and a constant of TensorFlow that is captured."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3), name="weights")
        self.offset = tf.constant([0.5, -0.25, 1.0])

    def __call__(self, left: Any, right: Any) -> Any:
        first = tf.nn.relu(left @ self.weights + self.offset)
        return first, tf.tanh(right @ self.weights) * first


LEFT, RIGHT = (np.random.default_rng(seed).normal(size=(1, 4)).astype(np.float32) for seed in (1, 2))
BOTH = {"left": LEFT, "right": RIGHT}
SPEC = tf.TensorSpec((None, 4), tf.float32)


def names(values: Any) -> list[str]:
    return [value.name for value in values]


@pytest.mark.parametrize("example", [(LEFT, RIGHT), BOTH], ids=["tuple", "by argument"])
def test_modules_are_traced_with_an_example(example: Any) -> None:
    model = Scaled()
    canonical = assert_agrees(model, BOTH, [x.numpy() for x in model(LEFT, RIGHT)], example_input=example)
    assert names(canonical.graph.inputs) == ["left", "right"]
    assert names(canonical.graph.outputs) == ["output_0", "output_1"]


def test_modules_are_traced_with_the_data() -> None:
    label = np.zeros(1, np.int64)
    model = load(Scaled(), Hints(first_sample=lambda: [(LEFT[:, :3], RIGHT, label), (LEFT, RIGHT, label)]))
    assert [tuple(value.shape) for value in model.graph.inputs] == [(1, 4), (1, 4)]
    with pytest.raises(ModelError, match="there is no example input"):
        load(Scaled(), Hints(first_sample=lambda: [(label, label)]))


def test_functions_with_a_signature_need_none() -> None:
    model = Scaled()
    function = tf.function(model.__call__, input_signature=[SPEC, SPEC])
    expected = [x.numpy() for x in model(LEFT, RIGHT)]
    assert_agrees(function, BOTH, expected)
    assert_agrees(function.get_concrete_function(), BOTH, expected)


def test_functions_without_one_say_what_is_missing() -> None:
    with pytest.raises(ModelError, match=r"the Function: it has no input signature.*example_input="):
        load(tf.function(lambda x: x))
    with pytest.raises(ModelError, match="the Scaled: it has no input signature"):
        load(Scaled())


def test_what_the_users_code_raises_is_one_line() -> None:
    def broken(x: Any) -> Any:
        raise ValueError("no such layer\nand more")

    with pytest.raises(ModelError, match=r"the Function: TensorFlow cannot trace it: .*\.$") as caught:
        load(tf.function(broken), Hints(LEFT))
    assert "\n" not in str(caught.value)


def chosen(model: Any, made: Callable[..., Any]) -> Callable[..., Any]:
    def call(left: Any, right: Any) -> Any:
        return made(*model(left, right))

    return call


def saved(folder: Path, signatures: dict[str, Callable[..., Any]]) -> Path:
    """A SavedModel of `Scaled`, with signatures for it."""
    model = Scaled()
    concrete = {}
    for name, made in signatures.items():
        function = tf.function(chosen(model, made), input_signature=[SPEC, SPEC])
        concrete[name] = function.get_concrete_function()
        setattr(model, name, function)
    tf.saved_model.save(model, str(folder), signatures=concrete)
    return folder


def test_a_signature_names_inputs_and_outputs(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", {"other": lambda a, b: {"z": a}, "serving_default": lambda a, b: {"b": b, "a": a}})
    a, b = (x.numpy() for x in Scaled()(LEFT, RIGHT))
    for source in (folder, folder / "saved_model.pb", str(folder), tf.saved_model.load(str(folder))):
        canonical = assert_agrees(source, BOTH, [a, b])
        assert names(canonical.graph.inputs) == ["left", "right"]
        assert names(canonical.graph.outputs) == ["a", "b"]


def test_several_signatures_are_no_choice(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", {"one": lambda a, b: {"z": a}, "two": lambda a, b: {"z": b}})
    with pytest.raises(ModelError, match=r"its signatures: one, two\. Load it .* give loaded\.signatures\['one'\]"):
        load(folder)
    loaded = tf.saved_model.load(str(folder))
    assert_agrees(loaded.signatures["two"], BOTH, [Scaled()(LEFT, RIGHT)[1].numpy()])


def test_a_saved_module_without_signatures(tmp_path: Path) -> None:
    class Called(tf.Module):
        @tf.function(input_signature=[SPEC])
        def __call__(self, x: Any) -> Any:
            return tf.nn.elu(x)

    tf.saved_model.save(Called(), str(tmp_path / "m"))
    canonical = assert_agrees(tmp_path / "m", {"x": LEFT}, [tf.nn.elu(LEFT).numpy()])
    assert names(canonical.graph.inputs) == ["x"]
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="neither a signature nor a __call__"):
        load(tmp_path / "empty")


def test_frozen_graphs(tmp_path: Path) -> None:
    convert = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    model = Scaled()
    function = tf.function(model.__call__, input_signature=[SPEC, SPEC]).get_concrete_function()
    frozen = convert.convert_variables_to_constants_v2(function).graph.as_graph_def()
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    canonical = assert_agrees(tmp_path / "frozen.pb", BOTH, [x.numpy() for x in model(LEFT, RIGHT)])
    assert names(canonical.graph.inputs) == ["left", "right"]
    (tmp_path / "cut.pb").write_bytes(frozen.SerializeToString()[:-100])
    with pytest.raises(ModelError, match=r"cut\.pb: TensorFlow cannot load the graph: "):
        load(tmp_path / "cut.pb")
    (tmp_path / "variable.pb").write_bytes(function.graph.as_graph_def().SerializeToString())
    with pytest.raises(ModelError, match=r"variable\.pb: .*"):
        load(tmp_path / "variable.pb")


def test_open_dimensions_take_the_shape_given() -> None:
    function = tf.function(lambda x: tf.nn.relu(x), input_signature=[tf.TensorSpec((None, None, 2), tf.float32, "x")])
    x = np.random.default_rng(0).normal(size=(1, 5, 2)).astype(np.float32)
    model = load(function, Hints(input_shapes={"x": (1, 5, 2)}))
    assert tuple(model.graph.inputs[0].shape) == (1, 5, 2)
    assert_agrees(function, {"x": x}, [np.maximum(x, 0)], input_shapes={"x": (1, 5, 2)})


def test_operations_without_a_counterpart_are_named() -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def lookup(x: Any) -> Any:
        return tf.math.igamma(tf.math.lgamma(x), x)

    with pytest.raises(ModelError, match=r"ONNX has no counterpart of Igamma \('.*'\), Lgamma \('.*'\)"):
        load(lookup)


def test_a_damaged_saved_model_is_one_line(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", {"serving_default": lambda a, b: {"z": a}})
    (folder / "variables/variables.index").unlink()
    with pytest.raises(ModelError, match=r"m: TensorFlow cannot load it: .*") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_keras_2_models_in_memory(rng: np.random.Generator) -> None:
    tf_keras = pytest.importorskip("tf_keras", reason="Keras 2 is not installed: pip install tf_keras")
    given = tf_keras.Input((8, 8, 3), name="picture")
    hidden = tf_keras.layers.Conv2D(4, 3, activation="relu")(given)
    scores = tf_keras.layers.Dense(3, name="scores")(tf_keras.layers.Flatten()(hidden))
    boxes = tf_keras.layers.Dense(2, name="boxes")(tf_keras.layers.GlobalAveragePooling2D()(hidden))
    model = tf_keras.Model(given, [scores, boxes])
    x = rng.normal(size=(1, 8, 8, 3)).astype(np.float32)
    canonical = assert_agrees(model, {"picture": x}, [value.numpy() for value in model(x)])
    assert names(canonical.graph.inputs) == ["picture"]
    assert names(canonical.graph.outputs) == ["scores", "boxes"]
