"""What must hold before a program may become a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tinsmith.errors import ProgramError
from tinsmith.espdl.fields import LARGEST_DIMENSION, LARGEST_EXPONENT, LARGEST_RANK, UNREADABLE
from tinsmith.program import DType, Node, Program, Tensor, Value


def check(program: Program) -> None:
    """Whether every name resolves, nothing is named twice, and everything has a type and an exponent a file can hold.

    Raises:
        ProgramError: The first thing that does not.
    """
    for key, value in program.values.items():
        _check_value(key, value)
    for key, tensor in program.constants.items():
        _check_constant(key, tensor)
        if key in program.values:
            raise ProgramError("is the name of a constant and of a computed value.", subject=repr(key))
    known = set(program.constants)
    _check_ends("input", program.inputs, program.values)
    known.update(value.name for value in program.inputs)
    for node in program.nodes:
        _check_node(node, program, known)
    _check_ends("output", program.outputs, program.values)
    for value in program.outputs:
        if value.name not in known:
            raise ProgramError("is computed by no node.", subject=f"output {value.name!r}")
    _check_tests("test input", program.test_inputs, {value.name: value for value in program.inputs})
    _check_tests("test output", program.test_outputs, program.values)


def _check_value(key: str, value: Value) -> None:
    subject = f"value {key!r}"
    if key != value.name:
        raise ProgramError(f"is filed under the wrong name: it is {value.name!r}.", subject=subject)
    if not isinstance(value.dtype, DType):
        raise ProgramError(f"has the unknown type {value.dtype!r}.", subject=subject)
    if len(value.shape) > LARGEST_RANK or any(not -1 <= dim <= LARGEST_DIMENSION for dim in value.shape):
        raise ProgramError(f"has the shape {list(value.shape)}, which no file can hold.", subject=subject)
    _check_exponents(value.exponents, subject)


def _check_constant(key: str, tensor: Tensor) -> None:
    subject = f"constant {key!r}"
    if key != tensor.name:
        raise ProgramError(f"is filed under the wrong name: it is {tensor.name!r}.", subject=subject)
    if not key:
        raise ProgramError("has an empty name, which means an absent input.", subject=subject)
    _check_exponents(tensor.exponents, subject)
    check_array(tensor.data, subject)


def _check_exponents(exponents: tuple[int, ...], subject: str) -> None:
    if max(exponents, default=0) > LARGEST_EXPONENT or min(exponents, default=0) < -LARGEST_EXPONENT:
        raise ProgramError(f"has an exponent beyond ±{LARGEST_EXPONENT}.", subject=subject)


def check_array(data: Any, subject: str) -> DType:
    """The element type of an array that a file can hold.

    Raises:
        ProgramError: It cannot: no such type, or too many dimensions.
    """
    try:
        dtype = DType.of(data.dtype)
    except KeyError:
        dtype = DType.UNDEFINED
    if dtype in UNREADABLE:
        raise ProgramError(f"has elements of type {data.dtype}, which no file can hold.", subject=subject)
    if data.ndim > LARGEST_RANK or any(dim > LARGEST_DIMENSION for dim in data.shape):
        raise ProgramError(f"has the shape {list(data.shape)}, which no file can hold.", subject=subject)
    return dtype


def _check_ends(what: str, ends: Iterable[Value], values: Mapping[str, Value]) -> None:
    seen: set[str] = set()
    for value in ends:
        subject = f"{what} {value.name!r}"
        if value.name in seen:
            raise ProgramError(f"is listed twice among the {what}s.", subject=subject)
        if values.get(value.name) != value:
            raise ProgramError("is missing among the program's values, or has another type there.", subject=subject)
        seen.add(value.name)


def _check_node(node: Node, program: Program, known: set[str]) -> None:
    subject = node.subject
    if not node.op_type:
        raise ProgramError("has no operator.", subject=f"node {node.name!r}")
    for name in node.inputs:
        if name and name not in known:
            raise ProgramError(f"input {name!r} is computed nowhere before it.", subject=subject)
    if "" in node.attributes:
        raise ProgramError("has an attribute without a name.", subject=subject)
    lut = node.attributes.get("lut")
    if lut is not None and not (isinstance(lut, str) and lut in program.constants):
        raise ProgramError(f"table {lut!r} is no constant of the program.", subject=subject)
    for name in node.outputs:
        if name and name not in program.values:
            raise ProgramError(f"output {name!r} has no type or exponent in the program.", subject=subject)
        if name and name in known:
            raise ProgramError(f"output {name!r} is computed already.", subject=subject)
        known.add(name)


def _check_tests(what: str, arrays: Mapping[str, Any], values: Mapping[str, Value]) -> None:
    for name, data in arrays.items():
        subject = f"{what} {name!r}"
        if name not in values:
            raise ProgramError("is the name of no such value of the program.", subject=subject)
        dtype = check_array(data, subject)
        if dtype is not values[name].dtype:
            raise ProgramError(f"is {dtype.name}, and the value is {values[name].dtype.name}.", subject=subject)
