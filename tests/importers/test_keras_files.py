"""What Keras files can be: of Keras 2, of somebody's own layers, of weights alone, damaged, of other kinds."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.keras_nets import keras, layers, sample, sequential
from tinsmith.errors import MissingExtraError, ModelError
from tinsmith.importers import load
from tinsmith.importers.keras.backend import keras_on_torch
from tinsmith.importers.keras.files import opened

h5py = pytest.importorskip("h5py")


def edited(path: Path, change: Callable[[dict[str, Any]], None], version: str = "2.4.0") -> Path:
    """The file with another configuration of each layer, and the version of Keras that it says it is of."""

    def apply(config: dict[str, Any]) -> str:
        for layer in config["config"]["layers"]:
            change(layer)
        return json.dumps(config)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = apply(json.loads(file.attrs["model_config"]))
            file.attrs["keras_version"] = version
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = apply(json.loads(parts["config.json"])).encode()
    parts["metadata.json"] = json.dumps({"keras_version": version}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def as_keras2(layer: dict[str, Any]) -> None:
    own, kind = layer["config"], layer["class_name"]
    own["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
    if kind == "InputLayer":
        own |= {"batch_input_shape": own.pop("batch_shape"), "sparse": False, "ragged": False, "dtype": "float32"}
    elif kind == "DepthwiseConv2D":
        own |= {"groups": 1, "depthwise_regularizer": {"class_name": "Own", "config": {"l": 0.1}}}
    elif kind == "BatchNormalization":
        own["axis"] = [3]
        layer["class_name"] = "BatchNormalizationV1"
    elif kind in ("LSTM", "GRU"):
        own |= {"time_major": False, "implementation": 2, "bias_initializer": "own_initializer"}
        if kind == "GRU":
            del own["reset_after"]


def test_files_of_keras_2(tmp_path: Path) -> None:
    model = sequential(
        (6, 6, 3),
        layers.DepthwiseConv2D(3, name="dw"),
        layers.BatchNormalization(name="bn"),
        layers.Reshape((4, 12)),
        layers.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid"),
        layers.GRU(4, reset_after=False),
        layers.Dense(3, activation="hard_sigmoid"),
    )
    path = saved(model, tmp_path / "old.h5")
    (x,) = sample(model).values()
    as_new = keras.ops.convert_to_numpy(opened(keras, path)(x))
    with pytest.raises(Exception, match=r"quantization_mode|DepthwiseConv2D"):
        keras.saving.load_model(edited(path, as_keras2))
    before = path.read_bytes()
    old = opened(keras, path)
    assert path.read_bytes() == before
    assert [layer.name for layer in old.layers] == [layer.name for layer in model.layers]
    found = keras.ops.convert_to_numpy(old(x))

    def keras2(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0, 1)

    model.layers[3].cell.recurrent_activation = model.layers[5].activation = keras2
    expected = keras.ops.convert_to_numpy(model(x))
    assert np.array_equal(found, expected)
    assert np.abs(found - as_new).max() > 1e-3


def test_the_newer_format_is_mended_too(tmp_path: Path) -> None:
    model = sequential((4, 4, 3), layers.DepthwiseConv2D(3), layers.Activation("hard_sigmoid"))
    path = saved(model, tmp_path / "old.keras")

    def change(layer: dict[str, Any]) -> None:
        if layer["class_name"] == "DepthwiseConv2D":
            layer["config"]["groups"] = 1

    (x,) = sample(model).values()
    old = opened(keras, edited(path, change, "2.13.1"))
    assert old.layers[-1].activation.__name__ == "keras2_hard_sigmoid"
    new = opened(keras, edited(saved(model, path), lambda layer: None, "3.0.0"))
    assert np.array_equal(new(x).detach().numpy(), model(x).detach().numpy())


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_a_file_is_what_it_holds(kind: str, tmp_path: Path) -> None:
    model = sequential((4,), layers.Dense(3))
    path = saved(model, tmp_path / f"model.{kind}")
    other = path.rename(tmp_path / f"model.{'h5' if kind == 'keras' else 'keras'}")
    weights = opened(keras, other).get_weights()
    assert all(np.array_equal(one, two) for one, two in zip(weights, model.get_weights(), strict=True))


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_code_in_files_is_not_run(kind: str, tmp_path: Path) -> None:
    model = sequential((4,), layers.Lambda(lambda x: x * 2, name="double"), layers.Dense(3))
    path = saved(model, tmp_path / f"model.{kind}")
    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(ModelError, match=r"the Lambda layer 'double' is Python code, which is not run.*in memory"):
            load(path)
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)
    if kind == "keras":
        assert load(model).graph.outputs[0].name == model.layers[-1].name


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_classes_that_nobody_registered(kind: str, tmp_path: Path) -> None:
    class Twice(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return 2 * x

    path = saved(sequential((4,), Twice(), layers.Dense(3)), tmp_path / f"model.{kind}")
    with pytest.raises(ModelError, match=r"it needs layers that are not Keras' own: 'Twice'\. .*custom_objects"):
        load(path)
    with keras.saving.custom_object_scope({"Twice": Twice}):
        assert len(opened(keras, path).layers) == 2


def test_functions_that_nobody_registered(tmp_path: Path) -> None:
    def bent(x: Any) -> Any:
        return keras.ops.abs(x)

    path = saved(sequential((4,), layers.Dense(3, activation=bent)), tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"Keras cannot load it: .*bent.* and give the model in memory"):
        load(path)


def test_operations_of_tensorflow(tmp_path: Path) -> None:
    path = saved(sequential((4,), layers.Dense(3, name="tf_math_add")), tmp_path / "model.h5")

    def change(layer: dict[str, Any]) -> None:
        if layer["class_name"] == "Dense":
            layer["class_name"] = "TFOpLambda"

    with pytest.raises(ModelError, match=r"layer 'tf_math_add' is an operation of TensorFlow.*SavedModel"):
        load(edited(path, change))


def test_axes_that_hdf5_loses(tmp_path: Path) -> None:
    model = sequential((4, 6), layers.LayerNormalization(axis=[1, 2], name="both"))
    with pytest.raises(ModelError, match=r"layer 'both' works along the axes \[1, 2\], which Keras loses.*\.keras"):
        load(saved(model, tmp_path / "model.h5"))
    assert list(opened(keras, saved(model, tmp_path / "model.keras")).layers[0].axis) == [1, 2]


def test_weights_alone(tmp_path: Path) -> None:
    model = sequential((4,), layers.Dense(3))
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelError, match=r"holds weights, and not the layers.*load_weights.*model\.save"):
        load(tmp_path / "model.weights.h5")
    path = saved(model, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
    with pytest.raises(ModelError, match="holds layers, and not their weights"):
        load(path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("m.keras", b"version https://git-lfs.github.com/spec/v1", "a pointer that Git LFS leaves"),
        ("m.keras", b"<!DOCTYPE html><html>", "this is a web page, not a Keras model"),
        ("m.h5", b"\x1c\x00\x00\x00TFL3" + bytes(20), "this is a TensorFlow Lite model, not a Keras model"),
        ("m.h5", b"", "this is not a Keras model, or it is cut off"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "the file cannot be read: "),
    ],
)
def test_other_files(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=message) as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.keras: the file does not exist\."):
        load(tmp_path / "none.keras")
    model = sequential((4,), layers.Dense(3))
    path = saved(model, tmp_path / "model.keras")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.keras: this is not a Keras model, or it is cut off\."):
        load(path)
    for name, message in (("config.json", r"its config\.json cannot be read"), ("model.weights.h5", "cannot load it")):
        with zipfile.ZipFile(saved(model, path)) as archive:
            parts = {part: archive.read(part) for part in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for part, data in parts.items():
                archive.writestr(part, b"{" if part == name else data)
        with pytest.raises(ModelError, match=message):
            load(path)


@pytest.mark.parametrize("missing", ["torch", "keras"])
def test_a_missing_extra_is_one_line(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"^[^\n]*needs {missing}, .*pip install 'tinsmith\[keras\]'\.$"):
        load(tmp_path / "model.keras")


def test_keras_2_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras, "__version__", "2.15.0")
    with pytest.raises(MissingExtraError, match=r"needs Keras 3, and Keras 2\.15\.0 is installed"):
        keras_on_torch()
