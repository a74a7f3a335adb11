from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.graph.models import check, model, node, value
from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import canonicalize
from tinsmith.graph.edit import shape_of
from tinsmith.importers import load


def relu(*shape: int | str | None) -> onnx.ModelProto:
    return model([node("Relu", "x", "y")], {"x": shape}, "y")


def frozen(*shape: int | str | None, **options: Any) -> tuple[int, ...]:
    return shape_of(check(relu(*shape), **options).graph.inputs[0])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("N", 3, 8, 8), (1, 3, 8, 8)),
        ((None, 3), (1, 3)),
        ((-1, 3), (1, 3)),
        (("unk__6", 3), (1, 3)),
        (("s0", 3), (1, 3)),
        ((4, 3), (4, 3)),
        ((7, "batch_size", 3), (7, 1, 3)),
        ((), ()),
        (("N", 3, "N"), (1, 3, 1)),
    ],
)
def test_the_batch_becomes_one(shape: tuple[Any, ...], expected: tuple[int, ...]) -> None:
    assert frozen(*shape) == expected


@pytest.mark.parametrize(
    ("shape", "given", "expected"),
    [
        (("N", 3, "H", "W"), (1, 3, 96, 64), (1, 3, 96, 64)),
        (("N", 3, None, 8), (1, 3, 16, 8), (1, 3, 16, 8)),
        ((None, None), (2, 5), (2, 5)),
    ],
)
def test_given_shapes_win(shape: tuple[Any, ...], given: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert frozen(*shape, input_shapes={"x": given}) == expected


def test_numbers_of_the_file_can_be_changed() -> None:
    canonical = canonicalize(load(relu("N", 3, 8, 8)), input_shapes={"x": (1, 3, 16, 16)})
    assert shape_of(canonical.graph.outputs[0]) == (1, 3, 16, 16)


def test_names_of_dimensions_bind_across_inputs() -> None:
    original = model([node("Add", "a b", "y")], {"a": ("N", "H", 4), "b": ("N", "H", 4)}, "y")
    canonical = check(original, input_shapes={"b": (1, 5, 4)})
    assert [shape_of(item) for item in canonical.graph.inputs] == [(1, 5, 4), (1, 5, 4)]


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        (("N", 3, "height", 8), None, r"'x': dimension 2 of the input \(height\) is open.*--input-shape x=1,3,96,8\."),
        (("N", 3, None, 8), None, r"dimension 2 of the input \(unnamed\) is open"),
        (("seq_len", "N", 8), None, r"dimension 0 of the input \(seq_len\) is open.*--input-shape x=96,1,8\."),
        (("seq_len", 8), None, r"dimension 0 of the input \(seq_len\) is open"),
        ((0, 3), None, r"'x': dimension 0 of the input is 0"),
        (None, None, r"'x': the shape of the input is not in the file.*--input-shape x=1,3,96,96"),
        (("N", 3), (1, 3, 8), r"--input-shape x: the shape 1×3×8 has 3 dimensions, the input has 2: N×3"),
        (("N", 3), (0, 3), r"--input-shape x: the shape 0×3 has a dimension below 1"),
        (("N", "N"), (1, 2), r"--input-shape x: dimension 'N' would be both 1 and 2"),
    ],
)
def test_messages(shape: Any, given: Any, message: str) -> None:
    original = model([node("Relu", "x", "y")], [value("x", shape)], "y")
    with pytest.raises(ModelError, match=message):
        canonicalize(load(original), input_shapes=None if given is None else {"x": given})


def test_unknown_inputs_are_named() -> None:
    with pytest.raises(ModelError, match=r"--input-shape: the model has no input 'z'\. Its inputs: x\."):
        canonicalize(load(relu("N", 3)), input_shapes={"z": (1, 3)})


def test_a_shape_the_network_does_not_fit() -> None:
    nodes = [node("Reshape", "x s", "h"), node("Gemm", "h w", "y", "product")]
    original = model(nodes, {"x": ("N", 3, "H", "W")}, "y", {"s": [-1, 48], "w": np.ones((48, 2), np.float32)})
    check(original, input_shapes={"x": (1, 3, 4, 4)})
    with pytest.raises(ModelError, match=r"does not run with these inputs \(x 1×3×5×5\).*--input-shape"):
        canonicalize(load(original), input_shapes={"x": (1, 3, 5, 5)})


def test_inputs_that_are_no_tensors() -> None:
    sequence = helper.make_tensor_sequence_value_info("x", onnx.TensorProto.FLOAT, [1, 3])
    original = model([node("SequenceAt", "x i", "y")], [sequence], "y", {"i": 0})
    with pytest.raises(UnsupportedError, match="'x': the input is not a tensor"):
        canonicalize(load(original))
