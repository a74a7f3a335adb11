"""Which order of axes a tensor has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.program import Array
from tinsmith.report.compare.held import Held, Order, aligned


def distance(first: Array, second: Array) -> float:
    return float(np.square(first - second).sum())


def put(first: Held, second: Held) -> Array:
    found = aligned(first, second, distance)
    assert found is not None
    return found(second.data, first.data.shape)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from(["file", "onnx", ""]))
def test_a_float_tensor_comes_into_the_files_order(shape: list[int], order: Order) -> None:
    onnx = np.random.default_rng(0).normal(size=shape)
    perm = (0, *range(2, len(shape)), 1) if len(shape) > 2 else tuple(range(len(shape)))
    file = onnx.transpose(perm)
    for mine, theirs, expected in ((file, onnx, file), (onnx, file, onnx)):
        np.testing.assert_array_equal(put(Held(mine, None, order), Held(theirs)), expected)


def test_what_a_program_tells_decides() -> None:
    square = np.arange(27.0).reshape(1, 3, 3, 3)
    told = Held(square, None, "file", (0, 2, 3, 1))
    np.testing.assert_array_equal(put(told, Held(square, None, "onnx")), square.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(put(Held(square, None, "onnx"), told), square.transpose(0, 3, 1, 2))


def test_two_programs_may_have_it_in_different_orders() -> None:
    square = np.arange(27.0).reshape(1, 3, 3, 3)
    last = Held(square.transpose(0, 2, 3, 1), None, "file", (0, 2, 3, 1))
    first = Held(square, None, "file", (0, 1, 2, 3))
    np.testing.assert_array_equal(put(last, first), last.data)
    np.testing.assert_array_equal(put(first, last), first.data)


def test_orders_that_are_not_usual() -> None:
    onnx = np.random.default_rng(2).normal(size=(5, 1, 5))
    file = onnx.transpose(1, 2, 0)
    np.testing.assert_array_equal(put(Held(file, None, "file", (1, 2, 0)), Held(onnx, None, "onnx")), file)
    np.testing.assert_array_equal(put(Held(onnx, None, "onnx"), Held(file, None, "file", (1, 2, 0))), onnx)
    np.testing.assert_array_equal(put(Held(file, None, "file"), Held(onnx, None, "onnx")), file)
    np.testing.assert_array_equal(put(Held(file[0], None, "file"), Held(onnx, None, "onnx")), file[0])
    wide = np.random.default_rng(3).normal(size=(2, 3, 4, 5, 6))
    np.testing.assert_array_equal(put(Held(wide), Held(wide[None])), wide)
    assert aligned(Held(wide), Held(wide.transpose(1, 0, 2, 3, 4)[None]), distance) is None


def test_axes_that_a_rewrite_exchanged() -> None:
    onnx = np.random.default_rng(2).normal(size=(1, 5, 5, 3))
    file = onnx.transpose(0, 2, 1, 3)
    found = aligned(Held(file, None, "file", (0, 2, 3, 1)), Held(onnx, None, "onnx"), distance)
    assert found is not None
    assert found.note == "order of axes guessed from the values"
    np.testing.assert_array_equal(found(onnx, file.shape), file)
    noise = np.random.default_rng(3).normal(size=(1, 5, 5, 3))
    np.testing.assert_array_equal(put(Held(noise, None, "file"), Held(onnx, None, "onnx")), onnx)


def test_two_of_the_same_order_are_not_turned() -> None:
    square = np.arange(27.0).reshape(1, 3, 3, 3)
    turned = square.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(put(Held(square, 0, "file"), Held(turned, 0, "file")), turned)
    np.testing.assert_array_equal(put(Held(square, 0, "file"), Held(turned)), square)


def test_what_was_guessed_is_said() -> None:
    square, long = np.arange(27.0).reshape(1, 3, 3, 3), np.arange(24.0).reshape(1, 2, 3, 4)
    turned = aligned(Held(long, None, "file"), Held(long.transpose(0, 3, 1, 2)), distance)
    assert turned is not None
    assert turned.note == "axes of the second in the order [0, 2, 3, 1]"
    guessed = aligned(Held(square, None, "file"), Held(square.transpose(0, 3, 1, 2)), distance)
    assert guessed is not None
    assert guessed.note == "order of axes guessed from the values"
    plain = aligned(Held(long, None, "file"), Held(long, None, "file"), distance)
    assert plain is not None
    assert plain.note == ""


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (6,), (1, 1, 6, 1)])
def test_dimensions_of_length_1_do_not_count(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(
        put(Held(np.arange(6.0).reshape(1, 6)), Held(np.arange(6.0).reshape(shape))), [range(6)]
    )


@pytest.mark.parametrize("shape", [(2, 3), (7,), (1, 5), (1, 6, 2)])
def test_other_shapes_do_not_fit(shape: tuple[int, ...]) -> None:
    assert aligned(Held(np.zeros((1, 6))), Held(np.zeros(shape)), distance) is None
