"""Rewrites of maps leave them channels-last: no Transposes but those that move something."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

import tinsmith
from tests.e2e.nets import samples
from tests.e2e.nets.build import Net
from tests.e2e.nets.windows import shuffled_channels


def transposes(model: onnx.ModelProto, bits: int = 8) -> int:
    program = tinsmith.quantize(model, samples(model, 4), "esp32s3", bits=bits).program
    return Counter(node.op_type for node in program.nodes)["Transpose"]


def test_a_shuffle_is_one_transpose() -> None:
    """Of two, the second goes into the weights behind it."""
    assert transposes(shuffled_channels()) == 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel"])
def test_interpolation_by_a_whole_factor_is_none(mode: str, bits: int) -> None:
    n = Net("doubled", x=(1, 3, 6, 5))
    h = n.op("Resize", n.conv("x", 3, 8), "", n.const([1, 1, 2, 2]), mode="linear", coordinate_transformation_mode=mode)
    assert transposes(n.model(n.conv(h, 8, 4)), bits) == 0


def test_a_restored_order_is_one() -> None:
    n = Net("multiplied", x=(1, 16, 6, 6))
    h = n.op("Conv", "x", n.weights(32, 1, 3, 3), group=16)
    assert transposes(n.model(n.op("Mul", n.op("Sigmoid", h), n.op("Tanh", h)))) == 1
