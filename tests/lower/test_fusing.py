"""Which activations the chip computes inside the node before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import P4, S3, C, Net, kinds
from tinsmith.quant.format import Format
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target


def clipped(low: float | None, high: float | None, op_type: str = "Clip") -> Net:
    """x → Conv → a → Clip → y."""
    net = Net()
    net.conv(net.input("x", 1, 3, 2, 2), "a", 8)
    limits = ["" if v is None else net.const(n, v) for n, v in (("low", low), ("high", high))]
    net.add(op_type, ["a", *limits] if op_type == "Clip" else ["a"], "y")
    return net


def test_a_relu_fuses_and_gives_its_name() -> None:
    found = clipped(None, None, "Relu").lowered("y")
    assert [(n.op_type, n.name, n.outputs, n.attributes["activation"]) for n in found.program.nodes] == [
        ("Conv", "A", ("y",), "Relu")
    ]
    assert "a" not in found.program.values


def test_nothing_to_fuse() -> None:
    net = Net()
    net.conv(net.input("x", 1, 3, 2, 2), "y", 8)
    (node,) = net.lowered("y").program.nodes
    assert node.attributes["activation"] == "Linear"


@pytest.mark.parametrize("op_type", ["Gemm", "MatMul"])
def test_matrix_products_fuse_too(op_type: str) -> None:
    net = Net()
    net.add(op_type, [net.input("x", 1, 4), net.const("w", np.eye(4))], "a")
    net.add("Relu", ["a"], "y")
    (node,) = net.lowered("y").program.nodes
    assert (node.op_type, node.attributes["activation"]) == (op_type, "Relu")


@pytest.mark.parametrize("op_type", ["Relu", "Clip"])
def test_what_others_read_is_not_fused(op_type: str) -> None:
    net = clipped(0, None, op_type)
    net.add("Sigmoid", ["a"], "other")
    assert kinds(net.lowered("y", "other")) == ["Conv", op_type, "Sigmoid"]


@pytest.mark.parametrize("op_type", ["Relu", "Clip"])
def test_what_leaves_the_graph_is_not_fused(op_type: str) -> None:
    assert kinds(clipped(0, None, op_type).lowered("a", "y")) == ["Conv", op_type]


@pytest.mark.parametrize(
    ("low", "high", "fuses"),
    [(0, None, True), (0, 127, True), (0, 1000, True), (0, 126.9, False), (None, None, False), (-1, 127, False)],
)
def test_a_clip_fuses_where_saturation_does_the_rest(low: float | None, high: float | None, fuses: bool) -> None:
    assert kinds(clipped(low, high).lowered("y")) == (["Conv"] if fuses else ["Conv", "Clip"])


@given(
    exponent=st.integers(-6, 2),
    high=st.sampled_from([0.5, 1.0, 6.0, 127.0, 254.0, 500.0]),
    bits=st.sampled_from([8, 16]),
    target=st.sampled_from([S3, P4, C]),
    seed=st.integers(0, 2**32 - 1),
)
def test_fused_or_not_the_integers_are_the_same(
    exponent: int, high: float, bits: int, target: Target, seed: int
) -> None:
    """As a graph output the Conv keeps its Clip beside it; alone it may take it in."""
    net = clipped(0, high)
    weights = Format(bits, (-6,))
    formats = net.formats(
        bits=bits, x=exponent, a=exponent, y=exponent, uses={("A", 1): weights}, low=exponent, high=exponent
    )
    widths = {node.name: bits for node in net.nodes}
    apart, fused = (
        net.lowered(*outputs, target=target, formats=formats, bits=widths).program for outputs in (("a", "y"), ("y",))
    )
    largest = (2 ** (bits - 1) - 1) * 2.0**exponent
    assert len(apart.nodes) == 2
    assert len(fused.nodes) == (1 if high >= largest else 2)
    limit = 2 ** (bits - 1)
    x = np.random.default_rng(seed).integers(-limit, limit, (1, 2, 2, 3)).astype(f"int{bits}")
    assert np.array_equal(interpret(apart, {"x": x}, target)["y"], interpret(fused, {"x": x}, target)["y"])
