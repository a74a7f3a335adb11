"""A bit that is turned over in one weight is found, and so is its layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.report.compare.nets import dead_net, made, pictures, with_flipped_bit
from tests.shared import shared_path
from tinsmith.program import Program
from tinsmith.report.compare import compare
from tinsmith.report.compare.table import verdict_lines

LAYERS = {"first", "depthwise", "pointwise", "strided", "gemm"}


def weights(program: Program) -> dict[str, str]:
    """By layer the name of its weights."""
    return {node.name: node.inputs[1] for node in program.nodes if node.name in LAYERS}


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "esp32"])
@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_the_layer_is_named(target: str, layer: str) -> None:
    program = made(target).program
    assert set(weights(program)) == LAYERS
    name = weights(program)[layer]
    seen = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        place = int(rng.integers(program.constants[name].data.size))
        other = with_flipped_bit(program, name, place, 6)
        found = compare(program, other, pictures(3, seed=seed))
        assert found.diverged
        (constant,) = found.constants
        assert constant.nodes == (next(node.subject for node in program.nodes if node.name == layer),)
        assert (constant.name, constant.mismatches, constant.largest) == (name, 1, 64)
        assert np.ravel_multi_index(constant.at or (), program.constants[name].shape) == place
        if found.first is not None:
            seen += 1
            assert found.first.node == layer
            assert [row.node for row in found.origins] == [layer]
            exact = tinsmith.simulate(program, {"x": pictures(3, seed=seed)}, save_all=True)[found.first.name]
            changed = tinsmith.simulate(other, {"x": pictures(3, seed=seed)}, save_all=True)[found.first.name]
            assert found.first.mismatches == int((exact != changed).sum())
            assert found.first.steps == int(np.abs(exact.astype(int) - changed.astype(int)).max())
    assert seen


def test_a_bit_without_effect_is_told_by_the_constants() -> None:
    program = dead_net().program
    node = program.nodes[-1]
    data = program.constants[node.inputs[1]].data
    quiet = 0
    for place in range(data.size):
        found = compare(program, with_flipped_bit(program, node.inputs[1], place, 5))
        if found.first is None:
            quiet += 1
            assert all(row.equal for row in found.rows)
            assert [row.nodes for row in found.constants] == [(node.subject,)]
            assert found.diverged
            text = verdict_lines(found, 0)
            assert text[-1] == "No tensor differs on these inputs, but constants do: the files are not the same model."
            assert f"read by {node.subject}: 1 of {data.size} elements differ" in text[-2]
    assert quiet == 5


def test_tolerated_differences_of_constants_do_not_count() -> None:
    program = dead_net().program
    other = with_flipped_bit(program, program.nodes[-1].inputs[1], 0, 0)
    assert compare(program, other).diverged
    found = compare(program, other, tolerance=300)
    assert len(found.constants) == 1
    assert not found.diverged


@pytest.mark.slow
def test_mobilenet(tmp_path: Path) -> None:
    path = shared_path("golden/published/esp32s3__imagenet_cls_mobilenetv2_s8_v1.espdl")
    program = tinsmith.read(path)
    rng = np.random.default_rng(7)
    convs = [node for node in program.nodes if node.op_type == "Conv"]
    for node in (convs[0], convs[len(convs) // 2], convs[-1]):
        place = int(rng.integers(program.constants[node.inputs[1]].data.size))
        other = tmp_path / "other.espdl"
        tinsmith.write(with_flipped_bit(program, node.inputs[1], place, 6), other)
        found = compare(path, other, target="esp32s3", samples=1)
        assert [row.nodes for row in found.constants] == [(node.subject,)]
        assert found.first is not None
        assert (found.first.node, len(found.origins)) == (node.name, 1)
