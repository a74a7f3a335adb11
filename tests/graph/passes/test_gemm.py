from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import check, model, node

RNG = np.random.default_rng(4)
W = RNG.normal(size=(4, 6)).astype(np.float32)


@pytest.mark.parametrize("order", ["h b", "b h"])
def test_matmul_and_bias(order: str) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Add", order, "y")]
    (gemm,) = check(model(nodes, {"x": ("N", 4)}, "y", {"w": W, "b": W[0]}), ["Gemm"]).graph
    assert gemm.inputs[2] is not None
    assert not gemm.attributes


def test_two_computed_sides_stay() -> None:
    check(model([node("MatMul", "x z", "y")], {"x": (3, 4), "z": (4, 5)}, "y"), ["MatMul"])


@given(
    alpha=st.sampled_from([1.0, 0.5, -2.0]), beta=st.sampled_from([1.0, 0.25, 0.0]),
    left=st.booleans(), right=st.booleans(),
    bias=st.sampled_from([None, (), (1,), (6,), (1, 6), (3, 1), (3, 6), "computed"]), computed=st.booleans(),
)  # fmt: skip
def test_any_gemm(alpha: float, beta: float, left: bool, right: bool, bias: Any, computed: bool) -> None:
    attributes = {"alpha": alpha, "beta": beta, "transA": int(left), "transB": int(right)}
    inputs: dict[str, Any] = {"x": (4, 3) if left else (3, 4)}
    weights = np.ascontiguousarray(W.T) if right else W
    constants: dict[str, Any] = {} if computed else {"w": weights}
    if computed:
        inputs["w"] = weights.shape
    if bias == "computed":
        inputs["c"] = (3, 6)
    elif bias is not None:
        constants["c"] = RNG.normal(size=bias).astype(np.float32)
    layer = node("Gemm", "x w" if bias is None else "x w c", "y", **attributes)
    canonical = check(model([layer], inputs, "y", constants))
    for step in canonical.graph:
        if step.op_type == "Gemm":
            assert not step.attributes
            assert len(step.inputs) == 2 or step.inputs[2] is not None
    assert ("Gemm" in [step.op_type for step in canonical.graph]) is not computed
