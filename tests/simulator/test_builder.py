"""The graph under construction: what is shared, what is forgotten."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.emit import Builder, Guard


def test_another_layout_is_one_transpose_for_all() -> None:
    builder = Builder()
    builder.place("v", "tensor", "file", 4)
    first = builder.find("v", "first")
    assert builder.find("v", "first") == first
    assert builder.find("v", "file") == "tensor"
    assert [(s.op_type, s.inputs, s.attributes) for s in builder.steps] == [
        ("Transpose", ("tensor",), {"perm": (0, 3, 1, 2)})
    ]


def test_and_back() -> None:
    builder = Builder()
    builder.place("v", "tensor", "first", 4)
    builder.find("v", "file")
    assert builder.steps[0].attributes == {"perm": (0, 2, 3, 1)}


def test_below_three_dimensions_the_layouts_are_the_same() -> None:
    builder = Builder()
    builder.place("v", "tensor", "file", 2)
    assert builder.find("v", "first") == "tensor"
    assert builder.steps == []


def test_equal_constants_are_shared_other_types_and_shapes_are_not() -> None:
    builder = Builder()
    same = [builder.constant(np.float32([1, 2])) for _ in range(2)]
    others = [builder.constant(a) for a in (np.float64([1, 2]), np.float32([[1, 2]]), np.float32([1, 3]))]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 4 == len(builder.constants)


def test_rolling_back_forgets_everything_since_the_mark() -> None:
    builder = Builder()
    kept = builder.op("Abs", "x")
    builder.place("v", kept, "file", 4)
    constant = builder.constant(np.float32(1))
    mark = builder.mark()
    gone = builder.op("Neg", kept)
    builder.place("w", gone, "file", 4)
    builder.find("v", "first")
    lost = builder.constant(np.float32(2))
    builder.guards.append(Guard("w", gone, 1.0))
    builder.rollback(mark)
    assert [step.op_type for step in builder.steps] == ["Abs"]
    assert builder.places == {("v", "file"): kept}
    assert list(builder.constants) == [constant]
    assert builder.guards == []
    assert builder.producer(gone) is None
    assert builder.producer(kept) is builder.steps[0]
    assert builder.constant(np.float32(2)) != lost
    assert builder.constant(np.float32(1)) == constant


def test_an_output_can_be_renamed() -> None:
    builder = Builder()
    names = builder.op("Split", "x", outputs=2)
    builder.rename(names[1], "y")
    assert builder.steps[0].outputs == (names[0], "y")
    assert builder.producer("y") is builder.producer(names[0]) is builder.steps[0]
    assert builder.producer(names[1]) is None
