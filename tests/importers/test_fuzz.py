"""A few damaged models; `python -m tools.fuzz_onnx` runs as many as there is time for, in processes of their own."""

from __future__ import annotations

from collections import Counter

import pytest
from tools.fuzz_onnx import main, mutated, verdict
from tools.onnx_corpus import corpus

ROUNDS = 240


def test_the_models_to_damage_are_whole() -> None:
    assert {verdict(proto.SerializeToString(), number) for number, proto in enumerate(corpus())} == {"quantized"}


def test_rounds_are_the_same_every_time() -> None:
    models = corpus()
    assert [mutated(number, 1, models) for number in range(30)] == [
        mutated(number, 1, corpus()) for number in range(30)
    ]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damaged_models_end_in_a_program_or_in_our_errors() -> None:
    models = corpus()
    outcomes = Counter(verdict(mutated(number, 7, models), number) for number in range(ROUNDS))
    assert sum(outcomes.values()) == ROUNDS
    assert outcomes["quantized"] > ROUNDS // 20
    assert outcomes["refused: import"] > ROUNDS // 20
    assert outcomes["refused: canonical form"] > 0


@pytest.mark.slow
def test_in_processes_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "40", "--seed", "3"]) == 0
    assert "0 findings" in capsys.readouterr().out
