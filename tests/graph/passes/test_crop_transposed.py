from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node
from tests.graph.passes.test_pools import refused

W = np.random.default_rng(1).normal(size=(4, 3, 2, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [2, 0, 0, 0], "strides": [2, 2]},
        {"pads": [2, 3, 3, 4], "strides": [2, 2], "output_padding": [1, 0]},
        {"pads": [3, 0, 0, 5], "dilations": [2, 1]},
    ],
)
def test_what_the_kernel_does_not_reach_is_cut(attributes: dict[str, Any]) -> None:
    layer = node("ConvTranspose", "x w", "y", name="up", **attributes)
    canonical = check(model([layer], {"x": (1, 4, 8, 9)}, "y", {"w": W}), ["ConvTranspose", "Slice"])
    assert canonical.graph[0].name == "up"
    assert refused(canonical) == []


def test_what_it_reaches_stays() -> None:
    layer = node("ConvTranspose", "x w", "y", pads=[1, 2, 1, 2])
    check(model([layer], {"x": (1, 4, 8, 9)}, "y", {"w": W}), ["ConvTranspose"])
