"""Float networks as the stages see them, built by hand: shapes are stated, nothing is inferred or rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinsmith.lower import lower
from tinsmith.lower.lowerer import Lowered
from tinsmith.ops.floatnode import FloatAttribute, FloatNode, Network, Operand
from tinsmith.quant.format import Format, Formats
from tinsmith.targets import TARGETS, Target

S3, P4, C = TARGETS["esp32s3"], TARGETS["esp32p4"], TARGETS["c"]


@dataclass
class Net:
    """A network under construction."""

    operands: dict[str, Operand] = field(default_factory=dict)
    nodes: list[FloatNode] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def input(self, name: str, *shape: int) -> str:
        self.operands[name] = Operand(name, shape, np.dtype(np.float32))
        self.inputs.append(name)
        return name

    def const(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        array = np.asarray(values, dtype)
        self.operands[name] = Operand(name, array.shape, array.dtype, array)
        return name

    def add(
        self,
        op_type: str,
        inputs: Sequence[str],
        output: str,
        shape: tuple[int, ...] | None = None,
        **attributes: FloatAttribute,
    ) -> str:
        """A node called as its output in capitals; the shape is that of the first input by default."""
        found = tuple(self.operands[name] if name else None for name in inputs)
        first = self.operands[inputs[0]]
        self.operands[output] = Operand(output, first.shape if shape is None else shape, np.dtype(np.float32))
        self.nodes.append(FloatNode(op_type, output.upper(), found, (self.operands[output],), attributes))
        return output

    def conv(self, source: str, output: str, filters: int, kernel: int = 1) -> str:
        """A Conv of stride 1 that keeps height and width, with weights 1, 2, 3, … modulo 5."""
        batch, channels, *lengths = self.operands[source].shape
        shape = (filters, channels, *(kernel for _ in lengths))
        weights = self.const(f"{output}.w", np.arange(np.prod(shape)).reshape(shape) % 5 - 2)
        pads = (kernel // 2,) * (2 * len(lengths))
        return self.add(
            "Conv", [source, weights], output, (batch, filters, *lengths), pads=pads, kernel_shape=shape[2:]
        )

    def network(self, *outputs: str) -> Network:
        return Network(
            tuple(self.nodes),
            tuple(self.operands[name] for name in self.inputs),
            tuple(self.operands[name] for name in outputs),
            "net",
        )

    def formats(
        self, *, bits: int = 8, uses: Mapping[tuple[str, int], Format] | None = None, **others: int | Format | None
    ) -> Formats:
        """Exponent 0 for every value and constant, except where ``others`` says otherwise; None is float."""
        values = {name: Format(bits, (0,)) for name, operand in self.operands.items() if operand.dtype.kind == "f"}
        for name, chosen in others.items():
            if chosen is None:
                del values[name]
            else:
                values[name] = chosen if isinstance(chosen, Format) else Format(bits, (chosen,))
        return Formats(values, uses or {})

    def lowered(
        self, *outputs: str, target: Target = S3, formats: Formats | None = None, bits: Mapping[str, int] | None = None
    ) -> Lowered:
        """The program; nodes are 8 bits wide unless ``bits`` says otherwise."""
        widths = {node.name: 8 for node in self.nodes} | dict(bits or {})
        return lower(self.network(*outputs), self.formats() if formats is None else formats, widths, target)


def kinds(lowered: Lowered) -> list[str]:
    """The operators of a program, in order."""
    return [node.op_type for node in lowered.program.nodes]
