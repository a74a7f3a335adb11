from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.models import model, node
from tinsmith.graph import Runner, canonicalize
from tinsmith.graph.ranges import attach, check, ranges_of
from tinsmith.importers import load


def small() -> ir.Model:
    nodes = [node("Mul", "x two", "h"), node("Identity", "h", "i"), node("Tanh", "i", "y")]
    return load(model(nodes, {"x": (1, 3)}, "y", {"two": 2.0}))


def test_ranges_survive_copies_files_and_rewrites() -> None:
    source = small()
    attach(source, {"x": (-1.0, 0.1 + 0.2), "y": (0.0, 1.0)})
    expected = {"x": (-1.0, 0.1 + 0.2), "y": (0.0, 1.0)}
    assert ranges_of(source.clone()) == expected
    assert ranges_of(canonicalize(source)) == expected
    assert ranges_of(load(ir.to_proto(canonicalize(source)).SerializeToString())) == expected


def test_a_range_goes_with_its_value() -> None:
    source = small()
    attach(source, {"x": (-1.0, 1.0), "i": (0.0, 1.0), "nothing": (0.0, 1.0)})
    assert set(ranges_of(source)) == {"x", "i"}
    assert set(ranges_of(canonicalize(source))) == {"x"}


def test_two_ranges_of_a_value_are_one_that_holds_both() -> None:
    source = small()
    attach(source, {"x": (-1.0, 1.0)})
    attach(source, {"x": (0.0, 2.0), "y": (0.0, 1.0)})
    assert ranges_of(source) == {"x": (-1.0, 2.0), "y": (0.0, 1.0)}


@pytest.mark.parametrize("limits", [(np.nan, 1.0), (0.0, np.inf), (1.0, 0.0), (0.0, 1e300)])
def test_what_is_no_range_is_left_out(limits: tuple[float, float]) -> None:
    source = small()
    attach(source, {"x": limits})
    assert ranges_of(source) == {}


@pytest.mark.parametrize("text", ["", "[]", "3", '{"x": 1}', '{"x": ["a", "b"]}', "{", '{"x": [0]}'])
def test_foreign_metadata_count_as_absent(text: str) -> None:
    source = small()
    source.metadata_props["tinsmith.ranges"] = text
    assert ranges_of(source) == {}


def test_a_range_follows_a_factor_that_moves() -> None:
    """The Mul goes into the weights, in front of the Reshape, whose name stays."""
    nodes = [
        node("MatMul", "x w", "m"), node("Reshape", "m s", "r"), node("Mul", "r k", "q"),
        node("Transpose", "q", "t", perm=[0, 2, 1]), node("MatMul", "q t", "y"),
    ]  # fmt: skip
    weights = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    source = load(model(nodes, {"x": (3, 4)}, "y", {"w": weights, "s": [3, 3, 2], "k": 3.0}))
    attach(source, {"m": (-1.0, 2.0), "r": (-1.0, 2.0), "q": (-3.0, 6.0)})
    canonical = canonicalize(source)
    feeds = {"x": np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)}
    for name, (low, high) in ranges_of(canonical).items():
        before, after = (Runner(one, [name])(feeds)[name] for one in (source, canonical))
        factor = np.abs(after).max() / np.abs(before).max()
        expected = {"m": (-1.0, 2.0), "r": (-1.0, 2.0), "q": (-3.0, 6.0)}[name]
        assert (low, high) == pytest.approx((expected[0] * factor, expected[1] * factor), rel=1e-3)


def test_a_range_of_other_numbers_is_dropped() -> None:
    before = load(model([node("Exp", "x", "h"), node("Exp", "h", "y")], {"x": (1, 3)}, "y"))
    after = load(model([node("Tanh", "x", "h"), node("Exp", "h", "y")], {"x": (1, 3)}, "y"))
    for one in (before, after):
        attach(one, {"x": (-1.0, 1.0), "h": (0.0, 3.0)})
    check(before, after)
    assert ranges_of(after) == {"x": (-1.0, 1.0)}
