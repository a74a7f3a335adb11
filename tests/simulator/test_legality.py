"""Rules of the chip: told once per program, refused at export."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import tinsmith
from tests.simulator.programs import node, program, value
from tinsmith.errors import ProgramError
from tinsmith.pipeline import refuse_illegal
from tinsmith.program import DType, Program
from tinsmith.simulator.legality import needed_version, violations
from tinsmith.targets import find

S3 = find("esp32s3")
X = {"x": np.ones((1, 4), np.int8)}


def illegal() -> Program:
    """An Add whose output has another exponent, and a product that would have to be shifted left."""
    others = [value("a", (1, 4), 3), value("y", (1, 4), -1)]
    return program([node("Add", "x x", "a"), node("Mul", "x x", "y")], [value("x", (1, 4))], others, "a y")


def legal() -> Program:
    return program([node("Add", "x x", "y")], [value("x", (1, 4))], [value("y", (1, 4))], "y")


def told(action: object) -> list[str]:
    """What warnings ``action`` gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert callable(action)
        action()
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


def test_each_broken_rule_is_named() -> None:
    first, second = violations(illegal(), S3)
    assert first.startswith("Add 'A': the exponents [0, 0, 3]")
    assert second.startswith("Mul 'Y': it shifts right by -1 bits")
    assert violations(legal(), S3) == []


def averaged() -> Program:
    """An average of floats."""
    nodes = [node("DequantizeLinear", "x", "a"), node("GlobalAveragePool", "a", "b", quant_type="F32")]
    others = [value("a", (1, 2, 2, 4), 0, DType.FLOAT), value("b", (1, 1, 1, 4), 0, DType.FLOAT)]
    return program(nodes, [value("x", (1, 2, 2, 4))], others, "b")


def test_a_program_needs_the_youngest_thing_it_uses() -> None:
    assert str(needed_version(legal(), S3)) == "3.2.0"
    assert str(needed_version(legal(), find("esp32s31"))) == "3.3.3"
    assert str(needed_version(averaged(), S3)) == "3.3.0"
    assert str(needed_version(averaged(), find("esp32s31"))) == "3.3.3"


def test_what_the_version_lacks_is_a_broken_rule() -> None:
    assert violations(averaged(), S3) == []
    assert violations(averaged(), find("esp32s3", "3.2.4")) == [
        "GlobalAveragePool 'B': float32 GlobalAveragePool needs ESP-DL ≥ 3.3.0; the target speaks 3.2.4: "
        "update ESP-DL in the firmware."
    ]
    with pytest.raises(ProgramError, match=r"esp32s3 would not run it:\n .*needs ESP-DL ≥ 3\.3\.0"):
        refuse_illegal(averaged(), find("esp32s3", "3.2.0"))


def test_a_program_is_warned_of_once() -> None:
    model = illegal()
    assert len(told(lambda: tinsmith.simulate(model, X, "esp32s3"))) == 2
    assert told(lambda: tinsmith.simulate(model, X, "esp32s3")) == []
    assert told(lambda: tinsmith.Simulator(model, "esp32s3")) == []


def test_another_program_and_another_chip_are_warned_of_again() -> None:
    model = illegal()
    assert len(told(lambda: tinsmith.Simulator(model, "esp32s3"))) == 2
    assert len(told(lambda: tinsmith.Simulator(replace(model), "esp32s3"))) == 2
    assert len(told(lambda: tinsmith.Simulator(model, "esp32p4"))) == 2


def test_a_legal_program_is_quiet() -> None:
    assert told(lambda: tinsmith.simulate(legal(), X, "esp32s3")) == []


@pytest.mark.filterwarnings("ignore")
def test_an_illegal_program_runs_all_the_same() -> None:
    found = tinsmith.simulate(illegal(), X, "esp32s3")
    assert found["a"].tolist() == [[2] * 4]


def test_at_export_it_is_refused_with_all_reasons() -> None:
    with pytest.raises(ProgramError, match=r"esp32s3 would not run it:\n  Add 'A': .*\n  Mul 'Y': "):
        refuse_illegal(illegal(), S3)
    refuse_illegal(legal(), S3)
