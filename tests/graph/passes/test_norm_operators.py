"""Normalizations the runtime lacks, as ones it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node, op_types

RNG = np.random.default_rng(11)


def vector(size: int) -> Any:
    return RNG.normal(size=size).astype(np.float32) + 1


@pytest.mark.parametrize("shape", [(1, 6, 9), (1, 6, 4, 5)])
def test_instance_normalization(shape: tuple[int, ...]) -> None:
    built = model([node("InstanceNormalization", "x g b", "y")], {"x": shape}, "y", {"g": vector(6), "b": vector(6)})
    found = op_types(check(built))
    assert found[0] == "LayerNormalization"
    assert "InstanceNormalization" not in found


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_normalization(groups: int) -> None:
    nodes = [node("GroupNormalization", "x g b", "y", num_groups=groups, epsilon=1e-3)]
    built = model(nodes, {"x": (1, 6, 4, 5)}, "y", {"g": vector(6), "b": vector(6)})
    assert "LayerNormalization" in op_types(check(built))


def test_group_normalization_of_old_exporters() -> None:
    nodes = [
        node("Reshape", "x r", "h"), node("InstanceNormalization", "h g b", "n"), node("Reshape", "n s", "m"),
        node("Mul", "m scale", "p"), node("Add", "p bias", "y"),
    ]  # fmt: skip
    constants = {
        "r": np.array([0, 2, -1]), "s": np.array([1, 6, 4, 5]), "g": np.ones(2, np.float32),
        "b": np.zeros(2, np.float32), "scale": vector(6).reshape(6, 1, 1), "bias": vector(6).reshape(6, 1, 1),
    }  # fmt: skip
    found = op_types(check(model(nodes, {"x": (1, 6, 4, 5)}, "y", constants)))
    assert found == ["Reshape", "LayerNormalization", "Reshape", "Conv"]


@pytest.mark.parametrize("axes", [None, [1], [2, 3], [-1]])
def test_mean_variance_normalization(axes: list[int] | None) -> None:
    attributes = {} if axes is None else {"axes": axes}
    built = model([node("MeanVarianceNormalization", "x", "y", **attributes)], {"x": (1, 6, 4, 5)}, "y")
    assert "LayerNormalization" in op_types(check(built))


@pytest.mark.parametrize("size", [1, 3, 9])
def test_local_response_normalization(size: int) -> None:
    built = model([node("LRN", "x", "y", size=size, alpha=0.5, beta=0.75, bias=1.5)], {"x": (1, 6, 4, 5)}, "y")
    check(built, ["Mul", "Conv", "Pow", "Mul"])


def test_constants_behind_a_layer_normalization_go_into_it() -> None:
    nodes = [
        node("LayerNormalization", "x g b", "n"), node("Mul", "n c", "m"), node("Sub", "m d", "y"),
    ]  # fmt: skip
    constants = {"g": vector(8), "b": vector(8), "c": vector(8), "d": vector(8)}
    check(model(nodes, {"x": (1, 6, 8)}, "y", constants), ["LayerNormalization"])
    nodes = [node("LayerNormalization", "x g", "n"), node("Add", "n c", "y")]
    canonical = check(model(nodes, {"x": (1, 6, 8)}, "y", {"g": vector(8), "c": 0.5}), ["LayerNormalization"])
    assert len(canonical.graph[0].inputs) == 3


def test_constants_along_other_axes_stay() -> None:
    nodes = [node("LayerNormalization", "x g", "n"), node("Mul", "n c", "y")]
    constants = {"g": vector(8), "c": vector(6).reshape(6, 1)}
    check(model(nodes, {"x": (1, 6, 8)}, "y", constants), ["LayerNormalization", "Mul"])


@pytest.mark.parametrize("op_type", ["LayerNormalization", "RMSNormalization"])
def test_parameters_are_written_in_full(op_type: str) -> None:
    nodes = [node(op_type, "x g", "y", axis=1)]
    canonical = check(model(nodes, {"x": (1, 6, 8)}, "y", {"g": vector(8)}), [op_type])
    assert canonical.graph[0].inputs[1].shape == (6, 8)


@pytest.mark.parametrize(
    ("op_type", "attributes"), [("InstanceNormalization", {}), ("GroupNormalization", {"num_groups": 3})]
)
def test_several_samples_and_computed_parameters(op_type: str, attributes: dict[str, int]) -> None:
    nodes = [node(op_type, "x g b", "y", **attributes)]
    parameters = {"g": vector(6), "b": vector(6)}
    found = op_types(check(model(nodes, {"x": (2, 6, 9, 2)}, "y", parameters)))
    assert "LayerNormalization" in found
    assert "Conv" not in found
    found = op_types(check(model(nodes, {"x": (1, 6, 9), "g": (6,), "b": (6,)}, "y")))
    assert "LayerNormalization" in found


@pytest.mark.parametrize("outputs", ["y m", "y m d", "y _ d"])
def test_mean_and_deviation_are_computed_beside(outputs: str) -> None:
    nodes = [node("LayerNormalization", "x g", outputs, axis=1, epsilon=1e-3)]
    built = model(nodes, {"x": (1, 6, 8)}, outputs.replace("_ ", ""), {"g": np.ones((6, 8), np.float32)})
    canonical = check(built)
    assert {"LayerNormalization", "ReduceMean"} <= set(op_types(canonical))
    assert all(len(step.outputs) == 1 for step in canonical.graph)


def test_batch_normalization_with_computed_numbers() -> None:
    nodes = [node("Abs", "v", "w"), node("BatchNormalization", "x g b m w", "y")]
    built = model(nodes, {"x": (1, 6, 4, 5), "g": (6,), "v": (6,), "b": (6,)}, "y", {"m": vector(6)})
    assert "BatchNormalization" not in op_types(check(built))
