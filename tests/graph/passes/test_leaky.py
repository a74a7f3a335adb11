"""LeakyRelu and PRelu in the spellings of exporters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node, op_types

SHAPE = (1, 4, 5, 6)
SLOPES = np.array([0.25, 0.5, -0.1, 1.5], np.float32).reshape(4, 1, 1)

SPELLINGS: dict[str, list[Any]] = {
    "tensorflow": [
        node("Relu", "h", "r"), node("Neg", "h", "n"), node("Relu", "n", "m"), node("Mul", "m a", "p"),
        node("Sub", "r p", "y"),
    ],
    "keras": [
        node("Relu", "h", "r"), node("Neg", "h", "n"), node("Relu", "n", "m"), node("Mul", "b m", "p"),
        node("Add", "r p", "y"),
    ],
    "magnitude": [
        node("Relu", "h", "r"), node("Abs", "h", "n"), node("Sub", "h n", "m"), node("Mul", "m c", "p"),
        node("Add", "r p", "y"),
    ],
    "bounds": [
        node("Max", "h zero", "r"), node("Min", "h zero", "n"), node("Mul", "a n", "p"), node("Add", "r p", "y"),
    ],
}  # fmt: skip


def built(name: str, slopes: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    array = np.asarray(slopes, np.float32)
    constants = {"a": array, "b": -array, "c": array / 2, "zero": np.float32(0)}
    nodes = [node("Tanh", "x", "h"), *SPELLINGS[name]]
    used = {part for step in nodes for part in step.input}
    return model(nodes, {"x": shape}, "y", {key: found for key, found in constants.items() if key in used})


@pytest.mark.parametrize("name", SPELLINGS)
def test_slopes_per_channel(name: str) -> None:
    canonical = check(built(name, SLOPES), ["Tanh", "PRelu"])
    assert canonical.graph[1].inputs[1].shape == (4, 1, 1)


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("slope", [0.25, -0.5, 2.0])
def test_one_slope(name: str, slope: float) -> None:
    canonical = check(built(name, slope), ["Tanh", "LeakyRelu"])
    assert canonical.graph[1].attributes["alpha"].value == pytest.approx(slope)


def test_slopes_of_a_sequence() -> None:
    check(built("tensorflow", SLOPES.reshape(4), (1, 7, 4)), ["Tanh", "PRelu"])


@pytest.mark.parametrize(
    "nodes",
    [
        # A slope of 2 above zero; a shift; another bend; two tensors.
        [node("Relu", "h", "r"), node("Add", "h r", "y")],
        [node("Relu", "h", "r"), node("Add", "h one", "n"), node("Sub", "n r", "y")],
        [node("Clip", "h low", "r"), node("Mul", "h half", "n"), node("Add", "r n", "y")],
        [node("Relu", "h", "r"), node("Relu", "x", "n"), node("Sub", "r n", "y")],
    ],
)
def test_what_only_looks_like_one_stays(nodes: list[Any]) -> None:
    constants = {"one": 1.0, "half": 0.5, "low": -1.0}
    used = {part for step in nodes for part in step.input}
    nodes = [node("Tanh", "x", "h"), *nodes]
    found = op_types(check(model(nodes, {"x": SHAPE}, "y", {k: c for k, c in constants.items() if k in used})))
    assert not {"LeakyRelu", "PRelu"} & set(found)


def test_slopes_along_two_axes_stay() -> None:
    slopes = np.random.default_rng(1).normal(size=(4, 5, 1)).astype(np.float32)
    assert not {"LeakyRelu", "PRelu"} & set(op_types(check(built("tensorflow", slopes))))


@pytest.mark.parametrize("bound", [6.0, 1.5, 100.0])
def test_activations_with_a_ceiling_stay(bound: float) -> None:
    nodes = [
        node("Clip", "x zero top", "a"),
        node("Min", "x zero", "b"),
        node("Mul", "b s", "c"),
        node("Add", "a c", "y"),
    ]
    constants = {"zero": np.float32(0), "top": np.float32(bound), "s": np.float32(0.1)}
    assert "LeakyRelu" not in op_types(check(model(nodes, {"x": (1, 3, 4)}, "y", constants)))
