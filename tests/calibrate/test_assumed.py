from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import Net
from tinsmith.calibrate import InputSpec, choose_exponent
from tinsmith.calibrate.assumed import assumed, derived, from_ranges, noise, widened
from tinsmith.errors import DataError
from tinsmith.ops.floatnode import Network
from tinsmith.quant.rounding import Rounding

EVEN = Rounding.HALF_EVEN
METHODS = ["mse", "minmax", "percentile", "kl"]


@given(low=st.floats(-1e6, 0), high=st.floats(0, 1e6))
def test_the_extremes_are_those_of_the_range(low: float, high: float) -> None:
    for even in (False, True):
        seen = assumed((low, high), EVEN, even=even)
        assert (seen.minimum, seen.maximum) == (np.float32(low), np.float32(high))


@pytest.mark.parametrize(("high", "expected"), [(1.4, -6), (1.0, -7), (1.13, -7), (0.99, -7), (1.99, -6), (1.3, -6)])
def test_a_grid_that_ends_a_little_inside_wins(high: float, expected: int) -> None:
    assert choose_exponent(assumed((-high, high), EVEN), 8) == expected


def test_what_fills_its_range_is_not_cut() -> None:
    assert choose_exponent(assumed((0.0, 1.13), EVEN, even=True), 8) == -6
    assert choose_exponent(assumed((0.0, 1.0), EVEN, even=True), 8) == -7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [8, 16])
def test_every_method_has_an_answer(method: str, bits: int) -> None:
    seen = assumed((-3.0, 7.0), EVEN, histograms=True)
    assert choose_exponent(seen, bits, method) in (4 - bits - 1, 4 - bits)


def test_a_range_of_nothing() -> None:
    assert choose_exponent(assumed((0.0, 0.0), EVEN), 8) == -7


def chain() -> Network:
    net = Net()
    net.input("x", 1, 4)
    for op, source, result in (("Tanh", "x", "a"), ("Swish", "a", "b"), ("Softmax", "b", "c"), ("Swish", "c", "y")):
        net.add(op, [source], result)
    return net.network("y")


def test_ends_and_operators_with_bounds_fill_their_range() -> None:
    ranges = dict.fromkeys("xabcy", (0.0, 1.13))
    stats = from_ranges(ranges, chain(), EVEN, (8,))
    found = {name: choose_exponent(seen, 8) for name, seen in stats.items()}
    assert found == {"x": -6, "a": -6, "b": -7, "c": -6, "y": -6}
    assert stats.digest == from_ranges(dict(reversed(ranges.items())), chain(), EVEN, (8,)).digest
    assert stats.digest != from_ranges({**ranges, "a": (0.0, 1.0)}, chain(), EVEN, (8,)).digest


def test_ranges_that_follow_from_others() -> None:
    net = Net()
    net.input("x", 1, 3, 4, 4)
    net.conv("x", "c", 3)
    net.add("Relu", ["c"], "r")
    net.add("MaxPool", ["r"], "p", (1, 3, 2, 2), kernel_shape=(2, 2), strides=(2, 2))
    net.add("Transpose", ["p"], "t", (1, 2, 2, 3), perm=(0, 2, 3, 1))
    net.add("Sigmoid", ["t"], "s")
    found = derived({"c": (-2.0, 3.0), "p": (0.0, 2.5)}, net.network("s"))
    assert found == {"c": (-2.0, 3.0), "r": (0.0, 3.0), "p": (0.0, 2.5), "t": (0.0, 2.5)}


def test_what_was_seen_on_noise_gets_room() -> None:
    seen = {name: assumed((-0.5, 3.0), EVEN) for name in "abc"}
    assert widened(seen, chain()) == {"a": (-1.0, 1.0), "b": (-1.0, 6.0), "c": (0.0, 1.0)}


def test_noise_fills_the_ranges() -> None:
    specs = [InputSpec("a", (1, 3, 20, 20)), InputSpec("b", (1, 5))]
    samples = noise(specs, {"a": (-1.0, 3.0), "b": (0.0, 1.0)})
    again = noise(specs, {"a": (-1.0, 3.0), "b": (0.0, 1.0)})
    for sample, other in zip(samples, again, strict=True):
        assert {name: array.shape for name, array in sample.items()} == {"a": (1, 3, 20, 20), "b": (1, 5)}
        assert all(np.array_equal(array, other[name]) for name, array in sample.items())
        assert all(array.dtype == np.float32 for array in sample.values())
    values = np.concatenate([sample["a"].reshape(-1) for sample in samples])
    assert values.min() >= -1
    assert values.max() <= 3
    assert values.max() - values.min() > 3.9


@pytest.mark.parametrize("spec", [InputSpec("b", (1, 5)), InputSpec("a", (1, 5), np.int64)])
def test_an_input_without_a_range_is_named(spec: InputSpec) -> None:
    with pytest.raises(DataError, match=f"none of its input '{spec.name}'. Give calibration data"):
        noise([spec], {"a": (0.0, 1.0)})
