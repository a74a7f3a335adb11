from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from tests.graph.models import check, model, node, op_types, value
from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import canonicalize
from tinsmith.graph.execute import Runner
from tinsmith.importers import load

W = np.random.default_rng(4).normal(size=(3, 3)).astype(np.float32)
COUNTER = [value("i", (), np.int64), value("going", (), np.bool_)]


def body(
    nodes: list[onnx.NodeProto], states: list[str], results: list[str], constants: dict[str, Any] | None = None
) -> onnx.GraphProto:
    """The body of a Loop: counter and condition in front; the first result is the condition."""
    return helper.make_graph(
        nodes,
        "body",
        [*COUNTER, *(value(name, None) for name in states)],
        [value(results[0], (), np.bool_), *(value(name, None) for name in results[1:])],
        [onnx.numpy_helper.from_array(np.asarray(data), name) for name, data in (constants or {}).items()],
    )


def go_on(*others: onnx.NodeProto) -> list[onnx.NodeProto]:
    steady = helper.make_node("Identity", ["going"], ["on"], name="steady")
    return [steady, *others]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("condition", ["yes", "_"])
def test_a_loop_of_known_length_is_written_out(count: int, condition: str) -> None:
    inner = body(go_on(node("MatMul", "v w", "m", "product"), node("Tanh", "m", "n", "squash")), ["v"], ["on", "n"])
    nodes = [node("Loop", f"count {condition} x", "y", "again", body=inner)]
    canonical = check(
        model(nodes, {"x": (2, 3)}, "y", {"count": count, "yes": np.array(True), "w": W}), ["Gemm", "Tanh"] * count
    )
    assert [step.name for step in canonical.graph] == [
        f"again_{number}/{name}" for number in range(count) for name in ("product", "squash")
    ]


def test_what_stacks_up_is_concatenated() -> None:
    inner = body(go_on(node("Mul", "v v", "n"), node("Relu", "n", "r")), ["v"], ["on", "n", "r"])
    nodes = [node("Loop", "count yes x", "last all", body=inner), node("Add", "all last", "y")]
    check(model(nodes, {"x": (2, 3)}, "y", {"count": 3, "yes": np.array(True)}))


def test_the_number_of_the_round_is_a_constant() -> None:
    inner = body(go_on(node("Cast", "i", "f", to=1), node("Add", "v f", "n")), ["v"], ["on", "n"])
    nodes = [node("Loop", "count yes x", "y", body=inner)]
    check(model(nodes, {"x": (2, 3)}, "y", {"count": 4, "yes": np.array(True)}), ["Add"])


@pytest.mark.parametrize("most", [100, (1 << 63) - 1, None])
def test_a_condition_of_constants_ends_a_loop(most: int | None) -> None:
    nodes = [node("Mul", "v two", "n"), node("Add", "i one", "j"), node("Less", "j three", "on")]
    inner = body(nodes, ["v"], ["on", "n"], {"two": np.float32(2), "one": 1, "three": 3})
    nodes = [node("Loop", f"{'_' if most is None else 'most'} yes x", "h", body=inner), node("Exp", "h", "y")]
    constants = {"yes": np.array(True)} | ({} if most is None else {"most": most})
    check(model(nodes, {"x": (1, 3)}, "y", constants), ["Mul", "Exp"])


def test_a_loop_that_never_runs() -> None:
    inner = body(go_on(node("Exp", "v", "n")), ["v"], ["on", "n"])
    for constants in ({"count": 0, "yes": np.array(True)}, {"count": 4, "yes": np.array(False)}):
        nodes = [node("Loop", "count yes x", "h", body=inner), node("Tanh", "h", "y")]
        check(model(nodes, {"x": (1, 3)}, "y", constants), ["Tanh"])


def test_a_body_that_only_passes_on() -> None:
    inner = body([], ["v", "u"], ["going", "u", "v"])
    nodes = [node("Loop", "count yes x z", "a b", body=inner), node("Tanh", "a", "c"), node("Exp", "b", "d")]
    check(model(nodes, {"x": (1, 3), "z": (1, 3)}, "c d", {"count": 3, "yes": np.array(True)}), ["Tanh", "Exp"])


def test_loops_in_loops_and_choices_in_them() -> None:
    yes = helper.make_graph([node("Relu", "v", "t")], "yes", [], [value("t", None)])
    no = helper.make_graph([node("Tanh", "v", "e")], "no", [], [value("e", None)])
    deep = helper.make_graph(
        [node("Identity", "going2", "on2"), node("Mul", "u x", "n2")],
        "deep",
        [value("i2", (), np.int64), value("going2", (), np.bool_), value("u", None)],
        [value("on2", (), np.bool_), value("n2", None)],
    )
    inner = body(
        go_on(
            node("Mod", "i two", "odd"), node("Equal", "odd zero", "even"),
            node("If", "even", "b", then_branch=yes, else_branch=no), node("Loop", "two going b", "n", body=deep),
        ), ["v"], ["on", "n"],
    )  # fmt: skip
    nodes = [node("Loop", "count yes x", "y", body=inner)]
    constants = {"count": 3, "yes": np.array(True), "two": 2, "zero": 0}
    canonical = check(model(nodes, {"x": (1, 3)}, "y", constants))
    assert op_types(canonical) == ["Relu", "Mul", "Mul", "Tanh", "Mul", "Mul", "Relu", "Mul", "Mul"]


def test_a_length_that_folds() -> None:
    inner = body(go_on(node("Mul", "v v", "n")), ["v"], ["on", "n"])
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s last", "count"), node("Loop", "count _ x", "h", body=inner),
        node("Exp", "h", "y"),
    ]  # fmt: skip
    check(model(nodes, {"x": ("N", 2)}, "y", {"last": 1}), ["Mul", "Mul", "Exp"])


def test_a_choice_that_shapes_decide() -> None:
    yes = helper.make_graph([node("Squeeze", "x axes", "t")], "yes", [], [value("t", None)])
    no = helper.make_graph([node("Identity", "x", "e")], "no", [], [value("e", None)])
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s two", "n"), node("Equal", "n one", "c"),
        node("If", "c", "h", then_branch=yes, else_branch=no), node("Exp", "h", "y"),
    ]  # fmt: skip
    constants = {"two": 2, "one": 1, "axes": [2]}
    assert check(model(nodes, {"x": ("N", 3, 1)}, "y", constants)).graph.outputs[0].shape == (1, 3)
    other = canonicalize(load(model(nodes, {"x": ("N", 3, 2)}, "y", constants)))
    assert other.graph.outputs[0].shape == (1, 3, 2)


@pytest.mark.parametrize("opset", [11, 13, 16, 21])
def test_loops_of_other_opsets(opset: int) -> None:
    inner = body(go_on(node("Mul", "v v", "n")), ["v"], ["on", "n"])
    nodes = [node("Loop", "count yes x", "h", body=inner), node("Exp", "h", "y")]
    check(model(nodes, {"x": (1, 2)}, "y", {"count": 2, "yes": np.array(True)}, opset=opset), ["Mul", "Mul", "Exp"])


def scan(**attributes: Any) -> onnx.ModelProto:
    inner = helper.make_graph(
        [node("MatMul", "h w", "p"), node("Add", "p e", "n"), node("Tanh", "n", "o")],
        "body", [value("h", None), value("e", None)], [value("n", None), value("o", None)],
    )  # fmt: skip
    nodes = [node("Scan", "start x", "last all", "scan", body=inner, num_scan_inputs=1, **attributes)]
    outputs = [value("last", None), value("all", None)]
    return model(nodes, {"start": (2, 3), "x": (4, 2, 3)}, outputs, {"w": W})


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"scan_input_directions": [1]},
        {"scan_output_directions": [1]},
        {"scan_output_axes": [1]},
        {"scan_output_axes": [-1], "scan_input_directions": [1], "scan_output_directions": [1]},
    ],
)
def test_a_scan_is_written_out(attributes: dict[str, Any]) -> None:
    canonical = check(scan(**attributes))
    assert op_types(canonical).count("Tanh") == 4


def test_a_scan_along_another_axis() -> None:
    inner = helper.make_graph([node("Exp", "e", "o")], "body", [value("e", None)], [value("o", None)])
    nodes = [node("Scan", "x", "y", body=inner, num_scan_inputs=1, scan_input_axes=[1])]
    check(model(nodes, {"x": (2, 3, 4)}, "y"))


def test_what_data_decide_is_refused_by_name() -> None:
    step = [node("Mul", "v v", "n"), node("ReduceSum", "n", "s", keepdims=0), node("Less", "s ten", "on")]
    inner = body(step, ["v"], ["on", "n"], {"ten": np.float32(10)})
    nodes = [node("Loop", "count yes x", "y", "while", body=inner)]
    original = model(nodes, {"x": (1, 3)}, "y", {"count": 3, "yes": np.array(True)})
    with pytest.raises(UnsupportedError, match="'while': Loop chooses or repeats computations at run time"):
        canonicalize(load(original))
    endless = body(go_on(node("Exp", "v", "n")), ["v"], ["on", "n"])
    with pytest.raises(UnsupportedError, match="'for ever': Loop chooses or repeats"):
        canonicalize(load(model([node("Loop", "_ _ x", "y", "for ever", body=endless)], {"x": (1, 3)}, "y")))
    counted = [node("ReduceSum", "x", "s", keepdims=0), node("Cast", "s", "count", to=7)]
    nodes = [*counted, node("Loop", "count _ x", "y", "as often", body=endless)]
    with pytest.raises(UnsupportedError, match="'as often': Loop chooses or repeats"):
        canonicalize(load(model(nodes, {"x": (1, 3)}, "y")))


@pytest.mark.parametrize("count", [30_000, 1 << 40])
def test_loops_that_no_chip_would_run(count: int) -> None:
    inner = body(go_on(node("Exp", "v", "n")), ["v"], ["on", "n"])
    original = model([node("Loop", "count _ x", "y", "long", body=inner)], {"x": (1, 3)}, "y", {"count": count})
    with pytest.raises(UnsupportedError, match=r"Loop 'long': it would run 2 operators at least .* times.*--outputs"):
        canonicalize(load(original))


@pytest.mark.parametrize("limit", [1, 7, 600])
def test_a_counter_ends_a_loop(limit: int) -> None:
    steps = [
        node("Add", "v one", "n"),
        node("Less", "n end", "on"),
        node("Cast", "i", "f", to=1),
        node("Add", "u f", "w"),
    ]
    inner = body(steps, ["v", "u"], ["on", "n", "w"], {"one": np.float32(1), "end": np.float32(limit)})
    nodes = [node("Loop", "_ yes zero x", "last y", body=inner)]
    constants = {"yes": np.array(True), "zero": np.float32(0)}
    canonical = canonicalize(load(model(nodes, {"x": (1, 3)}, "y", constants)))
    found = Runner(canonical)({"x": np.zeros((1, 3), np.float32)})["y"]
    assert found.tolist() == [[limit * (limit - 1) / 2] * 3]


def test_a_counter_that_never_ends_is_refused_at_once() -> None:
    steps = [node("Add", "v one", "n"), node("Less", "n end", "on"), node("Exp", "u", "w")]
    inner = body(steps, ["v", "u"], ["on", "n", "w"], {"one": np.float32(1), "end": np.float32(1 << 30)})
    constants = {"yes": np.array(True), "zero": np.float32(0)}
    original = model([node("Loop", "_ yes zero x", "last y", "long", body=inner)], {"x": (1, 3)}, "y", constants)
    with pytest.raises(UnsupportedError, match=r"Loop 'long': it would run 3 operators at least 6,667 times"):
        canonicalize(load(original))


def test_a_body_that_does_not_fit_is_named() -> None:
    inner = body(go_on(node("Exp", "v", "n")), ["v", "u"], ["on", "n"])
    original = model([node("Loop", "count _ x", "y", "odd", body=inner)], {"x": (1, 3)}, "y", {"count": 2})
    with pytest.raises(ModelError, match="odd"):
        canonicalize(load(original))


@given(count=st.integers(0, 4), rows=st.integers(1, 3), both=st.booleans())
def test_any_length(count: int, rows: int, both: bool) -> None:
    inner = body(go_on(node("MatMul", "v w", "m"), node("Sub", "m v", "n")), ["v"], ["on", "n", "m"])
    nodes = [node("Loop", "count _ x", "last all", body=inner), node("Tanh", "last", "y")]
    names = "y all" if both and count else "y"
    check(model(nodes, {"x": (rows, 3)}, names, {"count": count, "w": W}))
