"""Collects nodes, constants and values of the program under construction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from tinsmith.ops.floatnode import Array
from tinsmith.program import Attribute, DType, Node, Tensor, Value


class ProgramSink:
    """Implements `tinsmith.ops.lowering.Sink`: unique names, shared tables, initializers in the file's order.

    Args:
        values: Names of the values of the user's graph; nothing else may take them.
        constants: Names of its constants, likewise.
    """

    def __init__(self, values: Iterable[str], constants: Iterable[str]) -> None:
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self._tables: dict[str, Tensor] = {}
        self._table_names: dict[tuple[str, bytes, tuple[int, ...]], str] = {}
        self._table_counts: Counter[str] = Counter()
        self._parameters: dict[str, Tensor] = {}
        self._own_constants = frozenset(constants)
        self._taken = {*values, *self._own_constants}
        self._node_names: set[str] = set()

    @property
    def constants(self) -> dict[str, Tensor]:
        """Tables in node order, then parameters (file format §3)."""
        return {**self._tables, **self._parameters}

    def reserve(self, name: str) -> str:
        """A name nobody else has, ``name`` itself where it is free."""
        candidate, count = name, 0
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate

    def add_node(
        self, op_type: str, name: str, inputs: list[str], outputs: list[str], attributes: Mapping[str, Attribute]
    ) -> None:
        """Append a node; a node name already used gets a number."""
        unique, count = name, 0
        while unique in self._node_names:
            count += 1
            unique = f"{name}_{count}"
        self._node_names.add(unique)
        ordered = dict(sorted(attributes.items()))
        self.nodes.append(Node(op_type, unique, tuple(inputs), tuple(outputs), ordered))

    def add_constant(self, name: str, data: Array, exponents: tuple[int, ...], doc: str) -> str:
        """Add an initializer, or find the equal one added under the same name before."""
        frozen = _frozen(data)
        candidate, count = name, 0
        while candidate in self._parameters or (candidate in self._taken and candidate not in self._own_constants):
            if self._parameters.get(candidate) == Tensor(candidate, frozen, exponents, doc):
                return candidate
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        self._parameters[candidate] = Tensor(candidate, frozen, exponents, doc)
        return candidate

    def add_table(self, op_type: str, data: Array, exponents: tuple[int, ...]) -> str:
        """Add a look-up table, or find an equal one."""
        key = (data.dtype.str, data.tobytes(), exponents)
        if key not in self._table_names:
            name = self.reserve(f"{op_type}_lut_{self._table_counts[op_type]}")
            self._table_counts[op_type] += 1
            self._tables[name] = Tensor(name, _frozen(data), exponents)
            self._table_names[key] = name
        return self._table_names[key]

    def add_value(self, name: str, dtype: DType, shape: tuple[int, ...], exponents: tuple[int, ...]) -> str:
        """Declare an intermediate value under a unique name derived from ``name``."""
        unique = self.reserve(name)
        self.values[unique] = Value(unique, dtype, shape, exponents)
        return unique

    def declare(self, name: str, dtype: DType, shape: tuple[int, ...], exponents: tuple[int, ...]) -> None:
        """Declare a value of the user's graph under its own, reserved name."""
        self.values[name] = Value(name, dtype, shape, exponents)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give values other names, wherever they stand."""
        if names:
            self.nodes = [
                replace(n, inputs=_renamed(n.inputs, names), outputs=_renamed(n.outputs, names)) for n in self.nodes
            ]
            values = [replace(value, name=names.get(value.name, value.name)) for value in self.values.values()]
            self.values = {value.name: value for value in values}


def _renamed(operands: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(name, name) for name in operands)


def _frozen(data: Array) -> Array:
    copy = np.array(data, order="C")
    copy.setflags(write=False)
    return copy
