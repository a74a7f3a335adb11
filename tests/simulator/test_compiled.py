"""The compiled form: which parts it has, what guards do, and that it is made once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.simulator.programs import node, program, value, wide_conv
from tinsmith.errors import ProgramError
from tinsmith.ops import conv_emit
from tinsmith.ops.packing import pack
from tinsmith.program import Program
from tinsmith.simulator import compiled
from tinsmith.simulator.compiled import GraphPart, NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import find

S3, P4 = find("esp32s3"), find("esp32p4")
FULL = np.full((1, 2, 2, 512), 127, np.int8)
"""Its sums fall to -256 · 100 · 127, far beyond 20 bits, and come back to 0."""


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the nodes that the interpreter runs for the compiled form."""
    found: list[str] = []
    real = compiled.run_nodes

    def counting(program: Program, nodes: Any, *rest: Any) -> None:
        listed = list(nodes)
        found.extend(n.name for n in listed)
        real(program, listed, *rest)

    monkeypatch.setattr(compiled, "run_nodes", counting)
    return found


def agree(program: Program, x: np.ndarray) -> np.ndarray:
    """Both forms' output."""
    expected = interpret(program, {"x": x}, S3)["z"]
    assert np.array_equal(compile_program(program, S3).run({"x": x})["z"], expected)
    return expected


def test_sums_that_saturate_are_the_interpreter_s(interpreted: list[str]) -> None:
    model = wide_conv()
    found = agree(model, FULL)
    assert interpreted == ["Y", "Z"]
    exact = compile_program(model, S3, checked=False).run({"x": FULL})["z"]
    assert not np.array_equal(found, exact)


def test_small_sums_never_ask_the_interpreter(interpreted: list[str]) -> None:
    agree(wide_conv(), FULL // 127)
    assert interpreted == []


def test_a_guard_that_breaks_for_nothing_keeps_the_fast_result(interpreted: list[str]) -> None:
    """Σ|x|·|w| is beyond 20 bits, but signs alternate and no partial sum is."""
    x = FULL.copy()
    x[..., 1:256:2] = -127
    x[..., 257::2] = -127
    model = wide_conv()
    notes: dict[str, dict[str, int]] = {}
    compile_program(model, S3).run({"x": x}, observe=notes)
    agree(model, x)
    assert interpreted == []
    assert notes["Y"]["reach"] > 2**19
    assert "saturated" not in notes["Y"]


def test_facts_of_a_saturated_run_are_the_interpreter_s() -> None:
    model = wide_conv()
    notes: dict[str, dict[str, int]] = {}
    expected: dict[str, dict[str, int]] = {}
    compile_program(model, S3).run({"x": FULL}, observe=notes)
    interpret(model, {"x": FULL}, S3, observe=expected)
    reach = notes["Y"].pop("reach")
    assert notes == expected
    assert reach == 256 * 100 * 127  # half of the products are positive


@pytest.mark.parametrize("op_type", ["Conv", "Gemm"])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), positive=st.booleans())
def test_guards_tell_how_far_partial_sums_can_go(op_type: str, seed: int, *, positive: bool) -> None:
    """The bias with all positive products, or with all negative ones, whichever is larger."""
    rng = np.random.default_rng(seed)
    channels = 32 if op_type == "Conv" else 16
    weights = rng.integers(-90, 91, (channels, 400)).astype(np.int8)
    bias = rng.integers(-(2**17), 2**17, channels).astype(np.int32)
    shape = (1, 2, 2, 400) if op_type == "Conv" else (1, 400)
    x = rng.integers(0 if positive else -128, 128, shape).astype(np.int8)
    x[rng.random(shape) < 0.5] = 0
    model = linear(op_type, weights, bias, shape)
    notes: dict[str, dict[str, int]] = {}
    compile_program(model, S3).run({"x": x}, observe=notes)
    products = x.reshape(-1, 1, 400).astype(np.int64) * weights
    up, down = np.maximum(products, 0).sum(axis=2) + bias, np.minimum(products, 0).sum(axis=2) + bias
    assert notes["Y"]["reach"] == max(int(up.max()), -int(down.min()))


def linear(op_type: str, weights: NDArray[np.int8], bias: NDArray[np.int32], shape: tuple[int, ...]) -> Program:
    """A layer with these weights (N, K)."""
    count, terms = weights.shape
    packed = pack(weights.reshape(count, terms, 1, 1), 16, depthwise=False).reshape(1, 1, terms, count)
    window = {"kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "group": 1}
    layer = node(op_type, "x w b", "y", activation="Linear", **(window if op_type == "Conv" else {}))
    return program([layer], [value("x", shape)], [value("y", (*shape[:-1], count), 12)], "y", {"w": packed, "b": bias})


@pytest.mark.parametrize("target", ["esp32p4", "esp32s3"])
@pytest.mark.parametrize("blocks", [False, True])
def test_both_ways_of_rounding_a_convolution(target: str, monkeypatch: pytest.MonkeyPatch, *, blocks: bool) -> None:
    """ONNX Runtime holds channels in blocks on some processors; there what goes along with convolutions rounds."""
    monkeypatch.setattr(conv_emit, "BLOCKS", blocks)
    rng = np.random.default_rng(3)
    model = linear("Conv", rng.integers(-9, 10, (24, 40)).astype(np.int8), np.zeros(24, np.int32), (1, 5, 7, 40))
    model = replace(model, values={**model.values, "y": value("y", (1, 5, 7, 24), 3)})
    (part,) = compile_program(model, find(target)).parts
    assert isinstance(part, GraphPart)
    assert [onnx_nodes(part).count(kind) for kind in ("Conv", "HardSigmoid")] == ([2, 1] if blocks else [1, 0])
    x = rng.integers(-40, 41, (1, 5, 7, 40)).astype(np.int8)
    found = compile_program(model, find(target)).run({"x": x})["y"]
    assert np.array_equal(found, interpret(model, {"x": x}, find(target))["y"])
    assert found.min() < -100 < 100 < found.max()


def onnx_nodes(part: GraphPart) -> list[str]:
    return [one.op_type for one in onnx.load_model_from_string(part.model).graph.node]


def test_chips_that_do_not_saturate_have_no_guards() -> None:
    (part,) = compile_program(wide_conv(), P4).parts
    assert isinstance(part, GraphPart)
    assert part.guards == ()


def mixed() -> Program:
    """Add, a LayerNormalization in the middle, which has no ONNX form, and Add again."""
    names = [value(name, (1, 8), -4) for name in "abc"]
    return program(
        [node("Add", "x x", "a"), node("LayerNormalization", "a", "b"), node("Add", "b b", "c")],
        [value("x", (1, 8), -4)],
        names,
        "c",
    )


def test_nodes_without_an_onnx_form_stand_between_graphs() -> None:
    parts = compile_program(mixed(), S3).parts
    assert [type(part) for part in parts] == [GraphPart, NodePart, GraphPart]
    assert isinstance(parts[1], NodePart)
    assert (parts[1].node.name, parts[1].reason) == ("B", "LayerNormalization has no ONNX form")
    assert isinstance(parts[2], GraphPart)
    assert (parts[2].feeds, parts[2].results) == (("b",), ("c",))


@pytest.mark.parametrize("save_all", [False, True])
def test_parts_together_are_the_program(save_all: bool) -> None:
    model, x = mixed(), np.arange(-4, 4).astype(np.int8).reshape(1, 8)
    expected = interpret(model, {"x": x}, S3)
    found = compile_program(model, S3, save_all=save_all).run({"x": x})
    assert set(found) == (set(expected) if save_all else {"c"})
    assert all(np.array_equal(array, expected[name]) for name, array in found.items())


def test_graphs_that_nobody_reads_are_left_out() -> None:
    model = replace(mixed(), outputs=(mixed().values["b"],))
    assert [type(part) for part in compile_program(model, S3).parts] == [GraphPart, NodePart]
    x = np.arange(-4, 4).astype(np.int8).reshape(1, 8)
    (found,) = compile_program(model, S3).run({"x": x}).values()
    assert np.array_equal(found, interpret(model, {"x": x}, S3)["b"])


def test_behind_a_part_that_is_interpreted_graphs_run_again(interpreted: list[str]) -> None:
    base = wide_conv()
    extra = [node("LayerNormalization", "z", "n"), node("Add", "n n", "o")]
    more = [value(name, (1, 2, 2, 16), 12) for name in "no"]
    model = program(
        [*base.nodes, *extra],
        list(base.inputs),
        [*(base.values[name] for name in "yz"), *more],
        "z o",
        {"w": base.constants["w"].data},
    )
    expected = interpret(model, {"x": FULL}, S3)
    found = compile_program(model, S3).run({"x": FULL})
    assert interpreted == ["Y", "Z", "N"]
    assert all(np.array_equal(found[name], expected[name]) for name in "zo")


def test_it_is_made_once_for_each_way_of_running() -> None:
    model = mixed()
    first = compile_program(model, S3)
    assert compile_program(model, S3) is first
    others = [compile_program(model, P4), compile_program(model, S3, checked=False)]
    others.append(compile_program(model, S3, save_all=True))
    assert all(other is not first for other in others)
    assert model == mixed()


def test_a_part_opens_one_session_for_each_number_of_threads() -> None:
    form = compile_program(mixed(), S3)
    form.open(1)
    form.run({"x": np.zeros((1, 8), np.int8)}, threads=1)
    assert [list(part.sessions) for part in form.parts if isinstance(part, GraphPart)] == [[1], [1]]


def test_what_onnx_runtime_refuses_is_told_with_the_nodes() -> None:
    form = compile_program(mixed(), S3)
    with pytest.raises(ProgramError, match=r"nodes 'A' … 'A': ONNX Runtime does not run.*Simulate with compiled=False"):
        form.run({"x": np.zeros((2, 9), np.int8)})
