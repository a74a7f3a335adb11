"""Programs to plan, and a strategy that draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from tinsmith.program import Array, DType, Node, Program, Tensor, Value

INTEGERS = (DType.INT8, DType.INT16)


@dataclass
class Builder:
    """A program under construction, of tensors of one dimension unless said otherwise."""

    inputs: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def input(self, *shape: int, dtype: DType = DType.INT8) -> str:
        name = f"in{len(self.inputs)}"
        self.values[name] = Value(name, dtype, shape)
        self.inputs.append(name)
        return name

    def constant(self, data: Array) -> str:
        name = f"const{len(self.constants)}"
        self.constants[name] = Tensor(name, data)
        return name

    def node(
        self,
        op_type: str,
        *inputs: str,
        lengths: tuple[int, ...] = (),
        dtype: DType | None = None,
        attributes: Mapping[str, int | str | tuple[int, ...]] | None = None,
    ) -> str:
        """Add a node with outputs of these lengths, by default one like the first input; the first output's name."""
        base = f"t{len(self.nodes)}"
        like = self.values.get(inputs[0])
        shapes = [(length,) for length in lengths] or [like.shape if like else ()]
        names = tuple(base + letter for letter, _ in zip(("", "b", "c"), shapes, strict=False))
        for name, shape in zip(names, shapes, strict=True):
            self.values[name] = Value(name, dtype or (like.dtype if like else DType.INT8), shape)
        self.nodes.append(Node(op_type, base, inputs, names, attributes or {}))
        return base

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(np.asarray(shape, np.int64)))

    def length(self, name: str) -> int:
        found = self.values[name].shape if name in self.values else self.constants[name].shape
        return found[0]

    def program(self, *outputs: str) -> Program:
        return Program(
            tuple(self.nodes),
            tuple(self.values[name] for name in self.inputs),
            tuple(self.values[name] for name in outputs),
            self.values,
            self.constants,
        )


LENGTHS = st.sampled_from([0, 1, 2, 7, 8, 16, 17, 31, 48, 64, 100])


@st.composite
def programs(draw: st.DrawFn, nodes: int = 25) -> Program:
    """Programs whose nodes share buffers in every way, or do not."""
    build = Builder()
    for _ in range(draw(st.integers(1, 3))):
        build.input(draw(LENGTHS), dtype=draw(st.sampled_from(INTEGERS)))
    for _ in range(draw(st.integers(1, nodes))):
        names = list(build.values)
        x = names[-1 - draw(st.integers(0, min(4, len(names) - 1)))]
        kinds = [_same, _same, _same, _taken_apart, _put_together]
        if build.values[x].dtype in INTEGERS:
            kinds += [_converted, _combined, _combined]
        draw(st.sampled_from(kinds))(draw, build, x)
    outputs = draw(st.lists(st.sampled_from(list(build.values)), min_size=1, max_size=4, unique=True))
    return build.program(*outputs)


def _same(draw: st.DrawFn, build: Builder, x: str) -> None:
    """As many elements of the same type: clean, dirty or in memory of its own."""
    operators = ["Identity", "Reshape", "Transpose"]
    if build.values[x].dtype in INTEGERS:
        operators += ["Relu", "Relu", "Neg"]
    operator = draw(st.sampled_from(operators))
    if operator == "Reshape":
        build.reshape(x, build.length(x))
    else:
        build.node(operator, x, attributes={"perm": (0,)} if operator == "Transpose" else {})


def _taken_apart(draw: st.DrawFn, build: Builder, x: str) -> None:
    """Two outputs, one of which nobody may read."""
    length = build.length(x)
    part = draw(st.integers(0, length))
    parts = build.constant(np.asarray([part, length - part], np.int64))
    build.node("Split", x, parts, lengths=(part, length - part), attributes={"axis": 0})


def _put_together(draw: st.DrawFn, build: Builder, x: str) -> None:
    """Concat with a tensor of its type, which may be itself."""
    y = draw(st.sampled_from([n for n, value in build.values.items() if value.dtype is build.values[x].dtype]))
    if build.length(x) + build.length(y) < 300:
        build.node("Concat", x, y, lengths=(build.length(x) + build.length(y),), attributes={"axis": 0})


def _converted(draw: st.DrawFn, build: Builder, x: str) -> None:
    """Elements of another size, and an absent input."""
    scale = build.constant(np.asarray(1.0, np.float32))
    if draw(st.booleans()):
        build.node("DequantizeLinear", x, scale, "", dtype=DType.FLOAT)
    else:
        other = DType.INT16 if build.values[x].dtype is DType.INT8 else DType.INT8
        build.node("RequantizeLinear", x, scale, "", dtype=other)


def _combined(draw: st.DrawFn, build: Builder, x: str) -> None:
    """Two operands, either of which may be constant, the same one twice, or a single element."""
    dtype, length = build.values[x].dtype, build.length(x)
    likes = [n for n, value in build.values.items() if value.dtype is dtype and build.length(n) in (1, length)]
    y = draw(st.sampled_from([*likes, ""])) or build.constant(np.zeros(length, dtype.numpy))
    pair = (x, y) if draw(st.booleans()) else (y, x)
    operator = draw(st.sampled_from(["Add", "Add", "Sub", "Equal"]))
    result = DType.BOOL if operator == "Equal" else dtype
    build.node(operator, *pair, lengths=(length,), dtype=result)
