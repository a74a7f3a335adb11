"""Lowering: layouts, borders between formats, and the operators' own nodes.

Every float value has a *root*, the program value that holds it, and a *perm*, the order of dimensions in which the root
holds it. Transposes of the user's graph only relabel the perm; a Transpose node appears where a consumer wants another
order than the root's, at most once per order and format. So chains of Transposes, and Transposes around operators that
take any order, fold away by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tinsmith.lower.sink import ProgramSink
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.ops.layouts import Perm, channels_last, identity, inverse
from tinsmith.ops.lowering import PLAIN, Lowering, Slot
from tinsmith.ops.ports import Kind, Port
from tinsmith.ops.steps import Step, steps
from tinsmith.program import DType, Program
from tinsmith.quant.format import Format, Formats
from tinsmith.targets import Target

QUANT_TYPE = {8: "S8", 16: "S16", 32: "F32"}
OPSET = 24


@dataclass(frozen=True, slots=True)
class Home:
    """Where a float value lives in the program."""

    root: str
    perm: Perm
    format: Format | None


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program, and how its inputs and outputs are laid out.

    Attributes:
        program: The program, without metadata.
        perms: For each graph input and output, ``file_shape[i] = onnx_shape[perm[i]]``.
        homes: Where each float value that is not inside a fused step lives in the program.
    """

    program: Program
    perms: Mapping[str, Perm]
    homes: Mapping[str, Home] = field(default_factory=dict)


_ORIGIN = "origin"
"""Key of a program's memo."""


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """What a program was lowered from."""

    network: Network
    formats: Formats
    bits: Mapping[str, int]
    homes: Mapping[str, Home]


def inherit_origin(program: Program, lowered: Lowered) -> Program:
    """The program, which differs from the lowered one in nothing but metadata, so that `homes_in` knows it."""
    program.memo[_ORIGIN] = lowered.program.memo[_ORIGIN]
    return program


def homes_in(
    program: Program, network: Network, formats: Formats, bits: Mapping[str, int], target: Target
) -> Mapping[str, Home] | None:
    """Where the network's values live in a program that was lowered from it; None where it was not."""
    origin = program.memo.get(_ORIGIN)
    same = isinstance(origin, _Origin) and origin.network is network and origin.formats is formats
    if isinstance(origin, _Origin) and same and origin.bits == bits:
        return origin.homes
    lowered = lower(network, formats, bits, target)
    return lowered.homes if lowered.program.nodes == program.nodes else None


def lower(network: Network, formats: Formats, bits: Mapping[str, int], target: Target) -> Lowered:
    """Turn the network into the program the chip gets.

    Each graph input is laid out channels-last or in the ONNX order, whichever needs fewer Transposes; where that makes
    no difference, channels-last.

    Args:
        network: The canonical float network.
        formats: The chosen formats.
        bits: Width of each node by name: 8, 16, or 32 for float.
        target: The chip.

    Raises:
        QuantizationError: A constant does not fit where the chip needs it (see the operators).
    """
    perms = {operand.name: channels_last(operand.rank) for operand in network.inputs}
    best = _Lowerer(network, formats, bits, target).run(perms)
    turnable = [operand.name for operand in network.inputs if operand.rank >= 3]
    alone = [[name] for name in turnable] if len(turnable) > 1 else []
    for names in (turnable, *alone):
        if not names or not _transposes(best):
            break
        turned = {**perms, **{name: _other(perms[name]) for name in names}}
        found = _Lowerer(network, formats, bits, target).run(turned)
        if _transposes(found) < _transposes(best):
            best, perms = found, turned
    best.program.memo[_ORIGIN] = _Origin(network, formats, dict(bits), best.homes)
    return best


def _other(perm: Perm) -> Perm:
    return identity(len(perm)) if perm != identity(len(perm)) else channels_last(len(perm))


def _transposes(lowered: Lowered) -> int:
    return sum(node.op_type == "Transpose" for node in lowered.program.nodes)


class _Lowerer:
    def __init__(self, network: Network, formats: Formats, bits: Mapping[str, int], target: Target) -> None:
        self.network = network
        self.formats = formats
        self.bits = bits
        self.target = target
        values = [*network.inputs, *(output for node in network.nodes for output in node.outputs)]
        constants = [i for node in network.nodes for i in node.inputs if i is not None and i.const is not None]
        self.sink = ProgramSink((operand.name for operand in values), (operand.name for operand in constants))
        self.homes: dict[str, Home] = {}
        self.renames: dict[str, str] = {}
        self.variants: dict[tuple[str, Perm, Format | None], str] = {}
        self.input_names = {operand.name for operand in network.inputs}
        self.outputs = {operand.name for operand in network.outputs}

    def run(self, input_perms: Mapping[str, Perm]) -> Lowered:
        for operand in self.network.inputs:
            self._declare(operand, input_perms[operand.name], self.formats.values.get(operand.name))
        for step in steps(self.network, self.formats):
            order = operators()[step.node.op_type].permutes
            if order is not None:
                self._relabel(step.node, order(step.node))
            else:
                self._step(step)
        self.sink.rename(self.renames)
        values = self.sink.values
        perms = {o.name: self.homes[o.name].perm for o in (*self.network.inputs, *self.network.outputs)}
        program = Program(
            nodes=tuple(self.sink.nodes),
            inputs=tuple(values[operand.name] for operand in self.network.inputs),
            outputs=tuple(values[operand.name] for operand in self.network.outputs),
            values=dict(values),
            constants=self.sink.constants,
            name=self.network.name,
            opset={"": OPSET},
        )
        homes = {name: replace(home, root=self.renames.get(home.root, home.root)) for name, home in self.homes.items()}
        return Lowered(program, perms, homes)

    def _declare(self, operand: Operand, perm: Perm, chosen: Format | None) -> Slot:
        """Give a value of the user's graph a value of the program, under its own name."""
        shape = tuple(operand.shape[axis] for axis in perm)
        slot = Slot(operand.name, shape, perm, _dtype(operand, chosen), chosen)
        self.sink.declare(operand.name, slot.dtype, shape, slot.exponents)
        self.homes[operand.name] = Home(operand.name, perm, chosen)
        self.variants[operand.name, identity(len(perm)), chosen] = operand.name
        return slot

    def _relabel(self, node: FloatNode, order: Perm) -> None:
        """A Transpose of the user's graph: the same root, its axes renamed. Graph outputs get the order asked for."""
        source, output = node.input(0), node.outputs[0]
        home, back = self.homes[source.name], inverse(order)
        chosen = self.formats.values.get(output.name) if self.bits[node.name] != 32 else None
        root = self._converted(home, chosen, source)
        perm = tuple(back[axis] for axis in home.perm)
        self.homes[output.name] = Home(root, perm, chosen)
        if output.name not in self.outputs:
            return
        if perm == identity(output.rank) and self._can_rename(root):
            self.renames[root] = output.name
            return
        self._declare(output, identity(output.rank), chosen)
        self._transpose(root, output.name, inverse(perm), chosen, node.name)

    def _can_rename(self, root: str) -> bool:
        """Whether nobody outside knows the root by its name."""
        return root not in self.outputs and root not in self.renames and root not in self.input_names

    def _transpose(self, source: str, result: str, move: Perm, chosen: Format | None, node_name: str) -> None:
        kind = QUANT_TYPE[chosen.bits if chosen is not None else 32]
        self.sink.add_node("Transpose", node_name, [source], [result], {"perm": move, "quant_type": kind})

    def _step(self, step: Step) -> None:
        node = step.node
        operator = operators()[node.op_type]
        ports = operator.ports(node, self.target)
        available = [
            self.homes[operand.name].perm if operand is not None and operand.const is None else None
            for operand in node.inputs
        ]
        wanted, given = operator.layout(node, available)
        bits = self.bits[node.name]
        outputs = tuple(
            self._declare(operand, perm, self._output_format(operand, port, bits))
            for operand, perm, port in zip(step.outputs, given, ports.outputs, strict=True)
        )
        tied = outputs[0].format if ports.tied else None
        needed = [
            tied if index in ports.tied else self._needed(node, index, port, bits)
            for index, port in enumerate(ports.inputs)
        ]
        inputs = tuple(
            None if operand is None else self._arrive(operand, perm, port, chosen)
            for operand, perm, port, chosen in zip(node.inputs, wanted, ports.inputs, needed, strict=True)
        )
        call = Lowering(node, inputs, outputs, QUANT_TYPE[bits], step.activation, self.target, self.sink)
        operator.lower(call)

    def _output_format(self, operand: Operand, port: Port, bits: int) -> Format | None:
        if port.kind is not Kind.ACTIVATION or bits == 32:
            return None
        return self.formats.values.get(operand.name)

    def _needed(self, node: FloatNode, index: int, port: Port, bits: int) -> Format | None:
        if port.kind in (Kind.RAW, Kind.FLOAT, Kind.BOOL) or bits == 32 or not node.has(index):
            return None
        return self.formats.at(node.name, index, node.input(index).name)

    def _arrive(self, operand: Operand, perm: Perm | None, port: Port, needed: Format | None) -> Slot:
        """An input in the layout and format its node needs, inserting what is missing on the way."""
        order = perm if perm is not None else identity(operand.rank)
        if operand.const is not None:
            shape = (1,) * (len(order) - operand.rank) + operand.shape
            laid_out = tuple(shape[axis] for axis in order)
            return Slot(operand.name, laid_out, order, _dtype(operand, needed), needed, operand.const)
        home = self.homes[operand.name]
        raw = port.kind in (Kind.RAW, Kind.BOOL)
        root = home.root if raw else self._converted(home, needed, operand)
        move = tuple(home.perm.index(axis) for axis in order)
        shape = tuple(operand.shape[axis] for axis in order)
        chosen = home.format if raw else needed
        if move != identity(len(move)):
            root = self._moved(root, move, shape, chosen, operand)
        return Slot(root, shape, order, _dtype(operand, chosen), chosen)

    def _converted(self, home: Home, needed: Format | None, operand: Operand) -> str:
        """The root in another format: RequantizeLinear, QuantizeLinear or DequantizeLinear, once each."""
        key = (home.root, identity(len(home.perm)), needed)
        if key not in self.variants:
            source = self.sink.values[home.root]
            dtype = _dtype(operand, needed)
            exponents = (0,) if needed is None else needed.exponents
            if home.format is None:
                op_type, suffix, scale, integer = "QuantizeLinear", "quantized", exponents[0], dtype
            elif needed is None:
                op_type, suffix, scale, integer = "DequantizeLinear", "float", home.format.exponent, source.dtype
            else:
                scale = needed.exponent - home.format.exponent
                op_type, suffix, integer = "RequantizeLinear", "requantized", dtype
            name = self.sink.add_value(f"{home.root}_{suffix}", dtype, source.shape, exponents)
            factor = np.ldexp(np.float32(1), scale)
            inputs = [
                home.root,
                self.sink.add_constant(f"{name}_scale", np.asarray(factor, np.float32), (0,), PLAIN),
                self.sink.add_constant(f"{name}_zero_point", np.zeros((), integer.numpy), (0,), PLAIN),
            ]
            kind = QUANT_TYPE[integer.bits]
            self.sink.add_node(op_type, f"{name}_{op_type}", inputs, [name], {"quant_type": kind})
            self.variants[key] = name
        return self.variants[key]

    def _moved(self, root: str, move: Perm, shape: tuple[int, ...], chosen: Format | None, operand: Operand) -> str:
        """The root in another order: one Transpose per order and format."""
        key = (root, move, chosen)
        if key not in self.variants:
            exponents = (0,) if chosen is None else chosen.exponents
            name = self.sink.add_value(f"{root}_transposed", _dtype(operand, chosen), shape, exponents)
            self._transpose(root, name, move, chosen, f"{name}_Transpose")
            self.variants[key] = name
        return self.variants[key]


def _dtype(operand: Operand, chosen: Format | None) -> DType:
    if chosen is not None:
        return DType.INT8 if chosen.bits == 8 else DType.INT16
    if operand.dtype.kind == "f":
        return DType.FLOAT
    return DType.of(operand.dtype)
