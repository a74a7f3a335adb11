from __future__ import annotations

import numpy as np
import pytest

from tests.graph.models import check, model, node

W = np.random.default_rng(5).normal(size=(4, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("axes", [[2, 3], [3, 2], [-1, -2]])
def test_mean_over_height_and_width(axes: list[int]) -> None:
    mean = node("ReduceMean", "x a", "y", name="mean")
    check(model([mean], {"x": (1, 3, 5, 7)}, "y", {"a": axes}), ["GlobalAveragePool"])
    mean = node("ReduceMean", "x a", "y", name="mean", keepdims=0)
    canonical = check(model([mean], {"x": (1, 3, 5, 7)}, "y", {"a": axes}), ["GlobalAveragePool", "Flatten"])
    assert canonical.graph[0].name == "mean"


@pytest.mark.parametrize("keepdims", [0, 1])
def test_one_mean_after_the_other(keepdims: int) -> None:
    nodes = [node("ReduceMean", "x a", "h", keepdims=keepdims), node("ReduceMean", "h b", "y", keepdims=keepdims)]
    original = model(nodes, {"x": (1, 3, 5, 7)}, "y", {"a": [3], "b": [2]})
    check(original, ["GlobalAveragePool", "Flatten"][: 2 - keepdims])


def test_a_sequence_of_maps() -> None:
    nodes = [node("Conv", "x w", "h"), node("Relu", "h", "r"), node("ReduceMean", "r a", "y", keepdims=0)]
    original = model(nodes, {"x": (1, 3, 9)}, "y", {"w": W, "a": [2]})
    check(original, ["Conv", "Relu", "GlobalAveragePool", "Flatten"])


@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 3, 9), [2]), ((1, 3, 4, 5), [1, 2]), ((1, 3, 4, 5), [3]), ((1, 3, 2, 4, 5), [2, 3, 4])]
)
def test_other_means_stay(shape: tuple[int, ...], axes: list[int]) -> None:
    check(model([node("ReduceMean", "x a", "y")], {"x": shape}, "y", {"a": axes}), ["ReduceMean"])


def test_a_mean_that_is_an_output_stays() -> None:
    nodes = [node("ReduceMean", "x a", "h"), node("ReduceMean", "h b", "y")]
    check(model(nodes, {"x": (1, 3, 5, 7)}, "h y", {"a": [3], "b": [2]}), ["ReduceMean", "ReduceMean"])
