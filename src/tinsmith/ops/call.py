"""What a kernel sees: one node of a `Program` and the integers that reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from numpy.typing import NDArray

from tinsmith.errors import ProgramError
from tinsmith.program import DType, Node, Tensor, Value
from tinsmith.targets import Target

Array = NDArray[Any]
Observed = dict[str, dict[str, int]]
"""What kernels noticed during runs: facts by node name."""
T = TypeVar("T")

_LARGEST = frozenset({"peak", "reach"})


def merge_facts(into: Observed, name: str, facts: Mapping[str, int]) -> None:
    """Add facts about a node to what is known: counts add up, of a ``peak`` or ``reach`` the largest stays."""
    mine = into.setdefault(name, {})
    for key, value in facts.items():
        mine[key] = max(mine.get(key, 0), value) if key in _LARGEST else mine.get(key, 0) + value


@dataclass(frozen=True, slots=True, eq=False)
class Arg:
    """An input tensor: its elements in the file's layout, and its exponents."""

    data: Array
    exponents: tuple[int, ...] = (0,)

    @property
    def exponent(self) -> int:
        """The per-tensor exponent (the first one where there are several)."""
        return self.exponents[0] if self.exponents else 0


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One execution of one node.

    Attributes:
        node: The program's node.
        inputs: Arguments in order; None where an optional input is absent.
        outputs: What to compute: trust `name`, `dtype` and `exponents`, never `shape`.
        target: The chip.
        constants: All constants of the program (look-up tables are found here by name).
        state: Memory of nodes that keep some between runs, by node name; the simulator owns and resets it.
        observe: Where kernels leave facts about the run, such as accumulators that saturated; by node name.
    """

    node: Node
    inputs: tuple[Arg | None, ...]
    outputs: tuple[Value, ...]
    target: Target
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    observe: Observed = field(default_factory=dict)

    def arg(self, index: int) -> Arg:
        """Input ``index``.

        Raises:
            ProgramError: The node has no such input.
        """
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise ProgramError(f"input {index} is missing.", subject=self.node.subject)
        return found

    def optional(self, index: int) -> Arg | None:
        """Input ``index`` or None where it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    @property
    def out(self) -> Value:
        """The first output."""
        return self.outputs[0]

    @property
    def bits(self) -> int:
        """Width of the first output's integers (32 for float)."""
        return self.out.dtype.bits

    @property
    def is_float(self) -> bool:
        """Whether the node computes in float (quant_type F32)."""
        return self.out.dtype is DType.FLOAT

    def attr(self, name: str, default: T) -> T:
        """An attribute, or ``default``; integers are accepted where a float is expected.

        Raises:
            ProgramError: The attribute has another type.
        """
        value = self.node.attributes.get(name)
        if value is None:
            return default
        if isinstance(default, float) and isinstance(value, int):
            return float(value)  # type: ignore[return-value]
        if not isinstance(value, type(default)):
            raise ProgramError(
                f"attribute {name!r} is {type(value).__name__}, expected {type(default).__name__}.",
                subject=self.node.subject,
            )
        return value

    @property
    def table(self) -> Array | None:
        """The look-up table the node's `lut` attribute names, if any."""
        name = self.node.attributes.get("lut")
        if name is None:
            return None
        if not isinstance(name, str) or name not in self.constants:
            raise ProgramError(f"table {name!r} is missing.", subject=self.node.subject)
        return self.constants[name].data
