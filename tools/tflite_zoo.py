"""Write the small networks of `tests/importers/data/tflite`, as TensorFlow's converter makes them.

    python tools/tflite_zoo.py FOLDER

Needs TensorFlow, in an environment of its own. With TF_USE_LEGACY_KERAS=1 (and tf_keras) it writes the recurrent layers
that Keras 2 hands over whole; otherwise everything else. Beside each file: an input, and what the reference runtime
makes of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

keras = tf.keras
layers = tf.keras.layers
RNG = np.random.default_rng(0)


def cnn() -> Any:
    """Convolutions with normalization, pooling, a dense layer."""
    x = given = keras.Input((16, 16, 3), batch_size=1, name="image")
    x = layers.Conv2D(8, 3, padding="same", strides=2, name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(6.0, name="clip")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="second")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    return keras.Model(given, layers.Dense(5, name="dense")(layers.Flatten(name="flat")(x)))


def depthwise() -> Any:
    """Depthwise and pointwise convolutions around a sum."""
    x = given = keras.Input((17, 17, 4), batch_size=1, name="image")
    x = layers.DepthwiseConv2D(3, padding="same", strides=2, depth_multiplier=2, name="first")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="point")(x)
    y = layers.DepthwiseConv2D(5, padding="same", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Add(name="sum")([x, y]))
    return keras.Model(given, layers.Dense(5, activation="softmax", name="dense")(x))


def attention() -> Any:
    """A block of a transformer."""
    x = given = keras.Input((10, 16), batch_size=1, name="tokens")
    y = layers.LayerNormalization(name="norm1")(x)
    x = layers.Add(name="add1")([x, layers.MultiHeadAttention(4, 4, name="heads")(y, y)])
    y = layers.Dense(32, activation="gelu", name="wide")(layers.LayerNormalization(name="norm2")(x))
    x = layers.Add(name="add2")([x, layers.Dense(16, name="narrow")(y)])
    return keras.Model(given, layers.Dense(5, name="dense")(layers.GlobalAveragePooling1D(name="mean")(x)))


def tcn() -> Any:
    """Dilated convolutions over a sequence."""
    x = given = keras.Input((32, 6), batch_size=1, name="sequence")
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu", name="two")(x)
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=4, activation="relu", name="four")(x)
    return keras.Model(given, layers.Dense(5, name="dense")(layers.GlobalMaxPooling1D(name="most")(x)))


def recurrent(layer: Any) -> Callable[[], Any]:
    """Two recurrent layers."""

    def build() -> Any:
        x = given = keras.Input((12, 6), batch_size=1, name="sequence")
        x = layer(7, name="second")(layer(8, return_sequences=True, name="first")(x))
        return keras.Model(given, layers.Dense(5, name="dense")(x))

    return build


MODERN = {
    "cnn": cnn,
    "cnn_int8": cnn,
    "cnn_int16": cnn,
    "cnn_half": cnn,
    "depthwise": depthwise,
    "depthwise_int8": depthwise,
    "attention": attention,
    "tcn": tcn,
    "gru_loop": recurrent(layers.GRU),
    "lstm_loop": recurrent(layers.LSTM),
}
LEGACY = {"lstm": recurrent(layers.LSTM), "lstm_int8": recurrent(layers.LSTM)}


def convert(model: Any, name: str) -> bytes:
    """The file of a model; the end of its name says which numbers it has."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    kind = name.rpartition("_")[2]
    shape = model.input_shape
    if kind in ("int8", "int16", "half"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "half":
        converter.target_spec.supported_types = [tf.float16]
    if kind in ("int8", "int16"):
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8 if kind == "int8" else wide]
        converter.representative_dataset = lambda: ([RNG.normal(size=shape).astype(np.float32)] for _ in range(50))
    return bytes(converter.convert())


def main(folder: Path) -> None:
    """Writes all files."""
    keras.utils.set_random_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in (LEGACY if os.environ.get("TF_USE_LEGACY_KERAS") == "1" else MODERN).items():
        keras.utils.set_random_seed(1)
        model = build()
        data = convert(model, name)
        runtime = tf.lite.Interpreter(model_content=data, num_threads=1)
        runtime.allocate_tensors()
        x = RNG.normal(size=model.input_shape).astype(np.float32)
        runtime.set_tensor(runtime.get_input_details()[0]["index"], x)
        runtime.invoke()
        (folder / f"{name}.tflite").write_bytes(data)
        np.savez_compressed(folder / f"{name}.npz", x=x, y=runtime.get_tensor(runtime.get_output_details()[0]["index"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
