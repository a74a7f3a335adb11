"""Merging of broadcast dimensions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import P4, float_node, objections
from tinsmith.ops.broadcast import Kind, Merged, merged

BOTH, FIRST, SECOND = Kind.BOTH, Kind.FIRST, Kind.SECOND


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((1, 4, 4, 16), (1, 4, 4, 16), [(BOTH, 256)]),
        ((1, 3, 3, 24), (1, 1, 1, 24), [(FIRST, 9), (BOTH, 24)]),
        ((1, 3, 3, 20), (1, 1, 1, 1), [(FIRST, 180)]),
        ((1, 3, 3, 20), (20,), [(FIRST, 9), (BOTH, 20)]),
        ((5,), (2, 3, 5), [(SECOND, 6), (BOTH, 5)]),
        ((2, 1, 4), (1, 3, 1), [(FIRST, 2), (SECOND, 3), (FIRST, 4)]),
        ((2, 3, 1, 4), (2, 1, 1, 4), [(BOTH, 2), (FIRST, 3), (BOTH, 4)]),
        ((1, 1), (1,), []),
        ((), (7,), [(SECOND, 7)]),
    ],
)
def test_examples(first: tuple[int, ...], second: tuple[int, ...], expected: list[tuple[Kind, int]]) -> None:
    assert merged(first, second) == tuple(Merged(kind, length) for kind, length in expected)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from("ba1")), max_size=6))
def test_merging_keeps_every_element_and_never_leaves_equal_neighbours(dims: list[tuple[int, str]]) -> None:
    first = tuple(1 if kind == "1" else length for length, kind in dims)
    second = tuple(1 if kind == "a" else length for length, kind in dims)
    found = merged(first, second)
    assert int(np.prod([m.length for m in found])) == int(np.prod(np.broadcast_shapes(first, second)))
    assert int(np.prod([m.length for m in found if m.kind is not Kind.SECOND])) == int(np.prod(first))
    assert all(a.kind is not b.kind for a, b in itertools.pairwise(found))
    assert merged(first, second) == merged((1, 1, *first), second)


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ValueError, match="do not broadcast"):
        merged((2, 3), (2, 4))


def test_more_than_four_dimensions_are_refused() -> None:
    alternating = float_node("Add", [(2, 1, 2, 1, 2), (1, 2, 1, 2, 1)], (2, 2, 2, 2, 2))
    assert [m for m in objections(alternating, P4) if "4 dimensions" in m]
    plain = float_node("Add", [(2, 2, 2, 2, 2), (2, 2, 2, 2, 2)], (2, 2, 2, 2, 2))
    assert objections(plain, P4) == []
