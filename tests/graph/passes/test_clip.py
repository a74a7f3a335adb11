from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import check, model, node

SHAPE = (1, 4, 5, 5)


def build(nodes: list[Any], constants: dict[str, Any]) -> Any:
    return model([node("Tanh", "x", "h"), *nodes], {"x": SHAPE}, "y", constants)


@pytest.mark.parametrize(
    ("nodes", "constants", "op"),
    [
        ([node("Clip", "h zero", "y")], {"zero": 0.0}, "Relu"),
        ([node("Clip", "h zero high", "y")], {"zero": 0.0, "high": 3.4028235e38}, "Relu"),
        ([node("Max", "h zero", "y")], {"zero": 0.0}, "Relu"),
        ([node("Max", "zero h", "y")], {"zero": np.zeros((1, 1, 1, 1), np.float32)}, "Relu"),
        ([node("Relu", "h", "r"), node("Min", "r six", "y")], {"six": 0.6}, "Clip"),
        ([node("Relu", "h", "r"), node("Relu", "r", "y")], {}, "Relu"),
        ([node("Relu", "h", "r"), node("Clip", "r low high", "y")], {"low": -1.0, "high": 0.5}, "Clip"),
        ([node("Clip", "h _ high", "r"), node("Relu", "r", "y")], {"high": 0.5}, "Clip"),
        ([node("Min", "h c", "y")], {"c": [0.25]}, "Clip"),
        ([node("Mul", "h f", "m"), node("Max", "h m", "y")], {"f": 0.1}, "LeakyRelu"),
        ([node("Mul", "f h", "m"), node("Max", "m h", "y")], {"f": 0.1}, "LeakyRelu"),
    ],
)
def test_one_form(nodes: list[Any], constants: dict[str, Any], op: str) -> None:
    check(build(nodes, constants), ["Tanh", op])


@pytest.mark.parametrize(
    ("nodes", "constants", "ops"),
    [
        ([node("Max", "h c", "y")], {"c": np.arange(5, dtype=np.float32)}, ["Add", "Relu", "Add"]),
        ([node("Max", "h c", "y")], {"c": np.zeros((2, 1, 1, 1), np.float32)}, ["Sub", "Relu"]),
        ([node("Mul", "h f", "m"), node("Max", "h m", "y")], {"f": 1.5}, ["Mul", "Max"]),
        ([node("Clip", "h low high", "y")], {"low": 1.0, "high": -1.0}, ["Clip"]),
    ],
)
def test_what_is_no_clip_stays(nodes: list[Any], constants: dict[str, Any], ops: list[str]) -> None:
    check(build(nodes, constants), ["Tanh", *ops])


def test_absent_bounds_are_absent() -> None:
    canonical = check(build([node("Clip", "h low high", "y")], {"low": -math.inf, "high": 0.5}), ["Tanh", "Clip"])
    assert canonical.graph[1].inputs[1] is None
    canonical = check(build([node("Clip", "h low high", "y")], {"low": 0.25, "high": math.inf}), ["Tanh", "Clip"])
    assert len(canonical.graph[1].inputs) == 2


def test_a_clip_that_others_use_is_not_merged() -> None:
    nodes = [node("Relu", "x", "r"), node("Clip", "r _ c", "y"), node("Sigmoid", "r", "z")]
    check(model(nodes, {"x": SHAPE}, "y z", {"c": 0.5}), ["Relu", "Clip", "Sigmoid"])


bound = st.one_of(st.none(), st.floats(-2, 2, width=32))


@given(first=st.tuples(bound, bound), second=st.tuples(bound, bound))
def test_two_clips(first: tuple[float | None, float | None], second: tuple[float | None, float | None]) -> None:
    constants = {
        f"{name}{i}": c
        for i, pair in enumerate((first, second))
        for name, c in zip("lh", pair, strict=True)
        if c is not None
    }
    names = [[f"{name}{i}" if f"{name}{i}" in constants else "_" for name in "lh"] for i in (0, 1)]
    nodes = [node("Clip", f"h {' '.join(names[0])}", "r"), node("Clip", f"r {' '.join(names[1])}", "y")]
    check(build(nodes, constants))


BOUND = ["Reshape", "Sub", "Relu"]


def test_computed_bounds_are_max_and_min() -> None:
    nodes = [node("Tanh", "x", "h"), node("Clip", "h low high", "y")]
    check(model(nodes, {"x": SHAPE, "low": (), "high": ()}, "y"), ["Tanh", *BOUND, "Add", *BOUND, "Sub"])
    check(model(nodes, {"x": SHAPE, "high": ()}, "y", {"low": 0.0}), ["Tanh", "Relu", *BOUND, "Sub"])
    nodes = [node("Tanh", "x", "h"), node("Clip", "h low", "y")]
    check(model(nodes, {"x": SHAPE, "low": (1,)}, "y"), ["Tanh", *BOUND, "Add"])
