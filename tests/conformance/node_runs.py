"""What becomes of a case: quantized, simulated and measured, or refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, log10
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

import tinsmith
from tests.conformance.node_cases import Case, first_output, first_sample, forms
from tinsmith.errors import TinsmithError
from tinsmith.espdl import decode, encode
from tinsmith.graph.execute import Runner
from tinsmith.quant.format import Format
from tinsmith.quant.rounding import Rounding, qrange
from tinsmith.quantized import Quantized

Array = NDArray[Any]


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        case: In the form that was accepted, else the last one tried.
        refusal: Why it was refused: one sentence without names and numbers; empty where it was not.
        message: The whole message.
        snr: Of the outputs against those expected, in dB, the smallest.
        steps: The largest difference from the float network that is quantized where the chip's is, in steps of the
            output's format; booleans count as one.
        parts: The same where the output is float, in parts per million of its largest element.
        operators: Of the program.
        problems: Anything that must not be.
    """

    case: Case
    refusal: str = ""
    message: str = ""
    snr: float = inf
    steps: float = 0.0
    parts: float = 0.0
    operators: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())


def outcome(case: Case, target: str, bits: int, effort: str = "fast") -> Outcome:
    """Tries the forms of a case in order; the first that is quantized counts, else the last refusal.

    Weights are left alone unless asked otherwise: the cases are about operators, and one sample teaches no weights.
    """
    result = Outcome(case)
    for form in _all_forms(case):
        result = _quantized(form, target, bits, effort)
        if not result.refusal:
            break
        if "batch" in result.message and (sample := first_sample(form)):
            alone = _quantized(sample, target, bits, effort)
            if not alone.refusal:
                return alone
    return result


def measured(outcomes: Mapping[int, Iterable[Outcome]]) -> dict[tuple[str, int], tuple[float, float, float]]:
    """Ratio, steps and parts by name and width, of those that were quantized."""
    return {
        (found.case.name, bits): (found.snr, found.steps, found.parts)
        for bits, results in outcomes.items()
        for found in results
        if not found.refusal
    }


def _all_forms(case: Case) -> Iterator[Case]:
    last = case
    for last in forms(case):
        yield last
    if shorter := first_output(last):
        yield shorter


def _quantized(case: Case, target: str, bits: int, effort: str) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            found = tinsmith.quantize(case.model, [dict(case.feeds)], target, bits=bits, effort=effort)
        except TinsmithError as error:
            return Outcome(case, essence(str(error)), str(error))
        except Exception as error:  # nothing else may come out; the test says what did
            return Outcome(case, problems=(f"{type(error).__name__}: {error}",))
        try:
            return _measured(case, found)
        except Exception as error:  # what was quantized has to run
            return Outcome(case, problems=(f"does not run: {type(error).__name__}: {error}",))


def essence(message: str) -> str:
    """The first reason of a message, without subject, way out, names of anything, numbers and types."""
    lines = message.splitlines()
    text = lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]
    text = re.sub(r"'[^']*'", "…", text).strip()
    text = text[3:] if text.startswith("…: ") else re.sub(r"^[^:.]*: ", "", text)
    text = re.sub(r"^[A-Z][A-Za-z]*[a-z][A-Za-z0-9]* (?=[a-z])(?!runtime|min|max)", "… ", text)
    text = re.sub(r"\bholds \S+, not", "holds no", text)
    text = re.sub(r"(ONNX Runtime cannot \w+ the model|contradict each other).*", r"\1", text)
    text = re.sub(r"\(.*?\)|\([^)]*$", "(…)", text)
    text = re.sub(r"-?\d+", "N", text)
    return re.split(r"[.;] ", text.strip().rstrip(".:;") + ". ")[0]


def _measured(case: Case, found: Quantized) -> Outcome:
    program = found.program
    feeds = {value.name: case.feeds[value.name] for value in program.inputs}
    chip = found.simulate(feeds)
    stepped = found.simulate(feeds, compiled=False)
    problems = []
    if decode(encode(program)) != program:
        problems.append("the file is not the program")
    for name in chip:
        if not np.array_equal(chip[name], stepped[name], equal_nan=chip[name].dtype.kind == "f"):
            problems.append(f"{name}: the compiled form differs from the interpreter")
    real = tinsmith.dequantize(program, chip)
    wanted = reference(found, feeds)
    snr, steps, parts = inf, 0.0, 0.0
    for name, expected in case.expected.items():
        if real[name].shape != expected.shape and (expected.shape or real[name].shape != (1,)):
            problems.append(f"{name}: shape {real[name].shape} instead of {expected.shape}")
            continue
        if (real[name].dtype.kind == "f") != (expected.dtype.kind == "f"):
            problems.append(f"{name}: {real[name].dtype} instead of {expected.dtype}")
        snr = min(snr, _snr(real[name], expected))
        apart = _distance(real[name], wanted[name])
        if program.values[name].dtype.name == "FLOAT":
            largest = float(np.max(np.abs(wanted[name]), initial=0, where=np.isfinite(wanted[name])))
            parts = max(parts, apart / (largest or 1.0) * 1e6)
        else:
            steps = max(steps, apart * 2.0 ** -program.values[name].exponent)
    return Outcome(case, "", "", snr, steps, parts, tuple(node.op_type for node in program.nodes), tuple(problems))


def _snr(found: Array, expected: Array) -> float:
    with np.errstate(invalid="ignore"):
        signal = expected.astype(np.float64)
        noise = np.where(found == expected, 0.0, found.astype(np.float64) - signal)
    power, error = float((signal**2).sum()), float((noise**2).sum())
    return inf if error == 0 else 10 * log10(power / error) if power > 0 and error < inf else -inf


def _distance(found: Array, wanted: Array) -> float:
    with np.errstate(invalid="ignore"):
        apart = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
        apart = np.where((found == wanted) | (np.isnan(wanted) & np.isnan(found)), 0.0, apart)
    return float(np.max(apart, initial=0))


def reference(found: Quantized, feeds: dict[str, Array]) -> dict[str, Array]:
    """Outputs of the float network whose every value and constant is rounded to the format it has on the chip."""
    model = ir.to_proto(found.model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    values = _Rounded(model.graph, found)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for value in model.graph.input:
        values.declare(value.name, value.name)
    for node in nodes:
        for index, name in enumerate(node.input):
            spec = found.formats.at(node.name, index, name)
            if name in constants and spec is not None:
                array = onnx.numpy_helper.to_array(constants[name])
                node.input[index] = values.constant(array, spec, f"{node.name}/{index}")
            elif name and name not in constants:
                node.input[index] = values.read(name, spec)
        for index, name in enumerate(node.output):
            node.output[index] = f"{name}/exact"
        model.graph.node.append(node)
        for index, name in enumerate(node.output):
            plain = name.removesuffix("/exact")
            if plain:
                values.declare(plain, name)
            else:
                node.output[index] = ""
    for value in model.graph.output:
        inner = values.read(value.name, found.formats.values.get(value.name))
        model.graph.node.append(onnx.helper.make_node("Identity", [inner], [value.name]))
    used = {name for node in model.graph.node for name in node.input}
    left = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(left)
    typed = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shaped = feeds[value.name].reshape([dim.dim_value for dim in tensor.shape.dim])
        typed[value.name] = shaped.astype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return Runner(ir.from_proto(model), threads=1)(typed)


class _Rounded:
    """Values of the graph and their rounded copies."""

    def __init__(self, graph: onnx.GraphProto, found: Quantized) -> None:
        self._graph = graph
        self._formats = found.formats.values
        self._rounding = found.target.rounding
        self._names: dict[tuple[str, Format | None], str] = {}

    def declare(self, name: str, exact: str) -> None:
        """A value as the network computes it; rounds it to its own format."""
        own = self._formats.get(name)
        self._names[name, own] = self._round(exact, name, own) if own is not None else exact

    def read(self, name: str, spec: Format | None) -> str:
        """The copy in a format: rounded twice where it is not the value's own."""
        own = self._formats.get(name)
        spec = own if spec is None else spec
        if (name, spec) not in self._names:
            assert spec is not None
            self._names[name, spec] = self._round(self._names[name, own], name, spec)
        return self._names[name, spec]

    def constant(self, array: Array, spec: Format, label: str) -> str:
        """A constant as it is stored."""
        stored = spec.dequantize(spec.quantize(array, self._rounding))
        self._graph.initializer.append(onnx.numpy_helper.from_array(stored.astype(np.float32), label))
        return label

    def _round(self, source: str, name: str, spec: Format) -> str:
        low, high = qrange(spec.bits)
        up = self._rounding is Rounding.HALF_UP
        ops: list[tuple[str, list[float]]] = [("Mul", [2.0**-spec.exponent])]
        ops += [("Clip", [low - 1.0, high + 1.0])] + ([("Add", [0.5]), ("Floor", [])] if up else [("Round", [])])
        ops += [("Clip", [low, high]), ("Mul", [2.0**spec.exponent])]
        for op, numbers in ops:
            result = f"{name}/{spec.bits}/{spec.exponent}/{len(self._graph.node)}"
            inputs = [self._number(number) for number in numbers]
            self._graph.node.append(onnx.helper.make_node(op, [source, *inputs], [result], name=result))
            source = result
        return source

    def _number(self, number: float) -> str:
        label = f"number/{len(self._graph.initializer)}"
        self._graph.initializer.append(onnx.helper.make_tensor(label, onnx.TensorProto.FLOAT, [], [number]))
        return label
