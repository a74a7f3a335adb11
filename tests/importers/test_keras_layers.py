"""Keras layers one by one: what they become, and that they compute what Keras computes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.importers.contract import assert_agrees
from tests.importers.keras_nets import functional, keras, layers, results, sample, sequential
from tinsmith.graph import network

PICTURE = (11, 10, 4)


def operators(model: Any) -> Counter[str]:
    inputs = sample(model)
    canonical = assert_agrees(model, inputs, results(model, inputs))
    return Counter(node.op_type for node in network(canonical).nodes)


def test_recurrent_layers_are_single_operators() -> None:
    """Every cell, direction and kind of result; what the chip has as it is, stays one node."""
    x = keras.Input((7, 5), name="x")
    h, c = keras.Input((4,), name="h"), keras.Input((4,), name="c")
    sequence = {"return_sequences": True}
    outputs = [
        layers.GRU(4, reset_after=True, use_bias=False)(x),
        layers.GRU(4, go_backwards=True, **sequence)(x),
        layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2, return_state=True)(x, initial_state=[h, c]),
        layers.SimpleRNN(4, go_backwards=True)(x),
        layers.Bidirectional(layers.GRU(3, **sequence), merge_mode="ave")(x),
        layers.Bidirectional(layers.LSTM(3, return_state=True, **sequence), merge_mode=None)(x),
        layers.Bidirectional(layers.SimpleRNN(3), merge_mode="mul")(x),
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(2, go_backwards=True))(x),
        layers.RNN([layers.LSTMCell(4), layers.LSTMCell(3)], **sequence)(x),
    ]
    found = operators(functional([x, h, c], keras.tree.flatten(outputs)))
    # A simple layer is a GRU whose gates stay where they are.
    assert {kind: found[kind] for kind in ("GRU", "LSTM", "RNN")} == {"GRU": 5, "LSTM": 6, "RNN": 0}
    assert not set(found) & {"Tanh", "Sigmoid", "MatMul", "Gemm"}


def test_recurrent_layers_of_other_kinds_are_spelled_out() -> None:
    x = keras.Input((4, 5), name="x")
    outputs = [
        layers.GRU(3, reset_after=False)(x),
        layers.LSTM(3, recurrent_activation="hard_sigmoid", return_sequences=True)(x),
        layers.SimpleRNN(3, activation="relu")(x),
        layers.SimpleRNN(3, activation="linear")(x),
        layers.Bidirectional(layers.GRU(3, activation="elu", recurrent_activation="softsign"))(x),
    ]
    found = operators(functional(x, outputs))
    assert not set(found) & {"GRU", "LSTM", "RNN"}


def test_a_cell_of_the_user_is_traced() -> None:
    class Cell(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.state_size = self.output_size = 3

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

        def call(self, inputs: Any, states: Any) -> Any:
            new = 0.5 * states[0] + keras.ops.matmul(inputs, self.kernel)
            return new, [new]

    found = operators(sequential((3, 5), layers.RNN(Cell(), return_sequences=True)))
    assert found["Gemm"] + found["MatMul"] > 0


def test_embeddings_are_one_look_up() -> None:
    model = sequential((6,), layers.Embedding(20, 8, name="look"), layers.GRU(3))
    inputs = {"x": np.array([[1, 2, 0, 4, 19, 3]], np.float32)}
    found = Counter(node.op_type for node in assert_agrees(model, inputs, results(model, inputs)).graph)
    assert {"Gather", "GRU"} <= set(found) <= {"Cast", "Gather", "Reshape", "GRU"}


def test_padding_and_strides() -> None:
    """SAME pads more behind than before, where the stride does not divide."""
    x = keras.Input(PICTURE, name="x")
    outputs = [
        layers.Conv2D(3, 3, strides=2, padding="same")(x),
        layers.Conv2D(3, (2, 5), strides=(1, 2), padding="same", groups=1)(x),
        layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x),
        layers.SeparableConv2D(3, 4, strides=3, padding="same")(x),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x),
        layers.Conv2DTranspose(3, 4, strides=2, padding="valid")(x),
        layers.MaxPooling2D(3, strides=2, padding="same")(x),
        layers.AveragePooling2D(2, padding="same")(x),
        layers.Conv2D(3, 3, dilation_rate=2, padding="same")(x),
        layers.Cropping2D(((1, 2), (0, 1)))(layers.ZeroPadding2D(((0, 1), (2, 1)))(x)),
        layers.GlobalMaxPooling2D(keepdims=True)(x),
        layers.UpSampling2D((2, 3))(x),
        layers.UpSampling2D(2, interpolation="bilinear")(x),
    ]
    found = operators(functional(x, outputs))
    assert found["Resize"] == 2
    assert found["ConvTranspose"] == 2
    assert found["Conv"] == 6


def test_channels_first() -> None:
    first = {"data_format": "channels_first"}
    net = sequential(
        (4, 9, 8),
        layers.Conv2D(3, 3, padding="same", **first),
        layers.BatchNormalization(axis=1),
        layers.ReLU(),
        layers.UpSampling2D(2, **first),
        layers.GlobalAveragePooling2D(**first),
    )
    assert set(operators(net)) == {"Conv", "Relu", "Resize", "GlobalAveragePool", "Flatten"}


def test_activations_and_normalizations() -> None:
    kinds = ["relu6", "silu", "hard_silu", "gelu", "hard_sigmoid", "elu", "selu", "tanh", "sigmoid", "softmax"]
    x = keras.Input((4, 4, 6), name="x")
    outputs = [layers.Activation(kind)(x) for kind in kinds]
    outputs += [
        layers.LeakyReLU(0.2)(x),
        layers.PReLU(shared_axes=[1, 2])(x),
        layers.LayerNormalization()(x),
        layers.ReLU(max_value=4)(x),
        layers.UnitNormalization()(x),
    ]
    found = operators(functional(x, outputs))
    expected = {"Clip": 2, "Swish": 1, "HardSwish": 1, "Gelu": 1, "HardSigmoid": 1, "Elu": 1, "Selu": 1, "Tanh": 1}
    expected |= {"Sigmoid": 1, "Softmax": 1, "LeakyRelu": 1, "PRelu": 1, "LayerNormalization": 1}
    assert {kind: found[kind] for kind in expected} == expected


def test_constant_factors_end_in_the_weights() -> None:
    net = sequential(
        (6, 6, 3),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5]),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.GaussianNoise(0.2),
        layers.SpatialDropout2D(0.3),
        layers.Conv2D(3, 1, use_bias=False),
        layers.BatchNormalization(scale=False, center=False),
        layers.Permute((2, 1, 3)),
        layers.Flatten(),
        layers.Dense(3, use_bias=False),
    )
    assert {kind: count for kind, count in operators(net).items() if kind not in ("Transpose", "Reshape")} == {
        "Conv": 2,
        "Gemm": 1,
    }


@pytest.mark.slow
def test_layers_along_time() -> None:
    x = keras.Input((6, 8), name="x")
    y = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    y = layers.TimeDistributed(layers.Dense(5))(layers.MaxPooling1D(2)(y))
    picture = layers.TimeDistributed(layers.Conv2D(2, 2))(layers.Reshape((3, 2, 2, 4))(x))
    z = layers.Attention(use_scale=True)([y, y])
    w = layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=6)(y, x)
    merged = layers.Average()([layers.Dense(5)(w), z])
    found = operators(functional(x, [merged, layers.Dot(axes=2)([y, z]), picture]))
    assert found["Softmax"] == 2
