"""Verdicts: the answers to what a user asks before flashing."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from tinsmith.report.insight.schema import BoardFit, Finding, Layer, Memory, Output, Speed, State
from tinsmith.units import decibels, milliseconds, share, size

GOOD_DB, USABLE_DB = 15.0, 8.0
"""At the worst output. ImageNet classifiers lose about a point of accuracy at 15 dB, and a third of it at 3 dB."""
GOOD_AGREEMENT = 0.97
FLASH_MATTERS = 1.1
"""Times the time with parameters in PSRAM, from which that in flash is worth a word."""
FEW_BOARDS = 2
"""Up to which the boards that do not fit are named."""
_MEASURED = (
    "The float model and data tell: tinsmith report MODEL --data DATA, with --recipe FILE.espdl for this very file."
)
SLOW_SHARE, SLOW_MS = 0.1, 1.0
"""Of the time, and milliseconds, from which what makes layers slow is worth a warning."""


def findings(
    memory: Memory,
    speed: Speed | None,
    layers: Sequence[Layer],
    outputs: Sequence[Output],
    boards: Sequence[BoardFit],
    *,
    why_no_speed: str = "",
    samples: int = 0,
) -> tuple[Finding, ...]:
    """The verdicts, one per question.

    Args:
        memory: What the model takes.
        speed: The estimate of its time; None where there is none.
        layers: Its steps.
        outputs: Its outputs beside the float network's; empty without data.
        boards: The board that was asked for, or the common ones with the chip.
        why_no_speed: Why there is no estimate of the time.
        samples: How many the outputs were compared on.
    """
    return (
        _flash(memory, boards),
        _memory(memory, boards),
        _speed(speed, layers, why_no_speed),
        _accuracy(outputs, samples),
    )


def _flash(memory: Memory, boards: Sequence[BoardFit]) -> Finding:
    state, where = _among(boards, "flash")
    return Finding("flash", state, f"{size(memory.flash)} of flash", where)


def _memory(memory: Memory, boards: Sequence[BoardFit]) -> Finding:
    state, where = _among(boards, "memory")
    total = memory.peak + memory.parameters
    parts = f"{size(memory.peak)} of activations at the peak, {size(memory.parameters)} of parameters if copied."
    return Finding("memory", state, f"{size(total)} of RAM", f"{parts} {where}".strip())


def _among(boards: Sequence[BoardFit], question: str) -> tuple[State, str]:
    """The state of one question over some boards, and where it fits."""
    if not boards:
        return "unknown", "No board with this chip is known here."
    missing = [tuple(text for text in board.missing if text.startswith(question)) for board in boards]
    bad = sum(map(bool, missing))
    if len(boards) == 1:
        return _on(boards[0], missing[0])
    if not bad:
        return "good", f"Fits {'both' if len(boards) == 2 else f'all {len(boards)}'} boards known with this chip."
    state: State = "bad" if bad == len(boards) else "warning"
    return state, f"Fits {len(boards) - bad} of {len(boards)} boards known with this chip.{_but(boards, missing)}"


def _but(boards: Sequence[BoardFit], missing: Sequence[Sequence[str]]) -> str:
    """The boards it does not fit, where they are few."""
    names = [board.board for board, some in zip(boards, missing, strict=True) if some]
    return f" Not {' and '.join(names)}." if len(names) <= FEW_BOARDS and len(names) < len(boards) else ""


def _on(board: BoardFit, missing: Sequence[str]) -> tuple[State, str]:
    """The same of one board; what would help is said, too."""
    if not missing:
        return "good", f"Fits {board.board}."
    return "bad", f"{board.board}: {'; '.join(missing)}. {board.remedy}".rstrip()


def _speed(speed: Speed | None, layers: Sequence[Layer], why_not: str) -> Finding:
    if speed is None:
        return Finding("speed", "unknown", "no estimate", why_not[:1].upper() + why_not[1:])
    slow = [layer for layer in layers if layer.slow is not None]
    gain = sum(layer.slow.gain_ms for layer in slow if layer.slow is not None)
    told = (
        f"{milliseconds(speed.dual_ms)} on two cores. Estimated, "
        f"off by {share(speed.typical_error)} in the median and {share(speed.worst_error)} at worst."
    )
    if speed.parameters == "flash":
        told += " With parameters in flash: a copy would leave too little PSRAM."
    elif speed.flash_ms is not None and speed.flash_ms > FLASH_MATTERS * speed.single_ms:
        told += f" {milliseconds(speed.flash_ms)} if parameters stay in flash (param_copy = false)."
    headline = f"{milliseconds(speed.single_ms)} on one core"
    if gain < max(SLOW_SHARE * speed.single_ms, SLOW_MS):
        return Finding("speed", "good", headline, told)
    count = f"{len(slow)} layer{'s take' if len(slow) > 1 else ' takes'}"
    return Finding("speed", "warning", headline, f"{told} {count} about {milliseconds(gain)} more than necessary.")


def _accuracy(outputs: Sequence[Output], samples: int) -> Finding:
    if not outputs:
        return Finding("accuracy", "unknown", "not measured", _MEASURED)
    worst = max(outputs, key=lambda output: output.noise.ratio)
    agreements = [output.agreement for output in outputs if output.agreement is not None]
    state = _state_of(worst, agreements)
    named = f" at output {worst.name!r}" if len(outputs) > 1 else " at the output"
    looked = f"On {samples} sample{'s' if samples > 1 else ''}." if samples else ""
    if agreements:
        equal = f"{round(agreements[0] * samples)} of {samples}" if samples else share(agreements[0])
        looked = f"{equal} samples have the float model's answer."
    if worst.noise.snr_db is None:
        return Finding("accuracy", state, "the outputs are those of the float model", looked)
    if worst.noise.snr_db == -inf:
        return Finding("accuracy", state, f"nothing but noise{named}", looked)
    return Finding("accuracy", state, f"{decibels(worst.noise.snr_db)} signal to noise{named}", looked)


def _state_of(worst: Output, agreements: Sequence[float]) -> State:
    snr = worst.noise.snr_db
    if snr is None or snr >= GOOD_DB or (agreements and min(agreements) >= GOOD_AGREEMENT and snr >= USABLE_DB):
        return "good"
    return "warning" if snr >= USABLE_DB else "bad"
