from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ops.linear_cases import convolved, integers

from tinsmith.quant.linear import Geometry, Sums, carrier


@st.composite
def walks(draw: st.DrawFn) -> tuple[Geometry, int, int]:
    """A geometry and the height and width of an input it fits."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    geometry = Geometry(
        draw(pair),
        draw(pair),
        draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        draw(st.tuples(*[st.integers(0, 2)] * 4)),
    )
    reach = [d * (k - 1) + 1 for k, d in zip(geometry.kernel, geometry.dilations, strict=True)]
    return geometry, draw(st.integers(reach[0], reach[0] + 4)), draw(st.integers(reach[1], reach[1] + 4))


@given(walks(), st.sampled_from([8, 16]), st.integers(1, 5), st.integers(1, 5), st.booleans(), st.integers(0, 2**32))
def test_convolution_is_exact(
    walk: tuple[Geometry, int, int], bits: int, channels: int, filters: int, depthwise: bool, seed: int
) -> None:
    geometry, height, width = walk
    rng = np.random.default_rng(seed)
    x = integers(rng, (height, width, channels), bits)
    shape = (channels, 1) if depthwise else (filters, channels)
    weights = integers(rng, (*shape, *geometry.kernel), bits)
    sums = Sums.convolution(x, weights, geometry, depthwise=depthwise)
    expected = convolved(
        x,
        weights,
        None,
        strides=geometry.strides,
        dilations=geometry.dilations,
        pads=geometry.pads,
        group=channels if depthwise else 1,
    )
    assert sums.exact().tolist() == expected.tolist()
    positions = np.indices(expected.shape).reshape(3, -1)
    products = sums.products(*positions)
    assert products.sum(axis=(1, 2)).tolist() == expected.reshape(-1).tolist()
    lowest, highest = sums.reach()
    prefixes = np.cumsum(products.reshape(len(products), -1), axis=1)
    assert (prefixes >= lowest[positions[2]][:, None]).all()
    assert (prefixes <= highest[positions[2]][:, None]).all()
    magnitudes = sums.magnitudes().exact()
    assert magnitudes.reshape(-1).tolist() == np.abs(products).sum(axis=(1, 2)).tolist()


@pytest.mark.parametrize(("bits", "inner"), [(8, 1025), (16, 700)])
def test_products_beyond_float32_are_exact(bits: int, inner: int) -> None:
    low = -(1 << (bits - 1))
    x = np.full((2, inner), low, dtype=f"int{bits}")
    x[1, 0] = 1
    matrix = np.full((inner, 3), low, dtype=f"int{bits}")
    matrix[-1, 1] = 1
    found = Sums.product(x, matrix).exact()[:, 0]
    assert found.tolist() == (x.astype(object) @ matrix.astype(object)).tolist()


def test_wide_inputs_are_unfolded_in_blocks(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = integers(rng, (9, 7, 3), 8), integers(rng, (4, 3, 3, 3), 8)
    sums = Sums.convolution(x, weights, Geometry((3, 3)), depthwise=False)
    whole = sums.exact()
    monkeypatch.setattr("tinsmith.quant.linear._COLUMNS", 100)
    assert sums.exact().tolist() == whole.tolist()


def test_selected_channels(rng: np.random.Generator) -> None:
    x = integers(rng, (4, 4, 6), 8)
    for weights, depthwise in ((integers(rng, (6, 1, 2, 2), 8), True), (integers(rng, (5, 6, 2, 2), 8), False)):
        sums = Sums.convolution(x, weights, Geometry((2, 2)), depthwise=depthwise)
        for channels in (slice(1, 3), np.asarray([4, 0])):
            assert sums.select(channels).exact().tolist() == sums.exact()[..., channels].tolist()


def test_carriers() -> None:
    assert carrier(2.0**24 - 1) is np.float32
    assert carrier(2.0**24) is np.float64
    assert carrier(2.0**53 - 1) is np.float64
    assert carrier(2.0**53) is np.int64


def test_shapes_that_do_not_fit(rng: np.random.Generator) -> None:
    x = integers(rng, (4, 4, 3), 8)
    with pytest.raises(ValueError, match="3 input channels do not fit"):
        Sums.convolution(x, integers(rng, (2, 4, 1, 1), 8), Geometry(), depthwise=False)
    with pytest.raises(ValueError, match="larger than the padded input"):
        Sums.convolution(x, integers(rng, (2, 3, 5, 1), 8), Geometry((5, 1)), depthwise=False)
    with pytest.raises(ValueError, match="impossible kernel"):
        Geometry(strides=(0, 1)).size(4, 4)
    with pytest.raises(ValueError, match="impossible kernel"):
        Geometry(pads=(0, -1, 0, 0)).size(4, 4)
    with pytest.raises(ValueError, match="do not multiply"):
        Sums.product(integers(rng, (2, 3), 8), integers(rng, (4, 2), 8))
