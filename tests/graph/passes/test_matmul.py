from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tinsmith.graph.edit import shape_of

RNG = np.random.default_rng(8)
LAYER = ["Reshape", "Gemm", "Reshape"]


def weights(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 3, 4), (1, 2, 3, 4), (1, 1, 2, 3, 4), (4,)])
@pytest.mark.parametrize("constant", [(4, 6), (1, 4, 6), (1, 1, 4, 6)])
def test_a_constant_matrix_is_a_layer(shape: tuple[int, ...], constant: tuple[int, ...]) -> None:
    nodes = [node("MatMul", "x w", "h", "product"), node("Add", "h b", "i"), node("Relu", "i", "y")]
    canonical = check(model(nodes, {"x": shape}, "y", {"w": weights(*constant), "b": weights(6)}))
    (gemm,) = (step for step in canonical.graph if step.op_type == "Gemm")
    assert gemm.name == "product"
    assert len(gemm.inputs) == 3
    assert set(op_types(canonical)) == {"Reshape", "Gemm", "Relu"}


@pytest.mark.parametrize("shape", [(4,), (3, 4), (1, 3, 4), (1, 2, 3, 4)])
def test_a_constant_vector_is_a_layer_with_one_output(shape: tuple[int, ...]) -> None:
    canonical = check(model([node("MatMul", "x w", "y")], {"x": shape}, "y", {"w": weights(4)}))
    assert set(op_types(canonical)) <= {"Reshape", "Gemm"}


def test_matrices_that_differ_stay() -> None:
    check(model([node("MatMul", "x w", "y")], {"x": (1, 3, 2, 4)}, "y", {"w": weights(3, 4, 5)}), ["MatMul"])


@pytest.mark.parametrize(("left", "right"), [((5, 4), (1, 4, 3)), ((1, 5, 4), (2, 4, 3)), ((5, 4), (4, 3))])
def test_a_constant_on_the_left(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    canonical = check(model([node("MatMul", "w x", "y")], {"x": right}, "y", {"w": weights(*left)}))
    assert "Gemm" in op_types(canonical)
    assert "MatMul" not in op_types(canonical)


@pytest.mark.parametrize(
    ("left", "right", "shapes"),
    [
        ((1, 2, 3, 4, 5), (1, 2, 3, 5, 6), ((6, 4, 5), (6, 5, 6))),
        ((2, 1, 3, 4, 5), (2, 7, 3, 5, 6), None),
        ((2, 3, 1, 4, 5), (2, 3, 7, 5, 6), ((6, 1, 4, 5), (6, 7, 5, 6))),
        ((2, 3, 7, 4, 5), (5, 6), ((42, 4, 5), (1, 5, 6))),
        ((1, 1, 1, 4, 5), (1, 1, 1, 5, 6), ((4, 5), (5, 6))),
    ],
)
def test_many_dimensions(left: tuple[int, ...], right: tuple[int, ...], shapes: Any) -> None:
    canonical = check(model([node("MatMul", "x z", "y")], {"x": left, "z": right}, "y"))
    (product,) = (step for step in canonical.graph if step.op_type == "MatMul")
    found = tuple(shape_of(value) for value in product.inputs if value is not None)
    assert found == (shapes or (left, right))


@settings(max_examples=40)
@given(st.integers(0, 3), st.integers(0, 3), st.data())
def test_any_product(first: int, second: int, data: st.DataObject) -> None:
    rank = max(first, second)
    batch = data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    thin = [data.draw(st.lists(st.booleans(), min_size=rank, max_size=rank)) for _ in range(2)]
    shapes = [
        [1 if one else size for size, one in zip(batch, ones, strict=True)][rank - count :]
        for count, ones in zip((first, second), thin, strict=True)
    ]
    constant = data.draw(st.sampled_from(["left", "right", None]))
    left, right = (*shapes[0], 2, 3), (*shapes[1], 3, 4)
    inputs = {name: shape for name, shape, side in (("x", left, "left"), ("z", right, "right")) if side != constant}
    constants = {"left": {"x": weights(*left)}, "right": {"z": weights(*right)}}.get(str(constant), {})
    check(model([node("MatMul", "x z", "y")], inputs, "y", constants))
