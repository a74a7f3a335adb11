"""Real networks with their data, for tests: read once, skipped with the reason where the data are absent."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from benchmarks.networks import CASES, Case
from numpy.typing import NDArray

import tinsmith
from tests.shared import shared_path

Array = NDArray[Any]

SMALL = ("signdigits", "resnet8", "kws", "vww")
"""Networks of up to 100 ms per sample; the others are for slow tests."""


@cache
def case(name: str, most: int | None = None) -> Case:
    """The network, with at most so many held samples."""
    return CASES[name](shared_path("data"), most)


@cache
def quantized(name: str, target: str, bits: int, most: int | None = None) -> tinsmith.Quantized:
    """The network with plain defaults, on its 64 calibration samples."""
    found = case(name, most)
    return tinsmith.quantize(found.model, found.calibration, target, bits=bits)


def in_floats(name: str, samples: Array) -> Array:
    """What ONNX Runtime computes for each sample of the network's data."""
    session = onnxruntime.InferenceSession(str(case(name, 1).model), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    return np.concatenate([session.run(None, {source.name: sample[None]})[0] for sample in samples])


def on_chip(program: tinsmith.Program, samples: Array, **options: Any) -> Array:
    """What the chip computes, as real numbers in the model's own layout."""
    (source,) = program.inputs
    found = tinsmith.simulate(program, {source.name: samples}, **options)
    (result,) = tinsmith.dequantize(program, found).values()
    return result
