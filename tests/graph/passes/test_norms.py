"""LayerNormalization, RMSNormalization and LpNormalization in the spellings of exporters."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.models import check, model, node, op_types
from tinsmith.graph import canonicalize
from tinsmith.importers import load

SHAPE = (1, 6, 8)
RNG = np.random.default_rng(7)
GAMMA, BETA = RNG.normal(size=8).astype(np.float32), RNG.normal(size=8).astype(np.float32)
CONSTANTS: dict[str, Any] = {
    "g": GAMMA,
    "b": BETA,
    "two": 2.0,
    "minushalf": -0.5,
    "e5": 1e-5,
    "e3": 1e-3,
    "e6": 1e-6,
    "e12": 1e-12,
    "bessel": float(np.float32(8 / 7)),
}
LAYER = {
    "torch": "ReduceMean x m; Sub x m d; Pow d two p; ReduceMean p v; Add v e5 a; Sqrt a s; "
    "Div d s q; Mul q g z; Add z b y",
    "reciprocal of the root": "ReduceMean x m; Sub x m d; Mul d d p; ReduceMean p v; Add e5 v a; Sqrt a s; "
    "Reciprocal s r; Mul d r q; Mul g q z; Add b z y",
    "two subtractions": "ReduceMean x m; Sub x m d; Sub x m f; Mul f f p; ReduceMean p v; Add v e5 a; "
    "Pow a minushalf r; Mul d r q; Mul q g z; Add z b y",
    "tensorflow": "ReduceMean x m; Sub x m d; Mul d d p; ReduceMean p v; Add v e3 a; Sqrt a s; Reciprocal s r; "
    "Mul r g i; Mul x i w; Mul m i n; Sub b n c; Add w c y",
    "mean square less square mean": "ReduceMean x m; Mul x x w; ReduceMean w k; Mul m m n; Sub k n v; Add v e5 a; "
    "Sqrt a s; Sub x m d; Div d s q; Mul q g z; Add z b y",
    "without scale and bias": "ReduceMean x m; Sub x m d; Mul d d p; ReduceMean p v; Add v e5 a; Sqrt a s; Div d s y",
    "epsilon beside the unbiased deviation": "ReduceMean x m; Sub x m d; Mul d d p; ReduceMean p v; Mul v bessel w; "
    "Sqrt w s; Add s e6 t; Div d t q; Mul q g z; Add z b y",
    "variance bounded from below": "ReduceMean x m; Sub x m d; Mul d d p; ReduceMean p v; Max v e6 a; "
    "Sqrt a s; Div d s y",
}
RMS = {
    "llama": "Pow x two p; ReduceMean p v; Add v e6 a; Sqrt a s; Reciprocal s r; Mul x r q; Mul g q y",
    "divided": "Mul x x p; ReduceMean p v; Add v e6 a; Sqrt a s; Div x s q; Mul q g y",
    "of the sum": "ReduceSumSquare x v; Add v e3 a; Sqrt a s; Div x s y",
}
LP = {
    "torch normalize": "ReduceL2 x n; Clip n e12 c; Div x c y",
    "tensorflow l2_normalize": "Mul x x p; ReduceSum p n; Max n e12 c; Sqrt c s; Reciprocal s r; Mul x r y",
    "magnitudes": "ReduceL1 x n; Clip n e12 c; Div x c y",
    "magnitudes spelled out": "Abs x a; ReduceSum a n; Add n e12 c; Div x c y",
}


def build(text: str, axes: tuple[int, ...] = (-1,), shape: tuple[int, ...] = SHAPE, **constants: Any) -> Any:
    """A model written as `Op inputs… output; …`; reductions get the axes."""
    known = {**CONSTANTS, **constants, "axes": np.array(axes)}
    nodes = []
    for step in text.split(";"):
        op_type, *inputs, output = step.split()
        nodes.append(node(op_type, " ".join([*inputs, *(["axes"] if op_type.startswith("Reduce") else [])]), output))
    used = {name for part in nodes for name in part.input}
    return model(nodes, {"x": shape}, "y", {name: array for name, array in known.items() if name in used})


def epsilon(canonical: ir.Model) -> float:
    return float(canonical.graph[0].attributes["epsilon"].value)


@pytest.mark.parametrize("text", LAYER.values(), ids=list(LAYER))
def test_layer_normalization(text: str) -> None:
    canonical = check(build(text), ["LayerNormalization"])
    assert canonical.graph[0].attributes["axis"].value == 2
    expected = 1e-3 if "e3" in text else 1e-5 if "e5" in text else 1e-12
    assert epsilon(canonical) == pytest.approx(expected) or "Max" in text


@pytest.mark.parametrize("text", RMS.values(), ids=list(RMS))
def test_rms_normalization(text: str) -> None:
    canonical = check(build(text), ["RMSNormalization"])
    assert epsilon(canonical) == pytest.approx(1e-3 / 8 if "e3" in text else 1e-6)


@pytest.mark.parametrize("text", LP.values(), ids=list(LP))
def test_lp_normalization(text: str) -> None:
    canonical = check(build(text), ["LpNormalization"])
    assert canonical.graph[0].attributes["p"].value == (1 if "L1" in text or "Abs" in text else 2)


@pytest.mark.parametrize("text", [*LAYER.values(), *RMS.values()], ids=[*LAYER, *RMS])
def test_over_channels_behind_transposes(text: str) -> None:
    column = {"g": GAMMA.reshape(8, 1, 1), "b": BETA.reshape(8, 1, 1)}
    kind = "RMSNormalization" if text in RMS.values() else "LayerNormalization"
    check(build(text, (1,), (1, 8, 3, 5), **column), ["Transpose", kind, "Transpose"])


def test_means_written_as_pools() -> None:
    pools = LAYER["tensorflow"].replace("ReduceMean", "GlobalAveragePool")
    assert epsilon(check(build(pools), ["LayerNormalization"])) == pytest.approx(1e-3)
    plane = build(LAYER["without scale and bias"].replace("ReduceMean", "GlobalAveragePool"), shape=(1, 8, 3, 5))
    assert check(plane, ["LayerNormalization"]).graph[0].attributes["axis"].value == 2


def test_lp_over_channels_needs_no_transposes() -> None:
    check(build(LP["torch normalize"], (1,), (1, 8, 3, 5)), ["LpNormalization"])


def test_over_several_axes() -> None:
    check(build(LAYER["without scale and bias"], (1, 2)), ["LayerNormalization"])
    check(build(RMS["of the sum"], (1, 2)), ["RMSNormalization"])
    channels = {"g": RNG.normal(size=(8, 1, 1)).astype(np.float32), "b": RNG.normal(size=(8, 1, 1)).astype(np.float32)}
    found = op_types(check(build(LAYER["torch"], (2, 3), (1, 8, 3, 5), **channels)))
    assert found[0] == "LayerNormalization"
    assert not {"Sqrt", "Div", "ReduceMean"} & set(found)


def test_sums_and_dimensions_that_go_and_come_back() -> None:
    nodes = [
        node("ReduceMean", "x axis", "m", keepdims=0), node("Unsqueeze", "m axis", "n"), node("Sub", "x n", "d"),
        node("Mul", "d d", "p"), node("ReduceSum", "p axis", "v", keepdims=0), node("Mul", "v share", "w"),
        node("Add", "w e5", "a"), node("Sqrt", "a", "s"), node("Reshape", "s shape", "t"), node("Div", "d t", "y"),
    ]  # fmt: skip
    constants = {"axis": np.array([2]), "share": 1 / 8, "e5": 1e-5, "shape": np.array([1, 6, 1])}
    check(model(nodes, {"x": SHAPE}, "y", constants), ["LayerNormalization"])


def test_batch_of_one_is_no_axis() -> None:
    check(build(LAYER["without scale and bias"], (0, 2)), ["LayerNormalization"])


def test_a_bias_behind_the_mean_square_is_an_add() -> None:
    check(build(RMS["divided"][:-1] + "z; Add z b y"), ["RMSNormalization", "Add"])


def test_a_scale_behind_the_magnitudes_is_a_mul() -> None:
    check(build("ReduceL1 x n; Div x n q; Mul q g y"), ["LpNormalization", "Mul"])


@pytest.mark.parametrize(
    "text",
    [
        # Divided by the variance, by the root of a norm, by the norm of something else.
        "ReduceMean x m; Sub x m d; Mul d d p; ReduceMean p v; Add v e5 a; Div d a y",
        "ReduceL2 x n; Sqrt n s; Add s e3 t; Div x t y",
        "Exp x e; ReduceL2 e n; Div x n y",
        # The deviation of one and the mean of another.
        "Exp x e; ReduceMean e m; Sub x m d; Mul x x p; ReduceMean p v; Add v e5 a; Sqrt a s; Div d s y",
        # Far from any norm where the deviation is 1.
        "ReduceL2 x n; Add n two t; Div x t y",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert not any("Normalization" in kind for kind in op_types(check(build(text))))


def test_the_centred_part_alone_is_normalized_where_the_mean_is_used() -> None:
    text = LAYER["torch"].replace("Add z b y", "Add z m y")
    assert "LayerNormalization" in op_types(check(build(text)))


def test_parts_that_others_read_stay() -> None:
    nodes = build(LAYER["without scale and bias"])
    nodes.graph.output.extend(model([], {}, "s").graph.output)
    assert op_types(check(nodes))[-1] == "LayerNormalization"
    assert "Sqrt" in op_types(canonicalize(load(nodes)))


# Forms that agree with a norm only where not all elements are almost the same, and one that cancels in float32.
APPROXIMATE = ("epsilon beside", "variance bounded", "mean square less")


@settings(max_examples=40)
@given(
    st.sampled_from([name for name in (*LAYER, *RMS, *LP) if not name.startswith(APPROXIMATE)]),
    st.sampled_from([1e-3, 1.0, 40.0]),
    st.sampled_from([(1, 3, 5), (1, 16), (2, 3, 4, 5), (7,)]),
    st.data(),
)
def test_whatever_the_shape_and_size_it_is_computed_right(
    name: str, size: float, shape: tuple[int, ...], data: st.DataObject
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    column = [shape[axis], *(1 for _ in shape[axis + 1 :])]
    rng = np.random.default_rng(3)
    text = {**LAYER, **RMS, **LP}[name]
    scaled = "Mul x size u; " + re.sub(r"\bx\b", "u", text).replace(" bessel ", " unbiased ")
    count = max(shape[axis], 2)
    built = build(
        scaled, (axis,), shape, size=size, unbiased=count / (count - 1),
        g=rng.normal(size=column).astype(np.float32), b=rng.normal(size=column).astype(np.float32),
    )  # fmt: skip
    check(built, tolerance=1e-4)


def test_one_element_is_not_normalized() -> None:
    nodes = [node("ReduceSum", "x a", "s"), node("Log", "s", "l"), node("ReduceL2", "l a", "y")]
    canonical = check(model([node("Exp", "z", "x"), *nodes], {"z": (1, 1)}, "y", {"a": [0, 1]}))
    assert "LpNormalization" not in op_types(canonical)
