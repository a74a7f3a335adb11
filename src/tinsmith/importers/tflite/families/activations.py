"""Activations that are operators of their own."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.importers.tflite.families.fused import clipped
from tinsmith.importers.tflite.operation import Operation, operator

_PLAIN = {"RELU": "Relu", "LOGISTIC": "Sigmoid", "TANH": "Tanh", "ELU": "Elu", "HARD_SWISH": "HardSwish"}
_CLIPS = {"RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}


@operator(*_PLAIN)
def plain(op: Operation) -> ir.Value:
    """The same in ONNX."""
    return op.emit(_PLAIN[op.kind], op.value())


@operator(*_CLIPS)
def clip(op: Operation) -> ir.Value:
    """Cut off at two numbers."""
    return clipped(op, op.value(), *_CLIPS[op.kind])


@operator("LEAKY_RELU")
def leaky_relu(op: Operation) -> ir.Value:
    """With one slope below zero."""
    return op.emit("LeakyRelu", op.value(), alpha=float(op.option("Alpha", 0.0)))


@operator("PRELU")
def prelu(op: Operation) -> ir.Value:
    """With a slope below zero for each channel."""
    return op.emit("PRelu", op.value(), op.value(1))


@operator("GELU")
def gelu(op: Operation) -> ir.Value:
    """By the normal distribution, or by its approximation with tanh."""
    return op.emit("Gelu", op.value(), approximate="tanh" if op.option("Approximate", False) else "none")


@operator("SOFTMAX")
def softmax(op: Operation) -> ir.Value:
    """Over the last dimension, sharpened by beta."""
    value, beta = op.value(), op.option("Beta", 1.0)
    if beta != 1.0:
        value = op.emit("Mul", value, op.number(beta, "beta"))
    return op.emit("Softmax", value, axis=-1)


@operator("LOG_SOFTMAX")
def log_softmax(op: Operation) -> ir.Value:
    """Over the last dimension."""
    return op.emit("LogSoftmax", op.value(), axis=-1)


@operator("L2_NORMALIZATION")
def l2_normalization(op: Operation) -> ir.Value:
    """The last dimension divided by its length."""
    return op.emit("LpNormalization", op.value(), axis=-1, p=2)
