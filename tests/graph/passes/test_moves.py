from __future__ import annotations

from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tinsmith.graph.passes.moves import refined


def moved(shape: Any, first: Any, between: Any, second: Any, more: tuple[Any, ...] = ()) -> list[str]:
    nodes = [
        node("Transpose", "x", "a", perm=first), node("Reshape", "a s", "b"), node("Transpose", "b", "c", perm=second),
        node("Tanh", "c", "y"), *more,
    ]  # fmt: skip
    outputs = "y z" if more else "y"
    return op_types(check(model(nodes, {"x": shape}, outputs, {"s": between})))


@pytest.mark.parametrize(
    ("shape", "first", "between", "second"),
    [
        ((32, 8, 2, 4), (0, 2, 1, 3), (32, 2, 8, 2, 2), (3, 0, 1, 2, 4)),
        ((1, 4, 4, 3), (0, 3, 1, 2), (3, 16), (1, 0)),
        ((6, 5, 4), (2, 0, 1), (4, 30), (1, 0)),
    ],
)
def test_one_is_left(shape: Any, first: Any, between: Any, second: Any) -> None:
    assert moved(shape, first, between, second).count("Transpose") <= 1


def test_sizes_that_do_not_divide_stay() -> None:
    assert moved((4, 6), (1, 0), (4, 6), (1, 0)).count("Transpose") == 2
    assert moved((9, 4), (1, 0), (6, 6), (1, 0)).count("Transpose") == 2


def test_what_others_see_stays() -> None:
    assert moved((6, 5, 4), (2, 1, 0), (20, 6), (1, 0), (node("Relu", "a", "z"),)).count("Transpose") == 2


def test_refined() -> None:
    assert refined((4, 6), (2, 12)) == (2, 2, 6)
    assert refined((4, 9), (6, 6)) is None
    assert refined((1, 4, 1), (4,)) == (4,)
    assert refined((), (1,)) == ()


@settings(max_examples=40)
@given(st.lists(st.sampled_from([1, 2, 3]), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_any(sizes: list[int], random: Any) -> None:
    """Shapes made by merging neighbours of the same small dimensions, in any order."""

    def merged(parts: list[int]) -> list[int]:
        cuts = sorted(random.sample(range(1, len(parts)), random.randint(0, len(parts) - 1)))
        ends = zip([0, *cuts], [*cuts, len(parts)], strict=True)
        return [prod(parts[start:end]) for start, end in ends]

    shape = merged(sizes)
    first = random.sample(range(len(shape)), len(shape))
    between = merged([shape[axis] for axis in first])
    second = random.sample(range(len(between)), len(between))
    assert moved(shape, first, between, second).count("Transpose") <= 1
