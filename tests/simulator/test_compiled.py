"""The compiled form: which parts it has, what guards do, and that it is made once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.simulator.programs import node, program, value, wide_conv
from tinsmith.errors import ProgramError
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
    assert reach >= 512 * 100 * 127


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
