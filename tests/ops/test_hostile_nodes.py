"""Nodes as no exporter writes them: whatever a file says, the answer is a result or an error that names the node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import program_of
from tests.ops.one_node import FAMILIES
from tinsmith.errors import TinsmithError
from tinsmith.program import DType, Program
from tinsmith.simulator.compiled import compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

ATTRIBUTES: dict[str, list[str]] = {
    "Concat": ["axis"],
    "Split": ["axis", "num_outputs"],
    "Slice": [],
    "Pad": ["mode"],
    "Reshape": ["allowzero"],
    "Flatten": ["axis"],
    "Transpose": ["perm"],
    "Squeeze": [],
    "Unsqueeze": [],
    "Gather": ["axis"],
    "DepthToSpace": ["blocksize", "mode"],
    "SpaceToDepth": ["blocksize"],
    "Identity": [],
    "ReverseSequence": ["batch_axis", "time_axis"],
    "ScatterND": ["reduction"],
    "StreamingCache": ["frame_axis", "window_size"],
    "Softmax": ["axis"],
    "LogSoftmax": ["axis"],
    "ReduceMean": ["keepdims"],
    "ReduceSum": ["keepdims"],
    "ReduceProd": ["keepdims"],
    "ReduceL2": ["keepdims"],
    "ReduceMax": ["keepdims"],
    "LayerNormalization": ["axis", "epsilon"],
    "RMSNormalization": ["axis", "epsilon"],
    "LpNormalization": ["axis", "p"],
    "GRU": ["hidden_size", "direction", "linear_before_reset", "gate_exponent", "layout"],
    "LSTM": ["hidden_size", "direction", "input_forget", "gate_exponent", "layout"],
}
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([-(2**63), 2**63 - 1, 1.5, float("nan"), "edge", "reflect", "add", "bidirectional", "", "CRD"]),
    st.lists(st.integers(-3, 3), max_size=4).map(tuple),
)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    dtype = draw(st.sampled_from([np.int8, np.int16, np.int64, np.float32, np.bool_]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return rng.integers(-4, 5, shape).astype(dtype)


def run(program: Program, x: np.ndarray, target: Target) -> str:
    """What went wrong, said on purpose; empty where both forms gave the same result."""
    try:
        expected = interpret(program, {"x0": x}, target)
        violations(program, target)
        found = compile_program(program, target).run({"x0": x})
    except TinsmithError as error:
        return str(error)
    for value in program.outputs:
        np.testing.assert_array_equal(found[value.name], expected[value.name])
    return ""


@pytest.mark.parametrize("op_type", ATTRIBUTES)
@given(
    data=st.data(),
    inputs=st.lists(arrays(), max_size=6),
    outputs=st.integers(1, 3),
    dtype=st.sampled_from([DType.INT8, DType.INT16, DType.FLOAT, DType.INT64]),
    exponents=st.tuples(*[st.one_of(st.integers(-20, 10), st.sampled_from([-1023, 1023]))] * 2),
    target=FAMILIES,
)
def test_a_result_or_an_error_that_names_the_node(
    op_type: str,
    data: st.DataObject,
    inputs: list[np.ndarray | None],
    outputs: int,
    dtype: DType,
    exponents: tuple[int, int],
    target: Target,
) -> None:
    shape = data.draw(st.lists(st.integers(1, 3), max_size=5))
    x = np.ones(shape, np.int8 if dtype is DType.INT64 else dtype.numpy)
    attributes = {name: data.draw(VALUES) for name in ATTRIBUTES[op_type] if data.draw(st.booleans())}
    program = program_of(op_type, [x, *inputs], attributes, outputs=outputs, dtype=dtype, exponents=exponents)
    outcome = run(program, x, target)
    assert outcome == "" or op_type in outcome
