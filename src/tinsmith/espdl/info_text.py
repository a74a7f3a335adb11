"""The text beside a model (`.info`): its graph, every constant, every value, and the embedded test sample.

The text has the structure that esp-ppq's users know, and the numbers are laid out as numpy prints an array. Elements
are those of the tensor: the padding of the file is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tinsmith.espdl.numbers import array_text
from tinsmith.program import Array, Attribute, DType, Node, Program, Tensor, Value


def info(program: Program) -> str:
    """The `.info` text of a program; linear in its size."""
    return "".join(_parts(program))


def _parts(program: Program) -> Iterator[str]:
    yield "model properties:\nmetadata_props:\n"
    yield "".join(f"{key}: {value}\n" for key, value in program.metadata.items())
    yield f"\n\ngraph {program.name} (\n"
    yield _lines(f"  %{_value(value)}" for value in program.inputs)
    yield ") initializers (\n"
    yield _lines(f"  %{name}[{_type(tensor.dtype, tensor.shape)}]" for name, tensor in program.constants.items())
    yield ") {\n"
    yield _lines(f"  {_node(node)}" for node in program.nodes)
    yield f"  return {', '.join(f'%{value.name}' for value in program.outputs)}\n}}\n"
    yield "\n\ninitializers value:\n"
    yield from map(_tensor, program.constants.values())
    yield "\n\nvalues info:\n"
    yield _lines(f"%{_value(value)}" for value in program.values.values())
    for title, arrays in (("inputs", program.test_inputs), ("outputs", program.test_outputs)):
        yield f"\n\ntest {title} value:\n"
        yield from map(_tensor, _tests(program.values, arrays))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _tests(values: Mapping[str, Value], arrays: Mapping[str, Array]) -> Iterator[Tensor]:
    for name, data in arrays.items():
        yield Tensor(name, data, values[name].exponents if name in values else (0,))


def _value(value: Value) -> str:
    nameless = not value.name and not value.shape
    kind = value.dtype.name if nameless else _type(value.dtype, value.shape)
    return f"{value.name}[{kind}], exponents: {list(value.exponents)}"


def _type(dtype: DType, shape: tuple[int, ...]) -> str:
    return f"{dtype.name}, {'x'.join('?' if dim < 0 else str(dim) for dim in shape) or 'scalar'}"


def _node(node: Node) -> str:
    outputs = ", ".join(f"%{name}" for name in node.outputs)
    attributes = ", ".join(f"{name} = {_attribute(value)}" for name, value in sorted(node.attributes.items()))
    inputs = ", ".join(f"%{name}" for name in node.inputs)
    return f"{outputs} = {node.op_type}[{attributes}]({inputs})"


def _attribute(value: Attribute) -> str:
    match value:
        case Tensor():
            return f"{_type(value.dtype, value.shape)} {value.data.ravel().tolist()}"
        case tuple():
            return f"[{', '.join(map(_attribute, value))}]"
        case float():
            return str(np.float32(value)).removesuffix(".0")
        case _:
            return repr(value)


def _tensor(tensor: Tensor) -> str:
    doc = f"docString: {tensor.doc.encode()!r}, " if tensor.doc else ""
    head = f"%{tensor.name}, shape: {list(tensor.shape)}, exponents: {list(tensor.exponents)}, {doc}"
    return f"{head}\nvalue: {array_text(tensor.data)}\n"
