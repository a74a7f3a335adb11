"""Bytes of parameters: what counts, and published models."""

from __future__ import annotations

import numpy as np
import pytest

from tests.estimate.programs import Builder
from tests.estimate.published import program as published
from tests.estimate.published import rows
from tinsmith.estimate.parameters import parameter_bytes
from tinsmith.program import Array, Program


@pytest.mark.parametrize("row", rows())
def test_parameters_are_what_the_chip_counted(row: dict[str, str]) -> None:
    assert parameter_bytes(published(row)) == int(row["parameter_bytes"])


def _with(*constants: Array) -> Program:
    build = Builder()
    x = build.input(4)
    y = build.node("Relu", x)
    for data in constants:
        build.constant(data)
    return build.program(y)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (np.zeros(16, np.int8), 16),
        (np.zeros(17, np.int8), 32),
        (np.zeros(9, np.int16), 32),
        (np.zeros(3, np.int64), 32),
        (np.asarray(1.0, np.float32), 16),
        (np.zeros((2, 3, 5), np.int32), 128),
        (np.zeros(0, np.float32), 0),
    ],
)
def test_a_constant_takes_whole_blocks_of_16_bytes(data: Array, size: int) -> None:
    assert parameter_bytes(_with(data)) == size


def test_each_constant_is_rounded_by_itself() -> None:
    assert parameter_bytes(_with(np.zeros(1, np.int8), np.zeros(1, np.int8))) == 32


def test_a_constant_that_two_nodes_read_counts_once() -> None:
    build = Builder()
    x = build.input(4)
    shared = build.constant(np.zeros(4, np.int8))
    y = build.node("Add", build.node("Add", x, shared), shared)
    assert parameter_bytes(build.program(y)) == 16


def test_tables_do_not_count() -> None:
    build = Builder()
    x = build.input(4)
    table = build.constant(np.zeros(256, np.int8))
    build.constant(np.zeros(5, np.int8))
    y = build.node("Sigmoid", x, attributes={"lut": table})
    assert parameter_bytes(build.program(y)) == 16


def test_a_program_without_constants_has_none() -> None:
    assert parameter_bytes(_with()) == 0
