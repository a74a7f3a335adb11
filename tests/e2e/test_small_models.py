"""Small networks of every kind: quantized for every family, close to the float network, and exact in every form."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import tinsmith
from tests.e2e.nets import MODELS, samples, wiring
from tinsmith.espdl import decode, encode

FORMS = [("esp32s3", 8), ("esp32s3", 16), ("esp32p4", 8), ("esp32p4", 16), ("c", 8)]
LEAST = {8: 20.0, 16: 64.0}
"""Decibels between signal and error: beyond any doubt about wiring, below what these networks reach (23, 67)."""


def batch(model: onnx.ModelProto, count: int, seed: int) -> dict[str, Any]:
    found = samples(model, count, seed)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    if any(len(shape) == 1 for shape in shapes.values()):
        return {k: np.random.default_rng(seed).standard_normal((count, *s), np.float32) for k, s in shapes.items()}
    return found


def floats(model: onnx.ModelProto, inputs: dict[str, Any]) -> dict[str, Any]:
    """What ONNX Runtime computes, sample by sample, one after the other along axis 0."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    ranks = {i.name: len(i.shape) for i in session.get_inputs()}
    count = len(next(iter(inputs.values())))
    rows = [
        session.run(names, {k: a[i] if a.ndim > ranks[k] else a[i : i + 1] for k, a in inputs.items()})
        for i in range(count)
    ]
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}


def decibels(expected: Any, found: Any) -> float:
    error = float(np.square(expected.astype(np.float64) - found).sum())
    return float("inf") if error == 0 else 10 * np.log10(float(np.square(expected.astype(np.float64)).sum()) / error)


@pytest.mark.parametrize("name", MODELS)
def test_small_model(name: str) -> None:
    model = MODELS[name]()
    calibration, held = batch(model, 16, 5), batch(model, 4, 9)
    expected = floats(model, held)
    for target, bits in FORMS:
        where = f"{target}, int{bits}"
        program = tinsmith.quantize(model, calibration, target, bits=bits).program
        assert decode(encode(program)) == program, where
        found = tinsmith.simulate(program, held, save_all=True)
        some = {key: array[:2] for key, array in held.items()}
        defined = tinsmith.simulate(program, some, save_all=True, compiled=False)
        assert defined.keys() == found.keys()
        for key, array in defined.items():
            first = found[key][: len(array)]
            assert first.dtype == array.dtype, f"{where}: {key}"
            assert np.array_equal(first, array, equal_nan=array.dtype.kind == "f"), f"{where}: {key}"
        outputs = tinsmith.dequantize(program, {key: found[key] for key in expected})
        for key, array in expected.items():
            assert outputs[key].shape == array.shape, f"{where}: {key}"
            assert decibels(array, outputs[key]) > LEAST[bits], f"{where}: {key}"


@pytest.mark.parametrize("name", [make for make in vars(wiring) if make in MODELS])
def test_one_node_in_int16(name: str) -> None:
    """Every node in turn, the rest in int8: the borders between widths neither coarsen anything nor change sums."""
    model = MODELS[name]()
    calibration, held = batch(model, 16, 5), batch(model, 2, 9)
    expected = floats(model, held)
    nodes = [node.name for node in tinsmith.quantize(model, calibration, "c").network.nodes]
    for index, node in enumerate(nodes):
        target = ("esp32s3", "esp32p4", "c")[index % 3]
        program = tinsmith.quantize(model, calibration, target, int16=[f"^{re.escape(node)}$"]).program
        found = tinsmith.simulate(program, held)
        defined = tinsmith.simulate(decode(encode(program)), held, compiled=False)
        for key, array in tinsmith.dequantize(program, found).items():
            assert np.array_equal(found[key], defined[key]), f"{node}: {key}"
            assert decibels(expected[key], array) > LEAST[8], f"{node}: {key}"
