from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.models import check, model, node, value
from tinsmith.errors import ModelError
from tinsmith.graph import canonicalize
from tinsmith.importers import load

W = np.random.default_rng(8).normal(size=(4, 3, 3, 3))
TYPES = [np.dtype(np.float16), np.dtype(np.float64)]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_other_floats(dtype: Any) -> None:
    nodes = [node("MatMul", "x w", "c"), node("Mul", "c s", "m"), node("Add", "m x0", "y")]
    constants = {"w": W[0, 0].astype(dtype), "s": np.array(0.5, dtype), "x0": np.ones(3, dtype)}
    original = model(nodes, [value("x", (2, 3), dtype)], [value("y", None, dtype)], constants)
    canonical = check(original, ["Gemm"], tolerance=2e-3 if dtype == np.float16 else 1e-5)
    values = [*canonical.graph.inputs, *canonical.graph.outputs, *canonical.graph.initializers.values()]
    assert {item.dtype for item in values} == {ir.DataType.FLOAT}


def test_bfloat16_weights() -> None:
    weights = W.astype(ml_dtypes.bfloat16)
    nodes = [node("Cast", "w", "v", to=1), node("Conv", "x v", "y")]
    canonical = canonicalize(load(model(nodes, {"x": (1, 3, 6, 6)}, "y", {"w": weights})))
    assert [step.op_type for step in canonical.graph] == ["Conv"]
    (initializer,) = canonical.graph.initializers.values()
    assert initializer.const_value is not None
    assert np.array_equal(initializer.const_value.numpy(), weights.astype(np.float32))


@pytest.mark.parametrize("to", [10, 11, 16])
def test_casts_between_floats_go(to: int) -> None:
    nodes = [node("Cast", "x", "a", to=to), node("Relu", "a", "b"), node("Cast", "b", "y", to=1)]
    canonical = canonicalize(load(model(nodes, {"x": (1, 3)}, "y")))
    assert [step.op_type for step in canonical.graph] == ["Relu"]


def test_constants_made_of_shapes() -> None:
    nodes = [
        node("Shape", "x", "s"), node("ConstantOfShape", "s", "c", value=from_half(0.25)),
        node("Cast", "x", "h", to=10), node("Add", "h c", "a"), node("Cast", "a", "y", to=1),
    ]  # fmt: skip
    check(model(nodes, {"x": ("N", 3)}, "y"), ["Add"], tolerance=1e-3)


def from_half(number: float) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array([number], np.float16))


def test_doubles_beyond_float_are_named() -> None:
    original = model(
        [node("Mul", "x s", "y")],
        [value("x", (1,), np.float64)],
        [value("y", None, np.float64)],
        {"s": np.array(1e300)},
    )
    with pytest.raises(ModelError, match="'s': the weights hold infinite values"):
        canonicalize(load(original))
