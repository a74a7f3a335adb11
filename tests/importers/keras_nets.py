"""Small Keras models with weights that are not those of a beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra keras is not installed")
try:
    from tinsmith.importers.keras.backend import keras_on_torch

    _FOUND = keras_on_torch()
except Exception as error:
    pytest.skip(f"the extra keras is not installed: {error}", allow_module_level=True)
if _FOUND is None:
    pytest.skip("Keras runs on another backend in this process", allow_module_level=True)
keras: Any = _FOUND
layers = keras.layers

Arrays = dict[str, np.ndarray[Any, Any]]


def settled(model: Any, seed: int = 0) -> Any:
    """The model with weights of a size that keeps what goes through it in range; variances are positive."""
    rng = np.random.default_rng(seed)

    def drawn(variable: Any) -> Any:
        shape = tuple(variable.shape)
        if "variance" in variable.path:
            return rng.uniform(0.5, 2, shape)
        fan_in = np.prod(shape[:-1]) if len(shape) > 1 else 4
        return rng.normal(size=shape) / np.sqrt(fan_in)

    model.set_weights([drawn(variable).astype(np.float32) for variable in model.weights])
    return model


def sequential(shape: tuple[int, ...], *parts: Any, name: str = "net") -> Any:
    return settled(keras.Sequential([keras.Input(shape, name="x"), *parts], name=name))


def functional(inputs: Any, outputs: Any, name: str = "net") -> Any:
    return settled(keras.Model(inputs, outputs, name=name))


def sample(model: Any, seed: int = 1, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Arrays:
    """Inputs by name."""
    rng = np.random.default_rng(seed)
    given = shapes or {tensor.name: (1, *tensor.shape[1:]) for tensor in model.inputs}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in given.items()}


def results(model: Any, inputs: Arrays) -> list[np.ndarray[Any, Any]]:
    """What Keras computes, in order."""
    values = list(inputs.values())
    given = values[0] if len(values) == 1 else keras.tree.pack_sequence_as(model.input, values)
    return [keras.ops.convert_to_numpy(result) for result in keras.tree.flatten(model(given, training=False))]


def cnn() -> Any:
    return sequential(
        (15, 16, 3),
        layers.Rescaling(1 / 2, offset=-0.25, name="scaled"),
        layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem"),
        layers.BatchNormalization(name="stem_bn"),
        layers.ReLU(6.0, name="stem_relu"),
        layers.Dropout(0.5),
        layers.Conv2D(6, (3, 2), padding="valid", activation="relu", name="second"),
        layers.MaxPooling2D(2, padding="valid", name="pool"),
        layers.Flatten(name="flat"),
        layers.Dense(5, activation="softmax", name="head"),
        name="cnn",
    )


def depthwise() -> Any:
    x = keras.Input((12, 12, 3), name="picture")
    a = layers.SeparableConv2D(6, 3, strides=2, padding="same", activation="swish", name="separable")(x)
    b = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw")(a)
    b = layers.BatchNormalization(name="dw_bn")(b)
    b = layers.Activation("hard_silu", name="dw_act")(b)
    c = layers.Add(name="shortcut")([a, b])
    c = layers.GlobalAveragePooling2D(keepdims=True, name="gap")(c)
    c = layers.Conv2D(4, 1, name="conv2d_1")(c)
    return functional(x, layers.Reshape((4,), name="scores")(c), "depthwise")


def gru() -> Any:
    return sequential(
        (9, 6),
        layers.GRU(7, return_sequences=True, name="first"),
        layers.Bidirectional(layers.GRU(5), name="both"),
        layers.Dense(4, name="head"),
        name="gru",
    )


def lstm() -> Any:
    return sequential(
        (9, 6),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both"),
        layers.LSTM(6, return_sequences=True, name="last"),
        layers.TimeDistributed(layers.Dense(4, name="inner"), name="head"),
        name="lstm",
    )


def attention() -> Any:
    x = keras.Input((6, 8), name="tokens")
    a = layers.MultiHeadAttention(2, 4, name="mha")(x, x)
    a = layers.LayerNormalization(name="norm")(layers.Add(name="sum")([x, a]))
    b = layers.Dense(8, activation="gelu", name="up")(a)
    b = layers.LayerNormalization(name="norm_2")(layers.Add(name="sum_2")([a, b]))
    return functional(x, layers.Dense(3, name="head")(layers.GlobalAveragePooling1D(name="mean")(b)), "attention")
