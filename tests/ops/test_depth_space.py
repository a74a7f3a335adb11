"""DepthToSpace and SpaceToDepth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import onnx_says, program_of, run, same_as_onnx, types_of
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

SIZES = st.integers(1, 3)
SEEDS = st.integers(0, 2**32 - 1)


@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(["DCR", "CRD"]), WIDTHS, FAMILIES, SEEDS)
def test_depth_to_space_is_onnx(
    h: int, w: int, c: int, b: int, mode: str, bits: int, target: Target, seed: int
) -> None:
    x = whole((2, h, w, c * b * b), bits, np.random.default_rng(seed))
    attributes = {"blocksize": b, "mode": mode}
    (expected,) = onnx_says("DepthToSpace", [x.astype(np.float32).transpose(0, 3, 1, 2)], attributes)
    (found,) = run(program_of("DepthToSpace", [x], attributes), target, {"x0": x})
    assert found.tolist() == expected.transpose(0, 2, 3, 1).tolist()


@given(SIZES, SIZES, SIZES, SIZES, WIDTHS, FAMILIES, SEEDS)
def test_space_to_depth_undoes_the_runtimes_depth_to_space_of_channels_first(
    h: int, w: int, c: int, b: int, bits: int, target: Target, seed: int
) -> None:
    x = whole((1, h, w, c * b * b), bits, np.random.default_rng(seed))
    (spread,) = run(program_of("DepthToSpace", [x], {"blocksize": b, "mode": "CRD"}), target, {"x0": x})
    (found,) = run(program_of("SpaceToDepth", [spread], {"blocksize": b}), target, {"x0": spread})
    assert found.tolist() == x.tolist()


@given(SIZES, SIZES, SIZES, SIZES)
def test_lowered_space_to_depth_is_onnx(h: int, w: int, c: int, b: int) -> None:
    x = (np.arange(h * w * c * b * b) % 250 - 125).astype(np.float32).reshape(1, c, h * b, w * b)
    lowered = same_as_onnx("SpaceToDepth", [x], {"blocksize": b}, P4)
    assert types_of(lowered) == (["SpaceToDepth"] if c == 1 else ["Reshape", "Transpose", "Reshape"])


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_lowered_depth_to_space_is_onnx(mode: str) -> None:
    x = np.arange(96, dtype=np.float32).reshape(1, 8, 3, 4)
    lowered = same_as_onnx("DepthToSpace", [x], {"blocksize": 2, "mode": mode}, P4)
    assert [node.op_type for node in lowered.program.nodes] == ["DepthToSpace", "DepthToSpace"]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.bool_, np.int64])
@pytest.mark.parametrize("op_type", ["DepthToSpace", "SpaceToDepth"])
def test_every_type_moves(dtype: type, op_type: str) -> None:
    x = np.arange(16).reshape(1, 2, 2, 4).astype(dtype)
    (found,) = run(program_of(op_type, [x], {"blocksize": 2}), P4, {"x0": x})
    assert found.dtype == dtype
    assert sorted(found.ravel().tolist()) == sorted(x.ravel().tolist())


@pytest.mark.parametrize(
    ("op_type", "shape", "attributes", "message"),
    [
        ("DepthToSpace", (1, 2, 2, 6), {"blocksize": 2}, "6 channels, blocksize 2"),
        ("DepthToSpace", (1, 2, 2, 4), {"blocksize": 2, "mode": "XYZ"}, "'XYZ'"),
        ("DepthToSpace", (1, 2, 2, 4), {}, "blocksize 0"),
        ("SpaceToDepth", (1, 3, 2, 4), {"blocksize": 2}, "3 × 2 is no multiple of blocksize 2"),
        ("SpaceToDepth", (2, 2, 4), {"blocksize": 2}, "four dimensions"),
    ],
)
def test_hostile_blocks(op_type: str, shape: tuple[int, ...], attributes: dict[str, object], message: str) -> None:
    x = np.zeros(shape, np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of(op_type, [x], attributes), {"x0": x}, S3)


@pytest.mark.parametrize(
    ("op_type", "shape", "fits"),
    [
        ("DepthToSpace", (1, 8, 3, 3), True),
        ("DepthToSpace", (1, 6, 3, 3), False),
        ("SpaceToDepth", (1, 3, 4, 2), True),
        ("SpaceToDepth", (1, 3, 4, 3), False),
        ("SpaceToDepth", (3, 4, 2), False),
    ],
)
def test_limits(op_type: str, shape: tuple[int, ...], fits: bool) -> None:
    found = objections(float_node(op_type, [shape], (1,), {"blocksize": 2}), S3)
    assert found == [] if fits else "Pad the tensor first" in found[0]
