"""Transposes between channels-first and channels-last parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import Array, check, model, node, op_types

RNG = np.random.default_rng(6)
FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]
"""perm to channels first, and to channels last."""


def weights(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32) / 3


def conv(source: str, result: str, weight: str = "w", **attributes: Any) -> list[Any]:
    """A convolution as TensorFlow's exporter writes it: channels last outside, channels first inside."""
    attributes.setdefault("pads", [1, 1, 1, 1])
    return [
        node("Transpose", source, f"{result}_in", perm=FIRST),
        node("Conv", f"{result}_in {weight}", f"{result}_out", **attributes),
        node("Transpose", f"{result}_out", result, perm=LAST),
    ]


BETWEEN: dict[str, tuple[list[Any], dict[str, Any], list[str]]] = {
    "activation": ([node("Tanh", "a", "b")], {}, ["Tanh"]),
    "clip": ([node("Clip", "a low high", "b")], {"low": -0.5, "high": 0.5}, ["Clip"]),
    "bias": ([node("Add", "a c", "b")], {"c": weights(4)}, []),
    "full constant": ([node("Mul", "a c", "b")], {"c": weights(1, 6, 6, 4)}, ["Mul"]),
    "map constant": ([node("Mul", "c a", "b")], {"c": weights(6, 6, 1)}, ["Mul"]),
    "slopes": ([node("PRelu", "a c", "b")], {"c": weights(4)}, ["PRelu"]),
    "pad": ([node("Pad", "a p v", "b")], {"p": [0, 1, 2, 0, 0, 1, 0, 0], "v": 0.5}, ["Pad"]),
    "pad channels": (
        [node("Pad", "a p", "b"), node("Slice", "b s e d", "c")],
        {"p": [0, 0, 0, 1, 0, 0, 0, 0], "s": [1], "e": [5], "d": [3]},
        ["Pad", "Slice"],
    ),
    "slice": (
        [node("Slice", "a s e d t", "b")],
        {"s": [1, 0], "e": [6, 2], "d": [1, 3], "t": [2, 1]},
        ["Slice"],
    ),
    "softmax": ([node("Softmax", "a", "b", axis=-1)], {}, ["Softmax"]),
    "kept mean": (
        [node("ReduceMean", "a d", "m"), node("Sigmoid", "m", "s"), node("Mul", "a s", "b")],
        {"d": [1, 2]},
        ["GlobalAveragePool", "Sigmoid", "Mul"],
    ),
    "concat": ([node("Tanh", "a", "t"), node("Concat", "a t", "b", axis=3)], {}, ["Tanh", "Concat"]),
    "split": (
        [node("Split", "a", "s t", axis=3, num_outputs=2), node("Tanh", "s", "u"), node("Concat", "t u", "b", axis=-1)],
        {},
        ["Split", "Tanh", "Concat"],
    ),
    "resize": ([node("Resize", "a _ f", "b", mode="linear")], {"f": [1.0, 2.0, 2.0, 1.0]}, ["Resize"]),
    "resize to sizes": ([node("Resize", "a _ _ f", "b", mode="nearest")], {"f": [1, 12, 9, 4]}, ["Resize"]),
    "gather": ([node("Gather", "a i", "b", axis=3)], {"i": [3, 1, 0, 2]}, ["Gather"]),
    "tile": ([node("Tile", "a r", "b")], {"r": [1, 2, 1, 1]}, ["Gather"]),
    "expand": (
        [node("ReduceMax", "a d", "m"), node("Expand", "m e", "b")],
        {"d": [1], "e": [1, 6, 1, 4]},
        ["ReduceMax", "Gather"],
    ),
    "where": (
        [node("Greater", "a c", "g"), node("Where", "g a c", "b")],
        {"c": weights(1, 1, 1, 4)},
        ["Relu", "Add"],
    ),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_none_is_left_between_convolutions(kind: str) -> None:
    nodes, constants, ops = BETWEEN[kind]
    result = nodes[-1].output[0]
    channels = 2 if kind == "slice" else 8 if kind == "concat" else 4
    whole = [*conv("x", "a"), *nodes, *conv(result, "y", "z")]
    constants = {"w": weights(4, 3, 3, 3), "z": weights(5, channels, 3, 3), **constants}
    check(model(whole, {"x": (1, 6, 6, 3)}, "y", constants), ["Transpose", "Conv", *ops, "Conv", "Transpose"])


def test_a_residual_network_of_tensorflow() -> None:
    nodes = [
        node("Sub", "x mean", "n"), *conv("n", "c1", pads=[0, 0, 0, 0]), node("Relu", "c1", "r1"),
        *conv("r1", "c2", "z"), node("Mul", "c2 s", "m"), node("Add", "m t", "b"), node("Add", "b r1", "sum"),
        node("Relu", "sum", "r2"), node("ReduceMean", "r2 axes", "p", keepdims=0),
        node("MatMul", "p k", "l"), node("Add", "l kb", "o"), node("Softmax", "o", "y"),
    ]  # fmt: skip
    constants = {
        "mean": weights(3), "w": weights(4, 3, 3, 3), "z": weights(4, 4, 3, 3), "s": weights(4), "t": weights(4),
        "axes": [1, 2], "k": weights(4, 5), "kb": weights(5),
    }  # fmt: skip
    ops = ["Transpose", "Conv", "Relu", "Conv", "Add", "Relu", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    check(model(nodes, {"x": ("N", 8, 8, 3)}, "y", constants), ops)


def test_squeeze_and_excitation_of_tensorflow() -> None:
    nodes = [
        *conv("x", "c"), node("ReduceMean", "c axes", "p", keepdims=0), node("Reshape", "p shape", "q"),
        *conv("q", "r", "u", pads=[0] * 4), node("Relu", "r", "a"), *conv("a", "s", "v", pads=[0] * 4),
        node("Sigmoid", "s", "g"), node("Mul", "c g", "m"), *conv("m", "y", "z"),
    ]  # fmt: skip
    constants = {
        "w": weights(4, 3, 3, 3), "axes": [1, 2], "shape": [-1, 1, 1, 4], "u": weights(2, 4, 1, 1),
        "v": weights(4, 2, 1, 1), "z": weights(5, 4, 3, 3),
    }  # fmt: skip
    canonical = check(model(nodes, {"x": (1, 6, 6, 3)}, "y", constants))
    assert op_types(canonical).count("Transpose") == 2


def test_the_input_keeps_one() -> None:
    nodes = [
        node("Mul", "x s", "m"),
        node("Add", "m t", "n"),
        node("Transpose", "n", "h", perm=FIRST),
        node("Conv", "h w", "y"),
    ]
    original = model(nodes, {"x": (1, 6, 6, 3)}, "y", {"s": 1 / 127, "t": weights(3), "w": weights(4, 3, 3, 3)})
    check(original, ["Transpose", "Conv"])


def test_heads_that_need_channels_last_keep_theirs() -> None:
    nodes = [
        node("Conv", "x w", "c"), node("Transpose", "c", "t", perm=LAST), node("Add", "t b", "d"),
        node("Reshape", "d s", "y"), node("Transpose", "d", "u", perm=FIRST), node("Conv", "u v", "z"),
    ]  # fmt: skip
    constants = {"w": weights(4, 3, 3, 3), "b": weights(4), "s": [1, -1], "v": weights(2, 4, 1, 1)}
    check(model(nodes, {"x": (1, 3, 6, 6)}, "y z", constants), ["Conv", "Transpose", "Reshape", "Conv"])


def test_attention_is_left_alone() -> None:
    nodes = [
        node("Reshape", "x s", "r"), node("Transpose", "r", "q", perm=[0, 2, 1, 3]),
        node("Transpose", "r", "k", perm=[0, 2, 3, 1]),
        node("MatMul", "q k", "m"), node("Mul", "m f", "c"), node("Softmax", "c", "a"), node("MatMul", "a q", "o"),
        node("Transpose", "o", "y", perm=[0, 2, 1, 3]),
    ]  # fmt: skip
    ops = ["Reshape", "Transpose", "Transpose", "MatMul", "Mul", "Softmax", "MatMul", "Transpose"]
    check(model(nodes, {"x": (1, 5, 12)}, "y", {"s": [1, 5, 3, 4], "f": 0.5}), ops)


def test_channel_shuffle_is_left_alone() -> None:
    nodes = [
        node("Reshape", "x s", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t o", "y"),
    ]
    original = model(nodes, {"x": (1, 6, 4, 4)}, "y", {"s": [1, 2, 3, 4, 4], "o": [1, 6, 4, 4]})
    check(original, ["Reshape", "Transpose", "Reshape"])


def test_one_and_its_inverse_as_outputs() -> None:
    nodes = [
        node("Transpose", "x", "h", perm=LAST), node("Relu", "h", "y"), node("Transpose", "y", "z", perm=FIRST),
        node("Transpose", "y", "v", perm=[0, 2, 1, 3]),
    ]  # fmt: skip
    canonical = check(model(nodes, {"x": (1, 3, 4, 5)}, "y z v"))
    assert [out.name for out in canonical.graph.outputs] == ["y", "z", "v"]


def test_merged() -> None:
    nodes = [node("Transpose", "x", "h", perm=[1, 2, 0]), node("Transpose", "h", "y", perm=[0, 2, 1])]
    canonical = check(model(nodes, {"x": (2, 3, 4)}, "y"), ["Transpose"])
    assert tuple(canonical.graph[0].attributes["perm"].value) == (1, 0, 2)


def test_reduced() -> None:
    nodes = [node("Transpose", "x", "h", perm=LAST), node("ReduceMax", "h a", "y", keepdims=0)]
    check(model(nodes, {"x": (2, 3, 4, 5)}, "y", {"a": [1, 2]}), ["ReduceMax"])
    check(model(nodes, {"x": (2, 3, 4, 5)}, "y", {"a": [1]}), ["Transpose", "ReduceMax"])


PERMS = [FIRST, LAST, [0, 2, 1, 3], [0, 3, 2, 1]]
STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=12
)


@given(steps=STEPS, outputs=st.integers(1, 3))
def test_any_network_of_permuted_things(steps: list[tuple[int, int, int, int]], outputs: int) -> None:
    nodes, constants, shapes = [], {}, {"x": (1, 2, 3, 4)}
    for index, (kind, first, second, detail) in enumerate(steps):
        name, names = f"v{index}", list(shapes)
        a = names[max(0, len(names) - 1 - first)]
        b = next((n for n in names[:: -1 if second % 2 else 1] if shapes[n] == shapes[a]), a)
        size = list(shapes[a])
        if kind <= 3:
            nodes.append(node("Transpose", a, name, perm=PERMS[detail]))
            size = [shapes[a][axis] for axis in PERMS[detail]]
        elif kind == 4:
            nodes.append(node("Tanh", a, name))
        elif kind == 5:
            nodes.append(node("Add", f"{a} {b}", name))
        elif kind == 6:
            constants[f"c{index}"] = weights(*size[detail:])
            nodes.append(node("Mul", f"{a} c{index}", name))
        elif kind == 7:
            nodes.append(node("Concat", f"{a} {b}", name, axis=detail))
            size[detail] *= 2
            if size[detail] > 8:
                nodes.pop()
                continue
        elif kind == 8:
            constants[f"c{index}"] = [detail]
            nodes.append(node("ReduceMax", f"{a} c{index}", name))
            size[detail] = 1
        else:
            constants[f"w{index}"] = weights(3, size[1], 1, 1)
            nodes.append(node("Conv", f"{a} w{index}", name))
            size[1] = 3
        shapes[name] = tuple(size)
    names = [name for name in shapes if name != "x"][-outputs:]
    if names:
        canonical = check(model(nodes, {"x": (1, 2, 3, 4)}, " ".join(names), constants), tolerance=3e-5)
        before = sum(step.op_type == "Transpose" for step in nodes)
        assert op_types(canonical).count("Transpose") <= before + len(names)
