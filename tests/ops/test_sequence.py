"""ReverseSequence and StreamingCache."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, onnx_says, program_of, run, same_as_onnx
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.ops import find
from tinsmith.ops.inference import infer_shapes
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.booleans(), st.data(), WIDTHS, FAMILIES, SEEDS)
def test_reverse_sequence_is_onnx(
    shape: list[int], time_first: bool, data: st.DataObject, bits: int, target: Target, seed: int
) -> None:
    x = whole(shape, bits, np.random.default_rng(seed))
    attributes = {"batch_axis": int(time_first), "time_axis": int(not time_first)}
    batch, steps = (shape[1], shape[0]) if time_first else (shape[0], shape[1])
    lengths = np.int64([data.draw(st.integers(0, steps)) for _ in range(batch)])
    (expected,) = onnx_says("ReverseSequence", [x.astype(np.float32), lengths], attributes)
    (found,) = run(program_of("ReverseSequence", [x, lengths], attributes), target, {"x0": x})
    assert found.tolist() == expected.tolist()
    same_as_onnx("ReverseSequence", [x.astype(np.float32), lengths], attributes, target, bits=bits)


@pytest.mark.parametrize(
    ("lengths", "attributes", "message"),
    [
        ([1, 2], {}, "do not fit 3 sequences of 2 steps"),
        ([1, 2, 3], {}, "do not fit 3 sequences of 2 steps"),
        ([1, 2, -1], {}, "do not fit"),
        ([1, 1, 1], {"time_axis": 2}, "must be the first two dimensions"),
        ([1, 1, 1], {"batch_axis": 5}, "axis 5 does not exist"),
    ],
)
def test_hostile_sequences(lengths: list[int], attributes: dict[str, int], message: str) -> None:
    x = np.zeros((2, 3, 4), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("ReverseSequence", [x, np.int64(lengths)], attributes), {"x0": x}, S3)


def test_limits_of_reverse_sequence() -> None:
    assert objections(float_node("ReverseSequence", [(2, 3, 4), np.int64([1, 1, 1])], (2, 3, 4)), S3) == []
    far = float_node("ReverseSequence", [(2, 3, 4), np.int64([1, 1])], (2, 3, 4), {"batch_axis": 0, "time_axis": 2})
    assert "Transpose before and after" in objections(far, S3)[0]
    assert "computed at run time" in objections(float_node("ReverseSequence", [(2, 3), (3,)], (2, 3)), S3)[0]


def streamed(x: np.ndarray, window: int, target: Target, state: dict[str, np.ndarray], axis: int = 1) -> np.ndarray:
    program = program_of("StreamingCache", [x], {"frame_axis": axis, "window_size": window})
    return interpret(program, {"x0": x}, target, state=state)["y0"]


@given(
    st.integers(1, 5),
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.sampled_from([np.int8, np.int16, np.float32]),
    SEEDS,
)
def test_the_cache_gives_windows_over_the_whole_stream(window: int, chunks: list[int], dtype: type, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = rng.integers(-100, 100, (1, sum(chunks), 3)).astype(dtype)
    padded = np.concatenate([np.zeros((1, window - 1, 3), dtype), stream], axis=1)
    state: dict[str, np.ndarray] = {}
    at = 0
    for frames in chunks:
        found = streamed(stream[:, at : at + frames], window, P4, state)
        assert found.tolist() == padded[:, at : at + frames + window - 1].tolist()
        at += frames


def test_compiled_programs_keep_the_same_state() -> None:
    x = np.arange(6, dtype=np.int8).reshape(1, 2, 3)
    program = program_of("StreamingCache", [x], {"frame_axis": -2, "window_size": 2})
    form = compile_program(program, S3)
    assert [type(part) for part in form.parts] == [NodePart]
    state: dict[str, np.ndarray] = {}
    first, second = (form.run({"x0": x}, state=state)["y0"] for _ in range(2))
    assert first[0, 0].tolist() == [0, 0, 0]
    assert second[0, 0].tolist() == [3, 4, 5]
    assert infer_shapes(program, S3)["y0"] == (1, 3, 3)


@pytest.mark.parametrize(
    ("shape", "axis", "window", "message"),
    [
        ((2, 3, 4), 1, 3, "before frame axis 1 must be 1"),
        ((1, 3), 1, 0, "window_size 0"),
        ((1, 3), 2, 2, "axis 2"),
        ((1, 3), 1, 2**40, "fits no chip"),
    ],
)
def test_hostile_caches(shape: tuple[int, ...], axis: int, window: int, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        streamed(np.zeros(shape, np.int8), window, S3, {}, axis)


def test_the_cache_follows_the_layout() -> None:
    x = np.zeros((1, 3, 4, 2), np.float32)
    attributes = {"frame_axis": 2, "window_size": 3}
    lowered = lowered_around("StreamingCache", [x], attributes, S3, results=[np.zeros((1, 3, 6, 2), np.float32)])
    assert dict(lowered.program.nodes[-1].attributes) == {"frame_axis": 1, "quant_type": "S8", "window_size": 3}
    assert not find("StreamingCache").importable
