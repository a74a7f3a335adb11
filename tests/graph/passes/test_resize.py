from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tests.graph.passes.test_pools import refused
from tinsmith.errors import UnsupportedError
from tinsmith.graph import canonicalize
from tinsmith.importers import load

COORDINATES = "coordinate_transformation_mode"
MODES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
FACTORS = st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 0.25, 1.3, 1 / 3])


def resize(
    shape: tuple[int, ...],
    *,
    scales: list[float] | None = None,
    sizes: list[int] | None = None,
    roi: list[float] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    constants: dict[str, Any] = {"r": roi, "k": scales, "z": sizes}
    names = " ".join(name if constants[name] is not None else "_" for name in "rkz").rstrip(" _")
    found = {name: np.float32(v) if name != "z" else np.int64(v) for name, v in constants.items() if v is not None}
    nodes = [node("Tanh", "x", "h"), node("Resize", f"h {names}", "y", name="resize", **attributes)]
    return model(nodes, {"x": shape}, "y", found)


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.tuples(st.integers(1, 7), st.integers(1, 7)), factors=st.tuples(FACTORS, FACTORS), by_size=st.booleans(),
    coordinates=st.sampled_from(MODES), rounding=st.sampled_from(ROUNDINGS),
    mode=st.sampled_from(["nearest", "linear", "cubic"]), outside=st.booleans(), channels=st.sampled_from([1, 3]),
)  # fmt: skip
def test_every_mode(
    lengths: tuple[int, int], factors: tuple[float, float], by_size: bool, coordinates: str, rounding: str, mode: str,
    outside: bool, channels: int,
) -> None:  # fmt: skip
    results = [int(np.float32(n) * np.float32(f)) for n, f in zip(lengths, factors, strict=True)]
    assume(min(results) > 0)
    # Where nothing changes ONNX Runtime copies.
    assume(tuple(results) != lengths)
    if mode == "nearest" and coordinates == "half_pixel_symmetric":
        # Whether such a position is just below a whole number depends on the order of its float operations.
        assume(all(f * 4 == int(f * 4) for f in factors) and not by_size)
    given_size: dict[str, Any] = {"sizes": [1, channels, *results]} if by_size else {"scales": [1, 1, *factors]}
    attributes: dict[str, Any] = {COORDINATES: coordinates, "mode": mode}
    attributes |= {"nearest_mode": rounding} if mode == "nearest" else {}
    attributes |= {"exclude_outside": 1} if mode == "cubic" and outside else {}
    canonical = check(resize((1, channels, *lengths), **given_size, **attributes), tolerance=2e-5)
    assert refused(canonical) == []


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.tuples(st.integers(2, 9), st.integers(2, 9)), factors=st.tuples(FACTORS, FACTORS),
    mode=st.sampled_from(["linear", "cubic"]), outside=st.integers(0, 1),
)  # fmt: skip
def test_antialias(lengths: tuple[int, int], factors: tuple[float, float], mode: str, outside: int) -> None:
    results = [int(np.float32(n) * np.float32(f)) for n, f in zip(lengths, factors, strict=True)]
    assume(min(results) > 0 and tuple(results) != lengths)
    original = resize((1, 2, *lengths), scales=[1, 1, *factors], mode=mode, antialias=1, exclude_outside=outside)
    assert refused(check(original, tolerance=2e-5)) == []


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((1, 3, 4, 5), {"scales": [1, 1, 2, 2], "mode": "nearest"}, ["Resize"]),
        ((1, 3, 4), {"scales": [1, 1, 3], "mode": "nearest"}, ["Resize"]),
        ((1, 3, 4, 5), {"scales": [1, 1, 2, 2], "mode": "linear"}, ["Resize"]),
        ((1, 3, 4, 5), {"scales": [1, 1, 2, 2], "mode": "linear", COORDINATES: "pytorch_half_pixel"}, ["Resize"]),
        ((1, 3, 4, 6), {"scales": [1, 1, 0.5, 0.5], "mode": "nearest", "nearest_mode": "ceil"}, ["Slice", "Slice"]),
        ((1, 3, 4, 6), {"scales": [1, 1, 0.5, 0.5], "mode": "linear", COORDINATES: "asymmetric"}, ["Resize"]),
        ((1, 3, 5, 5), {"sizes": [1, 3, 3, 5], "mode": "nearest", "nearest_mode": "ceil"}, ["Gather"]),
        ((1, 6, 4, 5), {"scales": [1, 0.5, 1, 1], "mode": "nearest"}, ["Slice"]),
        ((1, 3, 4, 5), {"scales": [1, 1, 1.2, 1], "mode": "nearest"}, []),
        ((1, 3, 1, 5), {"scales": [1, 1, 2, 1], "mode": "linear"}, ["Resize"]),
        (
            (1, 3, 4, 5),
            {"scales": [1, 1, 1, 2], "mode": "cubic"},
            ["Pad", "Conv", "Conv", "Concat", "Transpose", "Reshape", "Transpose"],
        ),
        (
            (1, 3, 4, 5),
            {"scales": [1, 1, 2, 1], "mode": "linear", COORDINATES: "asymmetric"},
            ["Pad", "Conv", "Conv", "Concat", "Transpose", "Reshape", "Transpose"],
        ),
    ],
)
def test_what_becomes_of_it(shape: tuple[int, ...], options: dict[str, Any], expected: list[str]) -> None:
    canonical = check(resize(shape, **options), ["Tanh", *expected])
    assert refused(canonical) == []


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((1, 3, 2, 4, 5), {"scales": [1, 1, 2, 2, 2], "mode": "nearest"}, {"Gather": 3}),
        ((4, 5), {"scales": [1, 2], "mode": "linear"}, {"Gemm": 1}),
        ((1, 3, 4, 5), {"sizes": [1, 3, 4, 8], "mode": "cubic"}, {"Gemm": 1}),
        ((1, 3, 4, 5), {"sizes": [1, 3, 7, 8], "mode": "cubic"}, {"Gemm": 2}),
        ((1, 3, 2, 4, 5), {"sizes": [1, 3, 2, 4, 8], "mode": "linear"}, {"Gemm": 1}),
    ],
)
def test_what_computes(shape: tuple[int, ...], options: dict[str, Any], expected: dict[str, int]) -> None:
    """Behind whatever brings the dimensions into place."""
    canonical = check(resize(shape, **options))
    found = ["Gemm" if kind == "MatMul" else kind for kind in op_types(canonical)]
    assert {kind: found.count(kind) for kind in ("Gather", "Gemm", "Resize") if kind in found} == expected
    assert refused(canonical) == []


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    ("roi", "sizes"), [([0.25, 0.1, 0.75, 0.9], [3, 4]), ([0, 0, 1, 1], [6, 9]), ([-0.2, 0.4, 0.6, 1.2], [3, 1])]
)
def test_regions(mode: str, roi: list[float], sizes: list[int]) -> None:
    full = [0, 0, *roi[:2], 1, 1, *roi[2:]]
    original = resize((1, 2, 5, 6), sizes=[1, 2, *sizes], roi=full, mode=mode, **{COORDINATES: "tf_crop_and_resize"})
    assert refused(check(original, tolerance=2e-5)) == []


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("sizes", [[7, 8], [3, 9], [1, 3]])
def test_ratios(policy: str, mode: str, sizes: list[int]) -> None:
    original = resize((1, 2, 2, 4), sizes=sizes, mode=mode, axes=[2, 3], keep_aspect_ratio_policy=policy)
    assert refused(check(original, tolerance=2e-5)) == []


@pytest.mark.parametrize("opset", [7, 9])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(opset: int, mode: str) -> None:
    scales = np.float32([1, 1, 2, 3])
    layer = node("Upsample", "x" if opset == 7 else "x k", "y", mode=mode)
    if opset == 7:
        layer.attribute.append(onnx.helper.make_attribute("scales", scales.tolist()))
    constants = {"k": scales} if opset == 9 else {}
    canonical = check(model([layer], {"x": (1, 3, 4, 5)}, "y", constants, opset=opset, ir_version=7))
    assert refused(canonical) == []
    assert mode == "linear" or op_types(canonical) == ["Resize"]


@pytest.mark.parametrize(("mode", "factor"), [("nearest", 2.0), ("linear", 3.0), ("nearest", 0.5)])
def test_resize_of_opset_10(mode: str, factor: float) -> None:
    layer = node("Resize", "x k", "y", mode=mode)
    original = model([layer], {"x": (1, 3, 4, 6)}, "y", {"k": np.float32([1, 1, factor, factor])}, opset=10)
    assert refused(check(original)) == []


@pytest.mark.parametrize("options", [{"scales": [1, 2, 3, 1]}, {"sizes": [1, 8, 7, 3], "mode": "linear"}])
def test_channels_last(options: dict[str, Any]) -> None:
    canonical = check(resize((1, 4, 5, 3), **options))
    assert sorted(op_types(canonical)) == ["Resize", "Tanh", "Transpose", "Transpose"]
    assert "resize" in [step.name for step in canonical.graph if step.op_type == "Resize"]
    assert refused(canonical) == []
    check(resize((1, 4, 3), scales=[1, 2, 1], mode="nearest"))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("roi", [[-1, 0, 2, 1], [0.2, -0.5, 0.7, 1.5], [-0.5, -0.5, 1.5, 1.2]])
def test_what_is_outside_has_a_value_of_its_own(mode: str, roi: list[float]) -> None:
    crop: dict[str, Any] = {COORDINATES: "tf_crop_and_resize", "extrapolation_value": 3.0, "mode": mode}
    original = resize((1, 2, 5, 6), sizes=[1, 2, 6, 5], roi=[0, 0, *roi[:2], 1, 1, *roi[2:]], **crop)
    assert refused(check(original, tolerance=2e-5)) == []


def test_a_region_that_is_computed_is_refused() -> None:
    layer = node("Resize", "x r _ z", "y", mode="linear", **{COORDINATES: "tf_crop_and_resize"})
    original = model([layer], {"x": (1, 2, 5, 6), "r": (8,)}, "y", {"z": np.int64([1, 2, 3, 3])})
    with pytest.raises(UnsupportedError, match="depends on what the network is fed with"):
        canonicalize(load(original))


@pytest.mark.parametrize("mode", ["floor", "ceil"])
@pytest.mark.parametrize(("length", "result"), [(8, 24), (7, 20), (13, 35)])
def test_aligned_corners_end_at_the_last_element(mode: str, length: int, result: int) -> None:
    resize = node("Resize", "x _ _ s", "y", coordinate_transformation_mode="align_corners", nearest_mode=mode)
    check(model([resize], {"x": (1, 2, length)}, "y", {"s": [1, 2, result]}))
