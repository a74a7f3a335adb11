from __future__ import annotations

import numpy as np
import pytest

from tests.graph.models import check, model, node

SHAPE = (1, 3, 4, 5)
SPELLED = ["Relu", "Neg", "Relu", "Mul", "Sub"]


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1), (5,)])
def test_slopes_that_the_runtime_has_stay(shape: tuple[int, ...]) -> None:
    slopes = np.linspace(-0.5, 0.5, int(np.prod(shape)), dtype=np.float32).reshape(shape) + np.float32(0.1)
    canonical = check(model([node("PRelu", "x s", "y")], {"x": SHAPE}, "y", {"s": slopes}))
    assert [step.op_type for step in canonical.graph][-1] in ("PRelu", "LeakyRelu")


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 1, 5), (1, 3, 4, 1)])
def test_slopes_of_other_shapes(shape: tuple[int, ...]) -> None:
    slopes = np.linspace(-0.5, 0.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    check(model([node("PRelu", "x s", "y", name="p")], {"x": SHAPE}, "y", {"s": slopes}), SPELLED)


def test_slopes_that_are_computed() -> None:
    check(model([node("PRelu", "x s", "y")], {"x": SHAPE, "s": (3, 1, 1)}, "y"), SPELLED)
