"""Which operators take their input's memory: a fact about the runtime, held to its list."""

from __future__ import annotations

import pytest

from tinsmith.ops import operators
from tinsmith.ops.base import Operator, Reuse
from tinsmith.ops.call import Call

OWN = {
    "AveragePool",
    "Concat",
    "Conv",
    "DepthToSpace",
    "Div",
    "GRU",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "InsertZeros",
    "LSTM",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "Pow",
    "Resize",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "StreamingCache",
    "Sub",
    "Transpose",
}
CLEAN = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


@pytest.mark.parametrize("name", operators())
def test_operators_reuse_memory_as_the_runtime_says(name: str) -> None:
    expected = Reuse.NONE if name in OWN else Reuse.CLEAN if name in CLEAN else Reuse.DIRTY
    assert operators()[name].reuse is expected


def test_the_lists_name_operators_that_exist() -> None:
    assert operators().keys() >= OWN | CLEAN


def test_an_operator_overwrites_its_input_unless_it_says_otherwise() -> None:
    def compute(call: Call) -> list[object]:
        raise NotImplementedError

    assert Operator("New", compute).reuse is Reuse.DIRTY  # type: ignore[arg-type]
