"""GRU and LSTM: the manual's steps one number after the other, float networks against ONNX Runtime."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import onnx_says
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, C, float_node, objections
from tests.ops.test_reduce import nearest
from tests.shared import shared_files
from tinsmith.errors import ProgramError
from tinsmith.lower import lower
from tinsmith.ops import find
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.ops.gates import Dot, gates_of
from tinsmith.ops.inference import infer_shapes
from tinsmith.ops.recurrent_lower import GATE_EXPONENT
from tinsmith.program import DType, Node, Program, Tensor, Value
from tinsmith.quant.format import Format, Formats
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target
from tinsmith.targets import find as target_named

F = np.float32
GATES = {"GRU": 3, "LSTM": 4}
DOTS = shared_files("golden/kernels/*/dotprod*.npz")


@pytest.mark.skipif(not DOTS, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", DOTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_dot_product_of_the_kernels(path: Any) -> None:
    data = np.load(path)
    dot = Dot.of(data["z"][None], int(data["shift"]), target_named(f"esp32{data['target']}"))
    assert dot(data["x"]).tolist() == data["y"].tolist()


@pytest.mark.parametrize(("exponent", "sigmoid", "tanh"), [(-9, 3226, 1793), (-8, 1613, 897)])
def test_gates_stop_at_the_sheets_entries(exponent: int, sigmoid: int, tanh: int) -> None:
    gates = gates_of(exponent)
    for table, last in ((gates.sigmoid, sigmoid), (gates.tanh, tanh)):
        assert table[last - 1] < table[last] == table[last + 1] == table[65535]
        assert table[1 - last] > table[-last] == table[-last - 1] == table[-65536]


class Sheet:
    """arithmetic §9 in scalars."""

    def __init__(self, program: Program, target: Target) -> None:
        (self.node,) = program.nodes
        self.target, self.program = target, program
        self.g = int(self.node.attributes.get("gate_exponent", -8))
        self.bits = program.inputs[0].dtype.bits
        self.e = {n: program.constants[n].exponents[0] for n in ("w", "r")}
        self.e_x, self.e_y = program.inputs[0].exponent, program.values["y"].exponent
        self.unit = F(2.0**self.g)

    def constant(self, name: str, direction: int) -> Any:
        return program_constant(self.program, name)[direction].tolist()

    def logistic(self, x: np.float32) -> np.float32:
        return F(1.0 / (1.0 + float(F(math.exp(float(-x))))))

    def sigmoid(self, k: int) -> np.float32:
        i = min(abs(k), int(F(6.3) / self.unit) + 1)
        found = self.logistic(F(i * self.unit))
        return found if k >= 0 else F(F(1) - found)

    def tanh(self, k: int) -> np.float32:
        i = min(abs(k), int(F(3.5) / self.unit) + 1)
        found = F(F(F(2) * self.logistic(F(F(2) * F(i * self.unit)))) - F(1))
        return found if k >= 0 else -found

    def dot(self, row: list[int], vector: list[int], shift: int) -> int:
        total = sum(a * b for a, b in zip(row, vector, strict=True))
        block = 16 if self.bits == 8 else 8
        if self.target.simd and len(row) % block == 0 and shift >= 0:
            value = int(self.target.rounding.rshift(np.int64(total), shift))
        else:
            value = nearest(F(F(total) * F(2.0**-shift)), self.target)
        return max(-32768, min(32767, value))

    def wrap(self, v: int) -> int:
        return (v + 32768) % 65536 - 32768

    def store(self, v: np.float32) -> int:
        low = -(1 << (self.bits - 1))
        return max(low, min(-low - 1, nearest(v, self.target)))

    def step(self, x: list[int], h: list[int], c: list[int], direction: int) -> tuple[list[int], list[int]]:
        shift_w, shift_r = self.g - (self.e_x + self.e["w"]), self.g - (self.e_y + self.e["r"])
        a = [self.dot(row, x, shift_w) for row in self.constant("w", direction)]
        b = [self.dot(row, h, shift_r) for row in self.constant("r", direction)]
        n, bias = len(h), self.constant("b", direction)
        wb, rb = bias[: len(a)], bias[len(a) :]
        out = F(2.0**-self.e_y)
        if self.node.op_type == "GRU":
            a = [self.wrap(v + o) for v, o in zip(a, wb, strict=True)]
            b = [self.wrap(v + o) for v, o in zip(b, rb, strict=True)]
            found = []
            for i in range(n):
                z, r = self.sigmoid(a[i] + b[i]), self.sigmoid(a[n + i] + b[n + i])
                t = self.tanh(nearest(F(F(a[2 * n + i]) + F(r * F(b[2 * n + i]))), self.target))
                v = F(F(F(F(1) - z) * t) * out)
                found.append(self.store(F(v + F(z * F(h[i])))))
            return found, c
        a = [self.wrap(v + w + o + p) for v, w, o, p in zip(a, wb, b, rb, strict=True)]
        found, cells = [], []
        for k in range(n):
            i, o, f, g = self.sigmoid(a[k]), self.sigmoid(a[n + k]), self.sigmoid(a[2 * n + k]), self.tanh(a[3 * n + k])
            v = F(F(f * F(c[k])) + F(F(i * g) * F(2.0**-self.g)))
            cells.append(self.wrap(nearest(v, self.target)))
            found.append(self.store(F(F(o * self.tanh(cells[k])) * out)))
        return found, cells

    def run(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = 2 if self.node.attributes.get("direction") == "bidirectional" else 1
        steps = x.reshape(len(x), -1).tolist()
        size = program_constant(self.program, "r").shape[-1]
        y = np.zeros((len(x), count, 1, size), int)
        last: list[tuple[list[int], list[int]]] = []
        for d in range(count):
            h = self.constant("h", d)[0] if "h" in self.program.constants else [0] * size
            c = self.constant("c", d)[0] if "c" in self.program.constants else [0] * size
            for t in range(len(x)) if d == 0 else reversed(range(len(x))):
                h, c = self.step(steps[t], h, c, d)
                y[t, d, 0] = h
            last.append((h, c))
        return y, np.array([[h] for h, _ in last]), np.array([[c] for _, c in last])


def program_constant(program: Program, name: str) -> np.ndarray:
    found = program.constants.get(name)
    if found is not None:
        return found.data
    w = program.constants["w"].data
    return np.zeros((len(w), 2 * w.shape[1]), int)


def recurrent(
    op_type: str,
    rng: np.random.Generator,
    *,
    bits: int = 8,
    sizes: tuple[int, int, int] = (3, 4, 5),
    both: bool = False,
    bias: bool = True,
    states: bool = False,
    gate: int | None = -9,
    scale: float = 1.0,
) -> tuple[Program, np.ndarray]:
    """A random node with every tensor constant but X, and an X."""
    steps, inputs, hidden = sizes
    count, rows = 1 + both, GATES[op_type] * hidden
    dtype, full = (np.int8, 100 * scale) if bits == 8 else (np.int16, 20000 * scale)

    def draw(*shape: int, limit: float = full) -> np.ndarray:
        return np.clip(np.rint(rng.normal(0, limit / 2, shape)), -limit, limit)

    x = draw(steps, 1, inputs).astype(dtype)
    g = -8 if gate is None else gate
    e_x, e_w, e_r, e_y = 3 - bits, 1 - bits, 2 - bits, 1 - bits
    constants = {
        "w": Tensor("w", draw(count, rows, inputs).astype(dtype), (e_w,)),
        "r": Tensor("r", draw(count, rows, hidden).astype(dtype), (e_r,)),
        "b": Tensor("b", draw(count, 2 * rows, limit=400.0).astype(np.int16), (g,)),
        "h": Tensor("h", draw(count, 1, hidden).astype(dtype), (e_y,)),
        "c": Tensor("c", draw(count, 1, hidden, limit=900.0).astype(np.int16), (g,)),
    }
    names = ["x", "w", "r", "b" if bias else "", "", "h" if states else "", "c" if states else ""]
    names = names[: (7 if op_type == "LSTM" else 6) if states else 4 if bias else 3]
    kept = {name: tensor for name, tensor in constants.items() if name in names}
    attributes: dict[str, Any] = {"hidden_size": hidden}
    attributes |= {"linear_before_reset": 1} if op_type == "GRU" else {}
    attributes |= {"direction": "bidirectional"} if both else {}
    attributes |= {} if gate is None else {"gate_exponent": gate}
    kind = DType.of(dtype)
    values = {
        "x": Value("x", kind, x.shape, (e_x,)),
        "y": Value("y", kind, (), (e_y,)),
        "last": Value("last", kind, (), (e_y,)),
    }
    if op_type == "LSTM":
        values["cell"] = Value("cell", DType.INT16, (), (g,))
    outputs = tuple(value for name, value in values.items() if name != "x")
    node = Node(op_type, "node", tuple(names), tuple(value.name for value in outputs), attributes)
    return Program((node,), (values["x"],), outputs, values, kept), x


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
@given(
    sizes=st.tuples(st.integers(1, 4), st.sampled_from([1, 3, 8, 16]), st.sampled_from([1, 5, 8, 16])),
    bits=WIDTHS,
    both=st.booleans(),
    bias=st.booleans(),
    states=st.booleans(),
    gate=st.sampled_from([None, -9, -8, -11]),
    scale=st.sampled_from([0.2, 1.0]),
    target=FAMILIES,
    seed=st.integers(0, 2**32 - 1),
)
def test_every_step_is_the_sheets(op_type: str, target: Target, seed: int, **options: Any) -> None:
    program, x = recurrent(op_type, np.random.default_rng(seed), **options)
    found = interpret(program, {"x": x}, target)
    for value, wanted in zip(program.outputs, Sheet(program, target).run(x), strict=False):
        assert found[value.name].dtype == value.dtype.numpy
        assert found[value.name].tolist() == wanted.tolist(), value.name
    shapes = infer_shapes(program, target)
    assert all(shapes[value.name] == found[value.name].shape for value in program.outputs)
    assert violations(program, target) == []


def test_the_reason_for_the_interpreter() -> None:
    program, _ = recurrent("GRU", np.random.default_rng(0))
    (part,) = compile_program(program, S3).parts
    assert isinstance(part, NodePart)


def test_sums_that_wrap_are_counted() -> None:
    program, x = recurrent("LSTM", np.random.default_rng(1), bits=8, gate=-16, sizes=(3, 16, 16))
    notes: dict[str, dict[str, int]] = {}
    found = interpret(program, {"x": x}, S3, observe=notes)
    assert found["y"].tolist() == Sheet(program, S3).run(x)[0].tolist()
    assert notes["node"]["wrapped"] > 0
    quiet, x = recurrent("LSTM", np.random.default_rng(1), scale=0.1)
    notes = {}
    interpret(quiet, {"x": x}, S3, observe=notes)
    assert notes == {}


def changed(program: Program, **attributes: Any) -> Program:
    (node,) = program.nodes
    return replace(program, nodes=(replace(node, attributes={**node.attributes, **attributes}),))


def test_what_the_runtime_ignores() -> None:
    program, x = recurrent("GRU", np.random.default_rng(2))
    forward = interpret(program, {"x": x}, P4)["y"]
    backward = changed(program, direction="reverse")
    assert interpret(backward, {"x": x}, P4)["y"].tolist() == forward.tolist()
    assert violations(backward, P4) == ["GRU 'node': direction reverse is executed as forward."]


def test_rules_on_names_and_exponents() -> None:
    program, x = recurrent("LSTM", np.random.default_rng(3), states=True)
    (node,) = program.nodes
    unnamed = replace(program, nodes=(replace(node, outputs=("y", "", "cell")),), outputs=program.outputs[::2])
    assert "all 3 outputs need names" in violations(unnamed, S3)[0]
    full = interpret(program, {"x": x}, S3)
    assert interpret(unnamed, {"x": x}, S3)["cell"].tolist() == full["cell"].tolist()
    values = {**program.values, "last": replace(program.values["last"], exponents=(3,))}
    assert "Y and Y_h need one exponent" in violations(replace(program, values=values), S3)[0]
    values = {**program.values, "cell": replace(program.values["cell"], exponents=(3,))}
    with pytest.raises(ProgramError, match="Y_c has exponent 3, and must have the gate exponent -9"):
        interpret(replace(program, values=values), {"x": x}, S3)
    for name, message in (
        ("b", "the bias has exponent 3"),
        ("h", "initial state has exponent 3"),
        ("c", "initial cell"),
    ):
        constants = {**program.constants, name: Tensor(name, program.constants[name].data, (3,))}
        assert message in " ".join(violations(replace(program, constants=constants), S3))
    zero = {**program.constants, "h": Tensor("h", np.zeros_like(program.constants["h"].data), (3,))}
    assert violations(replace(program, constants=zero), S3) == []


@pytest.mark.parametrize(
    ("op_type", "attributes", "message"),
    [
        ("GRU", {"linear_before_reset": 0}, "linear_before_reset = 1 only"),
        ("LSTM", {"input_forget": 1}, "no LSTM with input_forget"),
        ("LSTM", {"gate_exponent": 1}, "gate_exponent 1 is not within -16 … 0"),
        ("GRU", {"gate_exponent": -900}, "gate_exponent -900"),
        ("GRU", {"direction": "bidirectional"}, r"input 1 is \[1, 15, 4\], needed are \[2, 15, 4\]"),
        ("GRU", {"direction": 3}, "expected str"),
    ],
)
def test_hostile_attributes(op_type: str, attributes: dict[str, Any], message: str) -> None:
    program, x = recurrent(op_type, np.random.default_rng(4))
    with pytest.raises(ProgramError, match=message):
        interpret(changed(program, **attributes), {"x": x}, S3)


@pytest.mark.parametrize(("name", "message"), [("y", "states have exponents"), ("w", "a shift by")])
def test_hostile_exponents(name: str, message: str) -> None:
    program, x = recurrent("GRU", np.random.default_rng(4))
    values, constants = dict(program.values), dict(program.constants)
    if name in values:
        values[name] = replace(values[name], exponents=(-900,))
    else:
        constants[name] = Tensor(name, constants[name].data, (900,))
    with pytest.raises(ProgramError, match=message):
        interpret(replace(program, values=values, constants=constants), {"x": x}, S3)


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 4)])
def test_batches_are_refused(shape: tuple[int, ...]) -> None:
    program, _ = recurrent("GRU", np.random.default_rng(5))
    with pytest.raises(ProgramError, match="one sequence, not a batch"):
        interpret(program, {"x": np.zeros(shape, np.int8)}, S3)


def test_layout_says_which_dimension_is_time() -> None:
    program, x = recurrent("GRU", np.random.default_rng(6))
    other = interpret(changed(program, layout=1), {"x": x.transpose(1, 0, 2)}, S3)["y"]
    assert other.tolist() == interpret(program, {"x": x}, S3)["y"].tolist()


# ---- float networks


def network(
    op_type: str, rng: np.random.Generator, direction: str, *, outputs: int, bias: bool = True, states: bool = False
) -> tuple[Network, list[np.ndarray | None], list[np.ndarray], dict[str, Any]]:
    """A float node with constant weights, its inputs for ONNX, and what ONNX Runtime computes."""
    steps, size, hidden = 5, 6, 4
    count, rows = 1 + (direction == "bidirectional"), GATES[op_type] * hidden
    arrays: list[np.ndarray | None] = [
        rng.normal(size=(steps, 1, size)),
        rng.normal(0, 0.4, (count, rows, size)),
        rng.normal(0, 0.4, (count, rows, hidden)),
        rng.normal(0, 0.3, (count, 2 * rows)) if bias else None,
        None,
        rng.normal(0, 0.3, (count, 1, hidden)) if states else None,
        rng.normal(0, 0.3, (count, 1, hidden)) if states else None,
    ]
    inputs = [None if a is None else a.astype(F) for a in arrays[: (7 if op_type == "LSTM" else 6) if states else 4]]
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    attributes |= {"linear_before_reset": 1} if op_type == "GRU" else {}
    expected = onnx_says(op_type, inputs, attributes, outputs)
    operands = [
        None if a is None else Operand(name, a.shape, a.dtype, None if name == "x" else a)
        for name, a in zip(("x", "w", "r", "b", "", "h", "c"), inputs, strict=False)
    ]
    names = ("y", "last", "cell")
    results = tuple(Operand(n, e.shape, np.dtype(F)) for n, e in zip(names, expected, strict=False))
    node = FloatNode(op_type, "node", tuple(operands), results, {**attributes, "clip": 0.0, "layout": 0})
    return Network((node,), (operands[0],), results), inputs, expected, attributes  # type: ignore[arg-type]


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize(("outputs", "bias", "states"), [(1, True, False), (2, False, True), (2, True, True)])
def test_lowered_float_networks_are_onnx(op_type: str, direction: str, outputs: int, bias: bool, states: bool) -> None:
    rng = np.random.default_rng(8)
    net, inputs, expected, _ = network(op_type, rng, direction, outputs=outputs, bias=bias, states=states)
    lowered = lower(net, Formats({}), {"node": 32}, P4)
    (node,) = (n for n in lowered.program.nodes if n.op_type == op_type)
    assert len(node.outputs) == (2 if op_type == "GRU" else 3)
    assert "gate_exponent" not in node.attributes
    assert violations(lowered.program, P4) == []
    assert lowered.perms["x"] in ((0, 1, 2), (0, 2, 1))
    x = inputs[0]
    assert x is not None
    found = interpret(lowered.program, {"x": x.transpose(lowered.perms["x"])}, P4)
    for value, wanted in zip(net.outputs, expected, strict=True):
        assert np.abs(found[value.name] - wanted).max() < 1e-5


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
@pytest.mark.parametrize("target", [S3, C], ids=lambda t: t.name)
def test_lowered_integer_networks_follow_the_float_ones(op_type: str, target: Target) -> None:
    rng = np.random.default_rng(9)
    net, inputs, expected, _ = network(op_type, rng, "bidirectional", outputs=2, states=True)
    x = inputs[0]
    assert x is not None
    formats = {"x": Format(16, (-13,)), "w": Format(16, (-14,)), "r": Format(16, (-14,)), "y": Format(16, (-15,))}
    formats |= {"last": formats["y"], "h": formats["y"]}
    formats |= {name: Format(16, (GATE_EXPONENT,)) for name in ("b", "c")}
    lowered = lower(net, Formats(formats), {"node": 16}, target)
    program = lowered.program
    node = program.nodes[-1]
    assert violations(program, target) == []
    assert program.constants["b"].dtype is DType.INT16
    assert program.constants["b"].exponents == (-9,)
    assert node.attributes["gate_exponent"] == -9
    assert node.attributes["direction"] == "bidirectional"
    if op_type == "LSTM":
        assert program.values["node_Y_c"] == Value("node_Y_c", DType.INT16, (2, 1, 4), (-9,))
    integers = formats["x"].quantize(x, target.rounding).transpose(lowered.perms["x"])
    found = interpret(program, {"x": integers}, target)
    for value, wanted in zip(net.outputs, expected, strict=True):
        # The gates are exact to 1/512 and stop at 0.998: a bound for wrong wiring, not for rounding.
        assert np.abs(found[value.name] * 2.0**-15 - wanted).max() < 0.02


@pytest.mark.parametrize(
    ("op_type", "extra", "attributes", "message"),
    [
        ("GRU", {}, {"linear_before_reset": 0}, "linear_before_reset = 1 only"),
        ("LSTM", {}, {"input_forget": 1}, "input_forget = 1"),
        ("LSTM", {}, {"clip": 3.0}, "does not read `clip`"),
        ("LSTM", {}, {"direction": "reverse"}, "walks forward where `direction` is reverse"),
        ("LSTM", {}, {"layout": 1}, "the batch must be 1"),
        ("LSTM", {}, {"activations": ("Sigmoid", "Relu", "Tanh")}, "usual activations only"),
        ("LSTM", {4: np.array([3], np.int32)}, {}, "does not read `sequence_lens`"),
        ("LSTM", {7: np.zeros((1, 12), F)}, {}, "no peepholes"),
        ("LSTM", {0: (5, 2, 6)}, {}, "the batch must be 1"),
        ("GRU", {1: (1, 12, 6)}, {}, "must be constants"),
    ],
)
def test_limits(op_type: str, extra: dict[int, Any], attributes: dict[str, Any], message: str) -> None:
    rows = GATES[op_type] * 4
    inputs: list[Any] = [(5, 1, 6), np.zeros((1, rows, 6), F), np.zeros((1, rows, 4), F), np.zeros((1, 2 * rows), F)]
    inputs += [None] * (max(extra, default=0) + 1 - len(inputs))
    for index, found in extra.items():
        inputs[index] = found
    usual = {"linear_before_reset": 1} if op_type == "GRU" else {}
    problems = objections(float_node(op_type, inputs, (5, 1, 1, 4), {**usual, **attributes}), S3)
    assert len(problems) == 1
    assert message in problems[0]


def test_within_the_limits() -> None:
    inputs: list[Any] = [(5, 1, 6), np.zeros((2, 12, 6), F), np.zeros((2, 12, 4), F)]
    attributes = {
        "direction": "bidirectional",
        "linear_before_reset": 1,
        "activations": ("Sigmoid", "Tanh") * 2,
        "hidden_size": 4,
    }
    node = float_node("GRU", inputs, (5, 2, 1, 4), attributes)
    assert objections(node, S3) == []
    assert find("GRU").cost(node).macs == 5 * 2 * 12 * (6 + 4)


def test_ports_tie_the_states_and_fix_the_gates() -> None:
    inputs: list[Any] = [(5, 1, 6), np.zeros((1, 16, 6), F), np.zeros((1, 16, 4), F), None, None, (1, 1, 4), (1, 1, 4)]
    node = float_node("LSTM", inputs, (5, 1, 1, 4))
    ports = find("LSTM").ports(replace(node, outputs=node.outputs * 3), S3)
    assert ports.tied == (5,)
    assert [port.exponent for port in ports.inputs] == [None, None, None, -9, None, None, -9]
    assert [(port.bits, port.exponent) for port in ports.outputs] == [(None, None), (None, None), (16, -9)]
    assert find("GRU").ports(float_node("GRU", inputs[:3], (5, 1, 1, 4)), S3).tied == (5,)
