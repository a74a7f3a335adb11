"""The float network as operators see it: a frozen, plain view of the canonical ONNX graph.

`tinsmith.graph` builds it once; placement, scale choice and lowering read it and never touch the ONNX model again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatAttribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Array


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """A tensor of the float network.

    Attributes:
        name: Name in the user's graph.
        shape: Static shape, ONNX order (NCHW).
        dtype: Element type of the float model (float32, int64, bool).
        const: Its elements where it is a constant, else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    const: Array | None = None

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class FloatNode:
    """One node of the canonical float network.

    Attributes:
        op_type: ONNX operator, opset 24.
        name: Unique, from the user's graph where it had one.
        inputs: Operands; None where an optional input is absent.
        outputs: Operands computed here.
        attributes: ONNX attributes that are present, as plain values.
        body: The nodes that compute it, in order, where it stands for several (`tinsmith.ops.functions`).
        sources: Names of the nodes of the user's graph that it does the work of, and of the modules those come from.
    """

    op_type: str
    name: str
    inputs: tuple[Operand | None, ...]
    outputs: tuple[Operand, ...]
    attributes: Mapping[str, FloatAttribute] = field(default_factory=dict)
    body: tuple[FloatNode, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The node, as messages name it."""
        return f"{self.op_type} {self.name!r}"

    def input(self, index: int) -> Operand:
        """Input ``index``, which must be present."""
        operand = self.inputs[index]
        if operand is None:
            raise IndexError(f"input {index} of {self.name} is absent")
        return operand

    def has(self, index: int) -> bool:
        """Whether optional input ``index`` is present."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def const(self, index: int) -> Array | None:
        """Elements of input ``index`` where it is present and constant."""
        if not self.has(index):
            return None
        return self.input(index).const

    def integer(self, name: str, default: int) -> int:
        """An integer attribute or its ONNX default."""
        value = self.attributes.get(name, default)
        assert isinstance(value, int)
        return value

    def real(self, name: str, default: float) -> float:
        """A float attribute or its ONNX default."""
        value = self.attributes.get(name, default)
        assert isinstance(value, (int, float))
        return value

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list-of-integers attribute or its default."""
        value = self.attributes.get(name, default)
        assert isinstance(value, tuple)
        return tuple(int(v) for v in value)

    def text(self, name: str, default: str) -> str:
        """A string attribute or its ONNX default."""
        value = self.attributes.get(name, default)
        assert isinstance(value, str)
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The canonical float network, nodes in topological order."""

    nodes: tuple[FloatNode, ...]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    name: str = ""


def readers(network: Network) -> dict[str, list[FloatNode]]:
    """By value name: the nodes that read it, in order, once for each input that does."""
    found: dict[str, list[FloatNode]] = {}
    for node in network.nodes:
        for operand in node.inputs:
            if operand is not None:
                found.setdefault(operand.name, []).append(node)
    return found
