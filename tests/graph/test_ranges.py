from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.models import model, node
from tinsmith.graph import canonicalize
from tinsmith.graph.ranges import attach, ranges_of
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
