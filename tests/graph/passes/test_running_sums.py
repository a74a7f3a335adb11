"""CumSum as a product with ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.models import check, model, node, op_types
from tinsmith.graph import canonicalize
from tinsmith.graph.passes.running_sums import LONGEST
from tinsmith.importers import load


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize(("shape", "axis"), [((1, 4, 5), 2), ((1, 4, 5), -2), ((1, 2, 4, 5), 1), ((6,), 0)])
def test_every_form(reverse: int, exclusive: int, shape: tuple[int, ...], axis: int) -> None:
    nodes = [node("CumSum", "x a", "y", reverse=reverse, exclusive=exclusive)]
    found = op_types(check(model(nodes, {"x": shape}, "y", {"a": np.array(axis)})))
    assert "CumSum" not in found
    assert {"MatMul", "Gemm"} & set(found)


def test_long_axes_stay() -> None:
    built = model([node("CumSum", "x a", "y")], {"x": (1, LONGEST + 1)}, "y", {"a": np.array(1)})
    assert op_types(canonicalize(load(built))) == ["CumSum"]
