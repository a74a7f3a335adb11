"""Programs for people: a summary of one, and the differences between two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tinsmith.program import Array, Attribute, Node, Program, Tensor, Value

_Item = TypeVar("_Item")

_SHOWN = 8
_MODEL_PARTS = (
    "name",
    "producer_name",
    "producer_version",
    "ir_version",
    "model_version",
    "domain",
    "doc",
    "graph_doc",
)


def inspect(program: Program) -> str:
    """A summary: metadata, inputs and outputs, one line per node with its result, totals.

    Shapes are those of the file; files of other exporters can be trusted for graph inputs only.
    """
    lines = [f"graph {program.name or '(unnamed)'}"]
    producer = f"{program.producer_name} {program.producer_version}".strip()
    facts = {"producer": producer, **program.metadata}
    facts["opset"] = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in program.opset.items())
    lines += [f"  {key}:{_told(value)}" for key, value in facts.items() if value]
    for title, values in (("inputs", program.inputs), ("outputs", program.outputs)):
        lines += ["", title, *_columns([[f"  {value.name}", *_result(value)] for value in values])]
    rows = [["  #", "operator", "node", "output", "shape", "type", "exponent", "constants"]]
    rows += [[f"  {index}", *_row(program, node)] for index, node in enumerate(program.nodes)]
    lines += ["", "nodes", *_columns(rows), "", *_totals(program)]
    return "\n".join(lines) + "\n"


def _told(value: str) -> str:
    """A value of the metadata; one of several lines stands below its key."""
    lines = value.splitlines()
    return f" {value}" if len(lines) < 2 else "".join(f"\n    {line}" if line else "" for line in lines)


def _row(program: Program, node: Node) -> list[str]:
    name = next((output for output in node.outputs if output), "")
    value = program.values.get(name)
    size = sum(tensor.data.nbytes for tensor in _constants(program, node))
    shape, kind, exponent = _result(value) if value is not None else ("?", "?", "?")
    return [node.op_type, node.name, name, shape, kind, exponent, f"{size:,} B" if size else ""]


def _constants(program: Program, node: Node) -> list[Tensor]:
    names = [*node.inputs, node.attributes.get("lut")]
    return [program.constants[name] for name in names if isinstance(name, str) and name in program.constants]


def _result(value: Value) -> tuple[str, str, str]:
    shape = "×".join(map(str, value.shape)) or "scalar"
    return shape, value.dtype.name, str(value.exponent) if value.dtype.quantized else ""


def _totals(program: Program) -> list[str]:
    operators = Counter(node.op_type for node in program.nodes)
    listed = ", ".join(
        f"{count} {name}" for name, count in sorted(operators.items(), key=lambda item: (-item[1], item[0]))
    )
    stored = sum(tensor.data.nbytes for tensor in program.constants.values())
    samples = "with" if program.test_inputs else "without"
    return [
        f"{len(program.nodes)} nodes: {listed}",
        f"{len(program.constants)} constants: {stored:,} bytes",
        f"{samples} an embedded test sample",
    ]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def diff(a: Program, b: Program) -> list[str]:
    """Every difference between two programs, a sentence each; empty where they are equal.

    Nodes are matched by name (by first output where names are not unique), everything else by name.
    """
    return list(_differences(a, b))


def _differences(a: Program, b: Program) -> Iterator[str]:
    for part in _MODEL_PARTS:
        yield from _changed(f"model {part}", getattr(a, part), getattr(b, part))
    yield from _each("metadata", a.metadata, b.metadata, _text)
    yield from _each("opset", a.opset, b.opset, _changed)
    for what, mine, theirs in (("input", a.inputs, b.inputs), ("output", a.outputs, b.outputs)):
        yield from _changed(f"{what}s", [value.name for value in mine], [value.name for value in theirs])
        yield from _each(what, _by_name(mine), _by_name(theirs), _value)
    yield from _nodes(a.nodes, b.nodes)
    yield from _each("value", a.values, b.values, _value)
    yield from _each("constant", a.constants, b.constants, _constant)
    yield from _each("test input", a.test_inputs, b.test_inputs, _array)
    yield from _each("test output", a.test_outputs, b.test_outputs, _array)


def _each(
    what: str,
    mine: Mapping[str, _Item],
    theirs: Mapping[str, _Item],
    compare: Callable[[str, _Item, _Item], Iterator[str]],
) -> Iterator[str]:
    """The differences of two collections: first what both have, then what only one has."""
    for name in mine:
        if name in theirs:
            yield from compare(f"{what} {name!r}", mine[name], theirs[name])
    yield from (f"{what} {name!r}: only in the first" for name in mine if name not in theirs)
    yield from (f"{what} {name!r}: only in the second" for name in theirs if name not in mine)


def _by_name(values: Sequence[Value]) -> dict[str, Value]:
    return {value.name: value for value in values}


def _changed(what: str, mine: object, theirs: object) -> Iterator[str]:
    if mine != theirs:
        yield f"{what}: {mine!r} → {theirs!r}"


def _text(what: str, mine: str, theirs: str) -> Iterator[str]:
    """Of texts of several lines, those that are not in both."""
    ours, others = mine.splitlines(), theirs.splitlines()
    if max(len(ours), len(others)) < 2:
        yield from _changed(what, mine, theirs)
    elif mine != theirs:
        ends = [", ".join(line for line in a if line and line not in b) for a, b in ((ours, others), (others, ours))]
        yield f"{what}: {ends[0] or 'nothing'} → {ends[1] or 'nothing'}"


def _nodes(mine: Sequence[Node], theirs: Sequence[Node]) -> Iterator[str]:
    ours, others = _keyed(mine, theirs)
    if [name for name in ours if name in others] != [name for name in others if name in ours]:
        yield "nodes: in another order"
    yield from _each("node", ours, others, _node)


def _keyed(mine: Sequence[Node], theirs: Sequence[Node]) -> tuple[dict[str, Node], dict[str, Node]]:
    ours, others = {node.name: node for node in mine}, {node.name: node for node in theirs}
    if (len(ours), len(others)) == (len(mine), len(theirs)):
        return ours, others
    return {_first_output(node): node for node in mine}, {_first_output(node): node for node in theirs}


def _first_output(node: Node) -> str:
    return next((name for name in node.outputs if name), node.name)


def _node(what: str, a: Node, b: Node) -> Iterator[str]:
    for part in ("op_type", "inputs", "outputs", "domain", "doc"):
        yield from _changed(f"{what} {part}", getattr(a, part), getattr(b, part))
    yield from _each(f"{what} attribute", a.attributes, b.attributes, _attribute)


def _attribute(what: str, a: Attribute, b: Attribute) -> Iterator[str]:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        yield from _constant(what, a, b)
    elif a == a or b == b:  # NaN is no change from NaN
        yield from _changed(what, a, b)


def _value(what: str, a: Value, b: Value) -> Iterator[str]:
    yield from _changed(f"{what} type", a.dtype.name, b.dtype.name)
    yield from _changed(f"{what} shape", list(a.shape), list(b.shape))
    yield from _changed(f"{what} exponents", list(a.exponents), list(b.exponents))


def _constant(what: str, a: Tensor, b: Tensor) -> Iterator[str]:
    if a.exponents != b.exponents:
        yield f"{what} exponents: {_brief(a.exponents)} → {_brief(b.exponents)}"
    yield from _changed(f"{what} doc", a.doc, b.doc)
    yield from _array(what, a.data, b.data)


def _brief(exponents: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, exponents[:_SHOWN]))
    return f"[{shown}, … {len(exponents)} in all]" if len(exponents) > _SHOWN else f"[{shown}]"


def _array(what: str, a: Array, b: Array) -> Iterator[str]:
    if a.dtype != b.dtype or a.shape != b.shape:
        yield f"{what}: {a.dtype} {list(a.shape)} → {b.dtype} {list(b.shape)}"
    elif a.tobytes() != b.tobytes():
        mine, theirs = a.astype(np.float64), b.astype(np.float64)
        differ = (a != b) & ~(np.isnan(mine) & np.isnan(theirs))
        with np.errstate(invalid="ignore"):
            largest = np.abs(mine - theirs)[differ].max(initial=0)
        yield f"{what}: {int(differ.sum())} of {a.size} elements differ, by at most {largest:g}"
