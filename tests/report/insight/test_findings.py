"""Verdicts."""

from __future__ import annotations

from math import inf

import pytest

from tinsmith.report.insight.findings import findings
from tinsmith.report.insight.schema import BoardFit, Finding, Layer, Memory, Noise, Output, Slow, Speed

MEMORY = Memory(3 * 2**20, 2**20, 2**19, 0, 2**19, (2**19,), ())
SPEED = Speed(160.0, 100.0, 0.07, 0.15)


def asked(question: str, **changes: object) -> Finding:
    facts = {"memory": MEMORY, "speed": SPEED, "layers": (), "outputs": (), "boards": (), **changes}
    return next(found for found in findings(**facts) if found.question == question)  # type: ignore[arg-type]


def output(snr: float | None, agreement: float | None = None) -> Output:
    ratio = 0.0 if snr is None else 10 ** (-snr / 10)
    return Output("scores", Noise(ratio, snr, 1.0, 0.0), agreement)


def layer(gain: float) -> Layer:
    return Layer(
        "conv", "Conv", "int8", "", (), (), (), (1,), 1, 1, 1, 90.0, 60.0, slow=Slow("its channels.", "Add.", gain)
    )


def test_every_question_is_answered_once() -> None:
    found = findings(MEMORY, SPEED, (), (), ())
    assert [finding.question for finding in found] == ["flash", "memory", "speed", "accuracy"]


FITS, NO_FLASH, NO_RAM = (
    BoardFit("a", True),
    BoardFit("b", False, ("flash: 5.0 MiB needed, 4.0 MiB there, 1.0 MiB missing",)),
    BoardFit("c", False, ("memory (PSRAM): 3.5 MiB needed, 2.0 MiB there, 1.5 MiB missing",)),
)


@pytest.mark.parametrize(
    ("boards", "flash", "memory"),
    [
        ((), "unknown", "unknown"),
        ((FITS,), "good", "good"),
        ((NO_FLASH,), "bad", "good"),
        ((NO_RAM,), "good", "bad"),
        ((FITS, NO_RAM), "good", "warning"),
        ((FITS, NO_FLASH, NO_RAM), "warning", "warning"),
        ((NO_RAM, NO_RAM), "good", "bad"),
    ],
)
def test_boards_decide_about_flash_and_memory(boards: tuple[BoardFit, ...], flash: str, memory: str) -> None:
    assert asked("flash", boards=boards).state == flash
    assert asked("memory", boards=boards).state == memory


def test_what_is_missing_on_the_board_is_said() -> None:
    assert "1.5 MiB missing" in asked("memory", boards=(NO_RAM,)).detail
    assert asked("flash", boards=(NO_RAM,)).detail == "Fits c."


def test_what_would_help_is_said_with_what_is_missing() -> None:
    board = BoardFit("c", False, NO_RAM.missing, "Leave the parameters in flash.")
    assert asked("memory", boards=(board,)).detail.endswith("1.5 MiB missing. Leave the parameters in flash.")
    assert asked("flash", boards=(board,)).detail == "Fits c."


def test_speed() -> None:
    assert asked("speed", speed=None, why_no_speed="no times were measured.").detail == "No times were measured."
    assert asked("speed", speed=None).state == "unknown"
    assert asked("speed").headline == "160 ms on one core"
    assert asked("speed").detail.startswith("100 ms on two cores.")
    assert asked("speed", layers=(layer(15.9),)).state == "good"
    warned = asked("speed", layers=(layer(15.9), layer(0.2)))
    assert warned.state == "warning"
    assert "2 layers take about 16.1 ms more" in warned.detail


def test_nobody_is_warned_of_microseconds() -> None:
    assert asked("speed", speed=Speed(0.76, 0.76, 0.05, 0.13), layers=(layer(0.22),)).state == "good"


def test_parameters_in_flash_are_mentioned_where_they_cost_time() -> None:
    slower, same = Speed(160.0, 100.0, 0.07, 0.15, "psram", 320.0), Speed(160.0, 100.0, 0.07, 0.15, "psram", 161.0)
    assert "320 ms if parameters stay in flash" in asked("speed", speed=slower).detail
    assert "flash" not in asked("speed", speed=same).detail


@pytest.mark.parametrize(
    ("outputs", "state"),
    [
        ((), "unknown"),
        ((output(None),), "good"),
        ((output(15.0),), "good"),
        ((output(14.9),), "warning"),
        ((output(8.0),), "warning"),
        ((output(7.9),), "bad"),
        ((output(10.0, 0.97),), "good"),
        ((output(10.0, 0.96),), "warning"),
        ((output(7.0, 1.0),), "bad"),
        ((output(30.0), output(5.0)), "bad"),
    ],
)
def test_accuracy_is_that_of_the_worst_output(outputs: tuple[Output, ...], state: str) -> None:
    assert asked("accuracy", outputs=outputs).state == state


def test_how_many_samples_were_compared_is_said() -> None:
    assert asked("accuracy", outputs=(output(20.0, 31 / 32),), samples=32).detail == (
        "31 of 32 samples have the float model's answer."
    )
    assert asked("accuracy", outputs=(output(20.0),), samples=1).detail == "On 1 sample."


def test_outputs_without_noise_are_called_equal() -> None:
    assert asked("accuracy", outputs=(output(None),)).headline == "the outputs are those of the float model"


def test_noise_without_signal_is_a_problem() -> None:
    found = asked("accuracy", outputs=(Output("scores", Noise(inf, -inf, 0.0, 1.0), None), output(None)))
    assert (found.state, found.headline) == ("bad", "nothing but noise at output 'scores'")


def test_boards_that_do_not_fit_are_named_where_they_are_few() -> None:
    assert asked("memory", boards=(FITS, FITS)).detail.endswith("Fits both boards known with this chip.")
    assert asked("memory", boards=(FITS, FITS, NO_RAM)).detail.endswith(
        "Fits 2 of 3 boards known with this chip. Not c."
    )
    assert asked("memory", boards=(FITS, NO_RAM, NO_RAM, NO_RAM)).detail.endswith(
        "Fits 1 of 4 boards known with this chip."
    )


def test_parameters_that_stay_in_flash_are_mentioned() -> None:
    assert "With parameters in flash" in asked("speed", speed=Speed(160.0, 100.0, 0.07, 0.15, "flash", 160.0)).detail
    assert "in flash" not in asked("speed").detail
