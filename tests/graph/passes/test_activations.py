"""Sigmoid, Swish, HardSigmoid, HardSwish and Gelu, in the spellings of exporters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tinsmith.graph import canonicalize
from tinsmith.importers import load

SHAPE = (1, 4, 5, 5)
SIXTH = float(np.float32(1 / 6))
ROOT = float(np.float32(math.sqrt(2 / math.pi)))
HALF = float(np.float32(math.sqrt(0.5)))

Spelling = tuple[list[Any], dict[str, Any]]


def build(spelling: Spelling, shape: tuple[int, ...] = SHAPE) -> Any:
    """A Tanh, the nodes (from h to y), and nothing else."""
    nodes, constants = spelling
    return model([node("Tanh", "x", "h"), *nodes], {"x": shape}, "y", constants)


SIGMOIDS: dict[str, Spelling] = {
    "divided": (
        [node("Neg", "h", "n"), node("Exp", "n", "e"), node("Add", "e one", "s"), node("Div", "one s", "y")],
        {"one": 1.0},
    ),
    "reciprocal": (
        [node("Mul", "h m", "n"), node("Exp", "n", "e"), node("Add", "one e", "s"), node("Reciprocal", "s", "y")],
        {"one": 1.0, "m": -1.0},
    ),
}
SWISHES: dict[str, Spelling] = {
    "x first": ([node("Sigmoid", "h", "s"), node("Mul", "h s", "y")], {}),
    "sigmoid first": ([node("Sigmoid", "h", "s"), node("Mul", "s h", "y")], {}),
    "divided": (
        [node("Neg", "h", "n"), node("Exp", "n", "e"), node("Add", "e one", "s"), node("Div", "h s", "y")],
        {"one": 1.0},
    ),
    "times its spelled sigmoid": (
        [*SIGMOIDS["divided"][0][:-1], node("Div", "one s", "g"), node("Mul", "h g", "y")],
        {"one": 1.0},
    ),
}
HARD_SIGMOIDS: dict[str, Spelling] = {
    "relu6(x + 3) / 6": (
        [node("Add", "h three", "a"), node("Clip", "a zero six", "c"), node("Div", "c six", "y")],
        {"three": 3.0, "zero": 0.0, "six": 6.0},
    ),
    "min(relu(3 + x), 6) / 6": (
        [node("Add", "three h", "a"), node("Relu", "a", "r"), node("Min", "r six", "c"), node("Mul", "c sixth", "y")],
        {"three": 3.0, "sixth": SIXTH, "six": 6.0},
    ),
    "clip(0.2 x + 0.5)": (
        [node("Mul", "h f", "m"), node("Add", "m b", "a"), node("Clip", "a zero one", "y")],
        {"f": 0.2, "b": 0.5, "zero": 0.0, "one": 1.0},
    ),
}
CLIP_NODES = HARD_SIGMOIDS["relu6(x + 3) / 6"][0][:2]
CLIP_CONSTANTS = {"three": 3.0, "zero": 0.0, "six": 6.0, "sixth": 0.166667}
HARD_SWISHES: dict[str, Spelling] = {
    "HardSigmoid": ([node("HardSigmoid", "h", "s", alpha=SIXTH, beta=0.5), node("Mul", "h s", "y")], {}),
    "x · clip / 6": ([*CLIP_NODES, node("Mul", "h c", "m"), node("Div", "m six", "y")], CLIP_CONSTANTS),
    "x · (clip / 6)": ([*CLIP_NODES, node("Div", "c six", "m"), node("Mul", "m h", "y")], CLIP_CONSTANTS),
    "(x / 6) · clip": ([*CLIP_NODES, node("Div", "h six", "m"), node("Mul", "m c", "y")], CLIP_CONSTANTS),
    "x · 0.166667 · clip": ([*CLIP_NODES, node("Mul", "h sixth", "m"), node("Mul", "m c", "y")], CLIP_CONSTANTS),
}
GELUS: dict[str, Spelling] = {
    "torch": (
        [
            node("Div", "h root", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "a"),
            node("Mul", "h a", "m"),
            node("Mul", "m half", "y"),
        ],
        {"root": math.sqrt(2), "one": 1.0, "half": 0.5},
    ),
    "half first": (
        [
            node("Mul", "h f", "d"),
            node("Erf", "d", "e"),
            node("Add", "one e", "a"),
            node("Mul", "half h", "m"),
            node("Mul", "m a", "y"),
        ],
        {"f": HALF, "one": 1.0, "half": 0.5},
    ),
    "half inside": (
        [
            node("Mul", "h f", "d"),
            node("Erf", "d", "e"),
            node("Mul", "e half", "q"),
            node("Add", "q half", "a"),
            node("Mul", "a h", "y"),
        ],
        {"f": HALF, "half": 0.5},
    ),
}
TANH_CONSTANTS = {"three": 3.0, "c": 0.044715, "root": ROOT, "one": 1.0, "half": 0.5}
TANH_GELUS: dict[str, Spelling] = {
    "torch": (
        [
            node("Pow", "h three", "p"), node("Mul", "p c", "q"), node("Add", "h q", "s"), node("Mul", "s root", "i"),
            node("Tanh", "i", "t"), node("Add", "t one", "a"), node("Mul", "h half", "m"), node("Mul", "m a", "y"),
        ],
        TANH_CONSTANTS,
    ),
    "products": (
        [
            node("Mul", "h h", "h2"), node("Mul", "h2 c", "q"), node("Add", "q one", "s"), node("Mul", "h root", "r"),
            node("Mul", "r s", "i"), node("Tanh", "i", "t"), node("Add", "one t", "a"), node("Mul", "h a", "m"),
            node("Mul", "half m", "y"),
        ],
        TANH_CONSTANTS,
    ),
}  # fmt: skip
ALL_GELUS = {**GELUS, **{f"tanh, {name}": spelling for name, spelling in TANH_GELUS.items()}}


def cases(**tables: dict[str, Spelling]) -> list[Any]:
    return [pytest.param(op, table[name], id=f"{op}, {name}") for op, table in tables.items() for name in table]


@pytest.mark.parametrize(
    ("op", "spelling"),
    cases(Sigmoid=SIGMOIDS, Swish=SWISHES, HardSigmoid=HARD_SIGMOIDS, HardSwish=HARD_SWISHES, Gelu=ALL_GELUS),
)
def test_spelling(op: str, spelling: Spelling) -> None:
    canonical = check(build(spelling), ["Tanh", op])
    assert [out.name for out in canonical.graph.outputs] == ["y"]


def test_gelu_knows_which_it_is() -> None:
    kinds = [
        canonicalize(load(build(table["torch"]))).graph[1].attributes["approximate"].value
        for table in (GELUS, TANH_GELUS)
    ]
    assert kinds == ["none", "tanh"]


def test_hard_sigmoid_takes_its_constants() -> None:
    fused = canonicalize(load(build(HARD_SIGMOIDS["clip(0.2 x + 0.5)"]))).graph[1]
    assert fused.attributes["alpha"].value == pytest.approx(0.2)
    assert fused.attributes["beta"].value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("spelling", "ops"),
    [
        # Another gate than its own.
        (([node("Sigmoid", "x", "s"), node("Mul", "h s", "y")], {}), ["Tanh", "Sigmoid", "Mul"]),
        (([node("Mul", "h f", "m"), node("Sigmoid", "m", "s"), node("Mul", "h s", "y")], {"f": 1.702}), None),
        # Constants that are close, but not those.
        ((HARD_SWISHES["x · clip / 6"][0], {**CLIP_CONSTANTS, "six": 6.01}), ["Tanh", "Add", "Clip", "Mul", "Mul"]),
        ((GELUS["half inside"][0], {"f": 0.7, "half": 0.5}), None),
        (([node("HardSigmoid", "h", "s"), node("Mul", "h s", "y")], {}), ["Tanh", "HardSigmoid", "Mul"]),
        # A clip without a shift is a Clip.
        (([node("Clip", "h zero one", "y")], {"zero": 0.0, "one": 1.0}), ["Tanh", "Clip"]),
    ],
)  # fmt: skip
def test_what_only_looks_like_one_stays(spelling: Spelling, ops: list[str] | None) -> None:
    canonical = check(build(spelling), ops)
    assert not {"Swish", "Gelu", "HardSwish"} & set(op_types(canonical))


def test_parts_that_others_use_stay() -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "x s", "y"), node("Relu", "s", "z")]
    check(model(nodes, {"x": SHAPE}, "y z"), ["Sigmoid", "Swish", "Relu"])


def test_an_x_that_is_itself_scaled_and_shifted() -> None:
    nodes = [
        node("Mul", "x f", "m"), node("Add", "m g", "h"), node("Add", "h three", "a"), node("Clip", "a zero six", "c"),
        node("Mul", "h c", "p"), node("Div", "p six", "y"),
    ]  # fmt: skip
    constants = {"f": 2.0, "g": 0.25, "three": 3.0, "zero": 0.0, "six": 6.0}
    canonical = check(model(nodes, {"x": (1, 4)}, "y", constants))
    assert "HardSwish" in op_types(canonical)


@given(
    x=st.integers(0, 3), scale=st.sampled_from([0.1, 1 / 6, 1.0, 2.0, -1.0]), shift=st.sampled_from([0.0, 0.5, 3.0]),
    high=st.sampled_from([1.0, 2.0, 6.0]), order=st.permutations(["h", "c", "k"]),
)  # fmt: skip
def test_any_gate_made_of_these_parts_is_computed_right(
    x: int, scale: float, shift: float, high: float, order: list[str]
) -> None:
    a, b, c = order
    nodes = [
        node("Mul", "h scale", "m"), node("Add", "m shift", "n"), node("Clip", "n zero high", "c"),
        node("Mul", f"{a} {b}", "p"), node("Mul", f"p {c}", "y"),
    ]  # fmt: skip
    constants = {"scale": scale, "shift": shift, "zero": 0.0, "high": high, "k": 1 / high if x else 0.3}
    check(build((nodes, constants), (1, 8)))
