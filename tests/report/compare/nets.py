"""Quantized networks, and what is done to them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

import tinsmith
from tests.report.analysed import model_of, pictures, pyramid
from tests.small_net import classifier, images
from tinsmith.program import Array, Program, Tensor
from tinsmith.quantized import Quantized

__all__ = ["dead_net", "log_of", "made", "pictures", "small", "with_constant", "with_flipped_bit"]


@cache
def made(target: str = "esp32s3", seed: int = 0, effort: str = "fast") -> Quantized:
    """The pyramid, with a test sample inside."""
    return tinsmith.quantize(pyramid(seed), pictures(16), target, effort=effort).with_test_values()


@cache
def small(target: str = "esp32p4") -> Quantized:
    """The tiny classifier."""
    return tinsmith.quantize(classifier(), images(16), target, effort="fast").with_test_values()


@cache
def dead_net() -> Quantized:
    """Conv, Relu, Conv: channel 2 in the middle is never above zero."""
    import onnx

    rng = np.random.default_rng(4)
    bias = np.array([0.1, 0.2, -100.0, 0.1])
    constants = {"w": rng.normal(0, 0.3, (4, 3, 1, 1)), "b": bias, "v": rng.normal(0, 0.5, (5, 4, 1, 1))}
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w", "b"], ["c"], "before"),
        onnx.helper.make_node("Relu", ["c"], ["a"], "relu"),
        onnx.helper.make_node("Conv", ["a", "v"], ["y"], "behind"),
    ]
    model = model_of(nodes, {"x": (1, 3, 16, 16)}, ["y"], constants)
    return tinsmith.quantize(model, pictures(16), "esp32p4", effort="fast").with_test_values()


def with_constant(program: Program, name: str, data: Array) -> Program:
    """The same program with other elements in a constant."""
    old = program.constants[name]
    new = Tensor(name, data, old.exponents, old.doc)
    return replace(program, constants={**program.constants, name: new})


def with_flipped_bit(program: Program, name: str, place: int, bit: int) -> Program:
    """The same program with one bit of one element of a constant turned over."""
    data = program.constants[name].data.copy()
    data.reshape(-1).view(f"u{data.itemsize}")[place] ^= 1 << bit
    return with_constant(program, name, data)


def log_of(program: Program, tensors: Mapping[str, Array], per_line: int = 64) -> str:
    """What a board prints of tensors."""
    lines = ["I (312) main: start"]
    for name, array in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        value = program.values[name]
        kind = {"float32": "float"}.get(array.dtype.name, array.dtype.name)
        shape = ",".join(map(str, array.shape or (1,)))
        lines.append(f"@tensor {name} {kind} {value.exponent} {shape}")
        lines += [f"@data {data[i : i + per_line].hex()}" for i in range(0, len(data), per_line)]
        lines.append(f"@end {zlib.crc32(data):08x}")
    return "\n".join(lines) + "\n"
