from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types

SIZES = {"a": 2, "b": 1, "c": 3, "d": 4, "e": 5, "f": 2}


def einsum(
    equation: str, shapes: list[tuple[int, ...]], constants: tuple[int, ...] = (), tolerance: float = 1e-5
) -> list[str]:
    names = [f"x{index}" for index in range(len(shapes))]
    sizes = dict(zip(names, shapes, strict=True))
    known = {
        names[index]: np.random.default_rng(index).normal(size=shapes[index]).astype(np.float32) for index in constants
    }
    inputs = {name: shape for name, shape in sizes.items() if name not in known}
    layer = node("Einsum", " ".join(names), "y", equation=equation)
    return op_types(check(model([layer], inputs, "y", known), tolerance=tolerance))


@pytest.mark.parametrize(
    ("equation", "shapes", "constants", "ops"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], (), ["MatMul"]),
        ("ij,jk", [(2, 3), (3, 4)], (1,), ["Gemm"]),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], (), ["MatMul"]),
        ("abc,cde->abde", [(1, 6, 8), (8, 2, 4)], (1,), ["Reshape", "Gemm", "Reshape"]),
        ("abcd,cde->abe", [(1, 6, 2, 4), (2, 4, 8)], (1,), ["Reshape", "Gemm", "Reshape"]),
        ("bqhd,bkhd->bhqk", [(1, 5, 2, 4), (1, 6, 2, 4)], (), None),
        ("bhqk,bkhd->bqhd", [(1, 2, 5, 6), (1, 6, 2, 4)], (), None),
        ("cde,abc->abde", [(8, 2, 4), (1, 6, 8)], (0,), ["Reshape", "Gemm", "Reshape"]),
        ("ij->ji", [(2, 3)], (), ["Transpose"]),
        ("ij->", [(2, 3)], (), ["ReduceSum"]),
        ("ijk->ki", [(2, 3, 4)], (), ["ReduceSum", "Transpose"]),
        ("i,j->ij", [(2,), (3,)], (), None),
        ("ij,ij->ij", [(2, 3), (2, 3)], (), ["Mul"]),
        ("ij,ij->", [(2, 3), (2, 3)], (), None),
        ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)], (), ["MatMul"]),
        ("...ij,jk", [(2, 3, 4), (4, 5)], (), None),
        ("bhd , hde -> bhe", [(1, 2, 4), (2, 4, 5)], (1,), None),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], (1,), ["Gemm", "MatMul"]),
        ("ij,kl->ik", [(2, 3), (4, 5)], (), None),
    ],
)
def test_spelled_out(equation: str, shapes: Any, constants: tuple[int, ...], ops: list[str] | None) -> None:
    found = einsum(equation, shapes, constants)
    assert "Einsum" not in found
    assert ops is None or found == ops


@pytest.mark.parametrize(
    ("equation", "shapes"), [("ii->i", [(3, 3)]), ("ij,jj->i", [(2, 3), (3, 3)]), ("ij,jk->ik", [(2, 1), (3, 4)])]
)
def test_what_stays(equation: str, shapes: Any) -> None:
    assert einsum(equation, shapes) == ["Einsum"]


@settings(max_examples=40)
@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4), min_size=1, max_size=3), st.data())
def test_any(terms: list[list[str]], data: st.DataObject) -> None:
    letters = sorted({letter for term in terms for letter in term})
    result = data.draw(st.lists(st.sampled_from(letters), unique=True, max_size=4)) if letters else []
    shapes = [tuple(SIZES[letter] for letter in term) for term in terms]
    constants = (len(terms) - 1,) if len(terms) > 1 and data.draw(st.booleans()) else ()
    equation = ",".join("".join(term) for term in terms) + "->" + "".join(result)
    # Sums over everything may cancel: what is left is small beside what was added.
    assert "Einsum" not in einsum(equation, shapes, constants, tolerance=1e-5 if result else 1e-2)
