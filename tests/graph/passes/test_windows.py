from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.graph.models import Array, check, model, node

RNG = np.random.default_rng(2)


def weights(*shape: int) -> dict[str, Array]:
    return {"w": RNG.normal(size=shape).astype(np.float32)}


@given(
    op=st.sampled_from(["Conv", "MaxPool", "AveragePool"]), mode=st.sampled_from(["VALID", "SAME_UPPER", "SAME_LOWER"]),
    size=st.tuples(st.integers(4, 12), st.integers(4, 12)), kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)  # fmt: skip
def test_auto_pad(op: str, mode: str, size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int]) -> None:
    # ONNX Runtime takes strides beyond the window for negative padding.
    assume(all(k >= s for k, s in zip(kernel, strides, strict=True)))
    constants = weights(2, 3, *kernel) if op == "Conv" else {}
    window = {} if op == "Conv" else {"kernel_shape": kernel}
    layer = node(op, "h w" if constants else "h", "y", auto_pad=mode, strides=strides, **window)
    canonical = check(model([node("Tanh", "x", "h"), layer], {"x": (1, 3, *size)}, "y", constants))
    for step in canonical.graph:
        if step.op_type == op:
            assert "auto_pad" not in step.attributes
            assert tuple(step.attributes["kernel_shape"].value) == kernel
            assert tuple(step.attributes["strides"].value) == strides
            assert len(step.attributes["pads"].value) == 4


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 3]},
        {"pads": [1, 0, 0, 1], "output_padding": [1, 0], "strides": [2, 2]},
        {"auto_pad": "VALID", "strides": [2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"output_shape": [10, 11], "strides": [2, 2]},
        {"output_shape": [10, 9], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
    ],
)
@pytest.mark.parametrize("size", [3, 2])
def test_transposed(attributes: dict[str, Any], size: int) -> None:
    layer = node("ConvTranspose", "x w", "y", **attributes)
    canonical = check(model([layer], {"x": (1, 4, 5, 5)}, "y", weights(4, 3, size, size)), ["ConvTranspose"])
    (step,) = canonical.graph
    assert not {"auto_pad", "output_shape"} & set(step.attributes)
    assert {"kernel_shape", "strides", "dilations", "group", "pads", "output_padding"} <= set(step.attributes)


def test_one_dimension() -> None:
    layer = node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2])
    (step,) = check(model([layer], {"x": (1, 3, 9)}, "y", weights(4, 3, 4)), ["Conv"]).graph
    assert tuple(step.attributes["pads"].value) == (1, 2)
