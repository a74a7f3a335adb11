from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import Array, check, histogram, model, node, op_types

RNG = np.random.default_rng(9)


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def shuffle(source: str, result: str, shape: tuple[int, ...], groups: int) -> tuple[list[Any], dict[str, Any]]:
    """As PyTorch exports it: (N, C, …) → (N, groups, C/groups, …), 1 and 2 exchanged, back."""
    batch, channels, *rest = shape
    perm = [0, 2, 1, *range(3, len(shape) + 1)]
    nodes = [
        node("Reshape", f"{source} {result}_a", f"{result}_1"),
        node("Transpose", f"{result}_1", f"{result}_2", perm=perm),
        node("Reshape", f"{result}_2 {result}_b", result),
    ]
    split = np.array([batch, groups, channels // groups, *rest])
    return nodes, {f"{result}_a": split, f"{result}_b": np.array([batch, -1, *rest])}


@pytest.mark.parametrize("shape", [(1, 12, 5, 4), (1, 12, 7), (1, 12, 2, 3, 4)])
@pytest.mark.parametrize("groups", [2, 3, 4])
def test_four_dimensions_are_enough(shape: tuple[int, ...], groups: int) -> None:
    nodes, constants = shuffle("x", "y", shape, groups)
    canonical = check(model(nodes, {"x": shape}, "y", constants), ["Reshape", "Transpose", "Reshape"])
    assert all(len(value.shape or ()) <= max(4, len(shape)) for step in canonical.graph for value in step.outputs)
    (transpose,) = [step for step in canonical.graph if step.op_type == "Transpose"]
    assert len(transpose.outputs[0].shape or ()) == 4


def test_into_the_weights_behind() -> None:
    shape = (1, 12, 5, 4)
    nodes, constants = shuffle("x", "s", shape, 3)
    nodes += [
        node("Conv", "s dw", "d", group=12, pads=[1, 1, 1, 1]),
        node("Relu", "d", "r"),
        node("Conv", "r pw", "y"),
    ]
    constants |= {"dw": floats(12, 1, 3, 3), "pw": floats(7, 12, 1, 1)}
    check(model(nodes, {"x": shape}, "y", constants), ["Conv", "Relu", "Conv"])


def test_two_shuffles_in_a_network() -> None:
    """ShuffleNet v2: Split, one half through convolutions, Concat, shuffle."""
    shape = (1, 8, 6, 6)
    first, constants = shuffle("x", "s", shape, 2)
    second, more = shuffle("c", "t", shape, 2)
    nodes = [
        *first,
        node("Split", "s", "p q", axis=1, num_outputs=2),
        node("Conv", "q w", "k"),
        node("Concat", "p k", "c", axis=1),
        *second,
        node("Conv", "t v", "y"),
    ]
    constants |= more | {"w": floats(4, 4, 1, 1), "v": floats(3, 8, 1, 1)}
    found = histogram(check(model(nodes, {"x": shape}, "y", constants)))
    assert found == {"Reshape": 2, "Transpose": 1, "Split": 1, "Conv": 2, "Concat": 1}


def halves(perm: list[int], split: tuple[int, ...], shape: tuple[int, ...], index: Any) -> Any:
    """As FastestDet: the shuffle's groups in front, one taken after the other."""
    nodes = [
        node("Reshape", "x a", "h"),
        node("Transpose", "h", "t", perm=perm),
        node("Reshape", "t b", "r"),
        node("Gather", "r i", "y"),
        node("Gather", "r j", "z"),
    ]
    constants = {"a": np.array(split), "b": np.array(shape), "i": np.array(0), "j": np.array(index)}
    return model(nodes, {"x": (1, 12, 5, 4)}, "y z", constants)


@pytest.mark.parametrize("index", [1, -1])
def test_groups_taken_from_a_shuffle_are_slices(index: int) -> None:
    canonical = check(halves([1, 0, 2], (6, 2, 20), (2, 1, 6, 5, 4), index), ["Slice", "Slice"])
    found = [[int(value.const_value.numpy()[0]) for value in step.inputs[1:]] for step in canonical.graph]
    assert found == [[0, 12, 1, 2], [1, 12, 1, 2]]


def test_other_groups_stay() -> None:
    original = halves([1, 0, 2], (4, 3, 20), (3, 1, 4, 4, 5), 2)
    assert "Transpose" in op_types(check(original))
    original = halves([0, 1, 2], (2, 6, 20), (2, 1, 6, 5, 4), 1)
    assert "Slice" not in op_types(check(original))


def test_others_stay() -> None:
    nodes, constants = shuffle("x", "y", (1, 12, 5, 4), 3)
    nodes[1].attribute[0].ints[:] = [0, 1, 2, 4, 3]
    constants["y_b"] = np.array([1, 12, 4, 5])
    assert "Transpose" in op_types(check(model(nodes, {"x": (1, 12, 5, 4)}, "y", constants)))
    nodes, constants = shuffle("x", "y", (1, 12, 5, 4), 3)
    check(model(nodes, {"x": (1, 12, 5, 4)}, "y y_2", constants))
