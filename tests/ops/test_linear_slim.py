from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.linear_cases import both, conv, gemm, integers
from tinsmith.ops.linear_slim import Channel, rounded, slim_channel
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.compiled import GraphPart, compile_program
from tinsmith.targets import find

ROUNDINGS = st.sampled_from(list(Rounding))


@given(st.integers(-(2**40), 2**40), st.integers(0, 35), ROUNDINGS)
def test_rounding_of_python_integers(value: int, shift: int, rounding: Rounding) -> None:
    exact = Fraction(value, 1 << shift)
    expected = floor(exact + Fraction(1, 2)) if rounding is Rounding.HALF_UP else round(exact)
    assert rounded(value, shift, rounding) == expected


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    """Channels beyond 2**24, many of them near a boundary between two outputs or with ties."""
    low, high = (
        -draw(st.integers(0, 2 ** draw(st.integers(0, 22)))),
        draw(st.integers(0, 2 ** draw(st.integers(0, 22)))),
    )
    shift = draw(st.integers(0, 31))
    boundary = (2 * draw(st.integers(-200, 200)) + 1) << max(0, shift - 1)
    near = boundary + draw(st.integers(-high - 2, -low + 2))
    return Channel(low, high, draw(st.one_of(st.just(near), st.integers(-(2**31), 2**31))), shift)


@given(channels(), ROUNDINGS, st.sampled_from([8, 16]), st.booleans(), st.data())
def test_slim_channels_compute_the_same(
    channel: Channel, rounding: Rounding, bits: int, relu: bool, data: st.DataObject
) -> None:
    slim = slim_channel(channel, rounding, bits, relu=relu)
    if slim is None:
        return
    assert slim.fits()
    least, most = 0 if relu else -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def result(which: Channel, total: int) -> int:
        return min(most, max(least, which.offset + rounded(total + which.bias, which.shift, rounding)))

    ties = [
        ((2 * rounded(channel.bias, channel.shift, rounding) + odd) << max(0, channel.shift - 1)) - channel.bias
        for odd in (-1, 1)
    ]
    inside = [tie + near for tie in ties for near in (-1, 0, 1) if channel.low <= tie + near <= channel.high]
    drawn = data.draw(st.lists(st.integers(channel.low, channel.high), max_size=5))
    for total in (channel.low, channel.high, 0, *inside, *drawn):
        assert result(slim, 0 if slim.constant else total) == result(channel, total)


def test_what_becomes_of_a_channel() -> None:
    def slim(channel: Channel) -> Channel | None:
        return slim_channel(channel, Rounding.HALF_EVEN, 8, relu=False)

    constant = slim(Channel(-100, 100, 5 << 26, 26))
    assert constant == Channel(0, 0, 5, 0, constant=True)
    saturated = slim(Channel(-(2**20), 2**20, 2**31, 20))
    assert saturated == Channel(0, 0, 127, 0, constant=True)
    between = slim(Channel(-100, 100, (5 << 26) + 2**25, 26))
    assert between == Channel(-100, 100, -(2**22), 23, offset=6)
    stepped = slim(Channel(-(2**22), 2**22, (5 << 20) + 7, 20))
    assert stepped == Channel(-(2**22), 2**22, -(2**20) + 7, 20, offset=6)
    assert slim(Channel(-(2**23), 2**23, 2**28 + 2**23, 24)) is None
    assert slim(Channel(-1, 1, 2**30, -1)) is None


@pytest.mark.parametrize("name", ["esp32p4", "c"])
@given(bits=st.sampled_from([8, 16]), depthwise=st.booleans(), relu=st.booleans(), seed=st.integers(0, 2**32))
def test_convolutions_with_almost_constant_channels(
    name: str, bits: int, depthwise: bool, relu: bool, seed: int
) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    x = integers(rng, (1, 4, 4, 18), bits)
    weights = integers(rng, (18, 1 if depthwise else 18, 2, 2), bits, 0.03)
    shift = int(rng.integers(10, 32))
    half = 1 << (shift - 1)
    bias = np.clip(rng.integers(-300, 300, 18) * half + rng.integers(-3, 4, 18), -(2**30), 2**30)
    stored = bias.astype(np.int32 if bits == 8 else np.int64)
    group, activation = 18 if depthwise else 1, "Relu" if relu else "Linear"
    program = conv(x, weights, stored, target=target, bits=bits, group=group, shift=shift, activation=activation)
    both(program, {"x": x}, target)


def test_they_stay_in_float32(rng: np.random.Generator) -> None:
    target = find("esp32p4")
    bias = np.asarray([2**30, -(2**30), 3 * 2**25 + 5, 100], np.int32)
    x, matrix = integers(rng, (1, 6), 8), integers(rng, (6, 4), 8, 0.1)
    program = gemm(x, matrix, bias, target=target, bits=8, shift=26)
    both(program, {"x": x}, target)
    (part,) = compile_program(program, target).parts
    assert isinstance(part, GraphPart)
    import onnx

    graph = onnx.load_model_from_string(part.model).graph
    assert {entry.data_type for entry in graph.initializer} == {onnx.TensorProto.FLOAT}
