"""Which values share an exponent (file format §4 rule 2), and where a RequantizeLinear may stand between two exponents.

* Operators that move data tie their input to their outputs: no choice.
* Add, Sub, Concat… add raw integers: every operand must *arrive* with the output's exponent. An operand that nobody
  else reads and whose producer can deliver any exponent joins the output's group, so it costs nothing; so do the
  operands of a Concat behind layers with one and the same activation. Any other
  operand keeps a group of its own (a *border*): where the exponents end up different, lowering inserts a
  RequantizeLinear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand, readers
from tinsmith.ops.ports import Kind, Port, Ports
from tinsmith.ops.steps import upper_bound
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True)
class Border:
    """An input that must arrive in another group's format.

    Attributes:
        node: Node name.
        index: Input index.
        value: The value that is read.
        group: The group whose exponent it must arrive in; None where it only changes width.
        bits: The width it must arrive in.
        exponent: The exponent it must arrive in, where the runtime dictates one.
    """

    node: str
    index: int
    value: str
    group: int | None
    bits: int
    exponent: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The partition of all quantized values.

    Attributes:
        of: Group by value name.
        bits: Width by group.
        measured: By group: the values whose error decides; copies of others and values that only an activation reads
            do not.
        constants: By group: constants that must be written with its exponent.
        borders: Inputs that may need a RequantizeLinear.
        pinned: By group: the exponent the runtime dictates.
    """

    of: Mapping[str, int]
    bits: Mapping[int, int]
    measured: Mapping[int, tuple[str, ...]]
    constants: Mapping[int, tuple[Operand, ...]]
    borders: tuple[Border, ...]
    pinned: Mapping[int, int]


def group(network: Network, bits: Mapping[str, int], target: Target) -> Groups:
    """Partition the quantized values of a network.

    Args:
        network: The canonical float network.
        bits: Width of each node by name (32 for float).
        target: The chip.
    """
    return _Grouping(network, bits, target).run()


class _Grouping:
    def __init__(self, network: Network, bits: Mapping[str, int], target: Target) -> None:
        self.network = network
        self.bits = bits
        self.target = target
        self.parent: dict[str, str] = {}
        self.width: dict[str, int] = {}
        self.readers = readers(network)
        self.uses = Counter({name: len(nodes) for name, nodes in self.readers.items()})
        self.uses.update(operand.name for operand in network.outputs)
        self.free: set[str] = set()
        self.copies: set[str] = set()
        self.ceilings: dict[str, float] = {}
        self.tied_constants: list[tuple[str, Operand]] = []
        self.pending: list[tuple[str, int, str, str | None, int, int | None]] = []
        self.pins: dict[str, int] = {}

    def run(self) -> Groups:
        for operand in self.network.inputs:
            self._input(operand)
        for node in self.network.nodes:
            self._node(node, operators()[node.op_type].ports(node, self.target))
        roots = {root: index for index, root in enumerate(dict.fromkeys(self._root(name) for name in self.parent))}
        of = {name: roots[self._root(name)] for name in self.parent}
        measured: dict[int, list[str]] = {index: [] for index in roots.values()}
        for name, index in of.items():
            if name not in self.copies and not self._only_feeds_activation(name):
                measured[index].append(name)
        constants: dict[int, list[Operand]] = {index: [] for index in roots.values()}
        for output, constant in self.tied_constants:
            constants[of[output]].append(constant)
        return Groups(
            of,
            {index: self.width[root] for root, index in roots.items()},
            {index: tuple(names) for index, names in measured.items()},
            {index: tuple(found) for index, found in constants.items()},
            tuple(
                Border(node, index, value, None if output is None else of[output], width, exponent)
                for node, index, value, output, width, exponent in self.pending
            ),
            {of[name]: exponent for name, exponent in self.pins.items()},
        )

    def _root(self, name: str) -> str:
        while self.parent[name] != name:
            name = self.parent[name]
        return name

    def _union(self, first: str, second: str) -> None:
        self.parent[self._root(second)] = self._root(first)

    def _new(self, name: str, width: int) -> None:
        self.parent[name] = name
        self.width[name] = width

    def _input(self, operand: Operand) -> None:
        """A graph input takes the width of its first quantized reader; unread by any, it stays float."""
        for node in self.readers.get(operand.name, []):
            if self.bits[node.name] == 32:
                continue
            ports = operators()[node.op_type].ports(node, self.target)
            for read, port in zip(node.inputs, ports.inputs, strict=True):
                if read is not None and read.name == operand.name and port.kind in (Kind.ACTIVATION, Kind.WEIGHT):
                    self._new(operand.name, port.bits or self.bits[node.name])
                    return

    def _node(self, node: FloatNode, ports: Ports) -> None:
        width = self.bits[node.name]
        if width == 32:
            return
        outputs: list[str] = []
        for name, port in zip((o.name for o in node.outputs), ports.outputs, strict=True):
            if port.kind is Kind.ACTIVATION:
                self._new(name, port.bits or width)
                if port.exponent is None:
                    outputs.append(name)
                else:
                    self.pins[name] = port.exponent
        if ports.tied:
            for other in outputs[1:]:
                self._union(outputs[0], other)
        else:
            self.free.update(outputs)
        joined = len(ports.tied) > 1 and operators()[node.op_type].passive
        for index, operand in enumerate(node.inputs):
            if operand is None or ports.inputs[index].kind not in (Kind.ACTIVATION, Kind.WEIGHT):
                continue
            if operand.const is None and operand.name not in self.parent:
                self._float_born(operand, ports.inputs[index].bits or width)
            if index in ports.tied:
                joined &= self._tie(node, index, operand, outputs[0], moves=len(ports.tied) == 1)
            elif operand.const is None:
                self._read(node, index, operand, ports.inputs[index], width)
        if joined:
            self._joined(node, outputs[0])

    def _joined(self, node: FloatNode, output: str) -> None:
        """A Concat whose operands have all joined it can deliver what they can."""
        ceilings = {self.ceilings.get(operand.name) for operand in node.inputs if operand is not None}
        if ceilings == {None}:
            self.free.add(output)
        elif len(ceilings) == 1:
            self.ceilings.update((output, ceiling) for ceiling in ceilings if ceiling is not None)

    def _float_born(self, operand: Operand, width: int) -> None:
        """A value computed in float that is quantized where it is read; it can take any exponent there."""
        self._new(operand.name, width)
        self.free.add(operand.name)

    def _tie(self, node: FloatNode, index: int, operand: Operand, output: str, *, moves: bool) -> bool:
        """Whether the operand is now in the output's group."""
        if operand.const is not None:
            self.tied_constants.append((output, operand))
        else:
            same_width = self.width[operand.name] == self.width[output]
            joins = self.uses[operand.name] == 1 and (operand.name in self.free or self._among_equals(node, operand))
            if same_width and (moves or joins):
                self._union(operand.name, output)
                if joins and (ceiling := upper_bound(node)) is not None:
                    self.ceilings[output] = ceiling
                if moves and operators()[node.op_type].passive:
                    self.copies.update(o.name for o in node.outputs)
                return True
            self.pending.append((node.name, index, operand.name, output, self.width[output], None))
        return False

    def _among_equals(self, node: FloatNode, operand: Operand) -> bool:
        """Whether it is moved beside others, all behind activations of one ceiling, which whoever is before can meet.

        With another ceiling, or none, the exponent of all might be one at which the chip needs a node for this one.
        """
        ceiling = self.ceilings.get(operand.name)
        others = (other for other in node.inputs if other is not None)
        passive = operators()[node.op_type].passive
        return ceiling is not None and passive and all(self.ceilings.get(other.name) == ceiling for other in others)

    def _read(self, node: FloatNode, index: int, operand: Operand, port: Port, width: int) -> None:
        needed = port.bits or width
        if self.width[operand.name] != needed or port.exponent is not None:
            self.pending.append((node.name, index, operand.name, None, needed, port.exponent))

    def _only_feeds_activation(self, name: str) -> bool:
        """Whether only a Relu or a Clip from 0 of its own group reads it: the activation's error is what matters."""
        match self.readers.get(name, []):
            case [reader] if upper_bound(reader) is not None and reader.input(0).name == name:
                result = reader.outputs[0].name
                return self.uses[name] == 1 and result in self.parent and self._root(result) == self._root(name)
        return False
