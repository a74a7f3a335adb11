"""What a report says: frozen values without arrays, so that the page, the terminal and `report.json` say the same.

The names here are those of `report.json`. Sizes are in bytes, times in milliseconds, shares between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["good", "warning", "bad", "unknown"]
WORDS: Mapping[State, str] = {"good": "good", "warning": "take care", "bad": "problem", "unknown": "not known"}
"""What a state is called, in the terminal and on the page."""
Question = Literal["flash", "memory", "speed", "accuracy"]
CauseKind = Literal[
    "outliers",
    "channel imbalance",
    "mean shift",
    "too coarse",
    "saturating accumulator",
    "shared exponent",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one of the questions a user has before flashing.

    Attributes:
        question: Which one.
        state: ``unknown`` where nothing can be said, for example without data.
        headline: A few words with the number that matters.
        detail: One or two sentences: what it is compared with, what is missing.
    """

    question: Question
    state: State
    headline: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do next.

    Attributes:
        title: A few words.
        why: One sentence: what it addresses.
        command: To copy: a command line, or the line of Python where no command does it. May be empty.
        effect: What it brings, measured or estimated, and which of both; empty where nobody tried.
        layers: Names of the layers concerned.
        question: Which of the verdicts it is about.
    """

    title: str
    why: str
    command: str = ""
    effect: str = ""
    layers: tuple[str, ...] = ()
    question: Question = "accuracy"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a layer loses accuracy.

    Attributes:
        kind: The mechanism.
        evidence: One sentence with the numbers that show it.
        action: What addresses it.
    """

    kind: CauseKind
    evidence: str
    action: Action


@dataclass(frozen=True, slots=True)
class Histogram:
    """What a tensor holds beside what its format can hold, over the analysed samples, in real numbers.

    Attributes:
        tensor: Name of the value.
        bits: 8 or 16.
        exponent: Of the format; a step is 2**exponent.
        lowest: Smallest number of the format.
        highest: Largest number of the format.
        seen_lowest: Smallest number of the float network.
        seen_highest: Largest number of the float network.
        clipped: Share of the elements outside the format.
        unused_bits: How many bits finer the step could be without clipping anything; negative where it clips.
        start: Where the first bin begins.
        width: Width of a bin.
        counts: Elements in each bin.
    """

    tensor: str
    bits: int
    exponent: int
    lowest: float
    highest: float
    seen_lowest: float
    seen_highest: float
    clipped: float
    unused_bits: float
    start: float
    width: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Channels:
    """The ranges of a layer's weights, output channel by output channel.

    Attributes:
        tensor: Name of the weights.
        exponents: One, or one per channel.
        largest: Largest magnitude of each channel, in real numbers.
        spread_bits: log2 of the largest channel's range over the median one's: bits that the median channel lacks
            where all share one exponent.
    """

    tensor: str
    exponents: tuple[int, ...]
    largest: tuple[float, ...]
    spread_bits: float


@dataclass(frozen=True, slots=True)
class Noise:
    """The distance of the chip's values from the float network's.

    Attributes:
        ratio: Noise power over signal power; infinite where there is noise without signal, or something is no number.
        snr_db: The same in decibels; None where there is no noise, minus infinity where there is nothing else.
        cosine: Of the angle between both.
        mse: Mean squared difference.
    """

    ratio: float
    snr_db: float | None
    cosine: float
    mse: float


@dataclass(frozen=True, slots=True)
class Slow:
    """Why a layer takes longer than it has to.

    Attributes:
        reason: What makes it slow.
        remedy: The way out.
        gain_ms: What that would save, estimated.
        in_parts: Whether the remedy is to split the layer, as `fit_cache` does.
    """

    reason: str
    remedy: str
    gain_ms: float
    in_parts: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the chip: an operator with its requantization and fused activation.

    Attributes:
        name: Of the program's node.
        operator: As the runtime names it.
        precision: ``int8``, ``int16`` or ``float32``.
        activation: Fused activation; empty where there is none.
        sources: Names of the nodes of the user's graph that it does the work of.
        inputs: Names of the values it reads that other layers, or the user, give.
        outputs: Names of the values it computes.
        shape: Of its first output, in the file's layout.
        macs: Multiply-accumulates.
        parameter_bytes: Of the constants that it reads: of a table of embeddings no more than it gives.
        output_bytes: Of its outputs.
        single_ms, dual_ms: Estimated time on one core and on two; None where there is no model of the chip.
        accumulated: Noise at its output with all layers before it; None without data, or where it only moves data.
        alone: Noise at the network's outputs if it alone were quantized.
        causes: Why it loses accuracy, the worst first; only of layers that matter.
        slow: Why it is slow; None where it is not.
        histogram: Of its first output.
        channels: Of its weights.
        why: Why it runs in its precision, where that is not the default.
    """

    name: str
    operator: str
    precision: str
    activation: str
    sources: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    macs: int
    parameter_bytes: int
    output_bytes: int
    single_ms: float | None = None
    dual_ms: float | None = None
    accumulated: Noise | None = None
    alone: Noise | None = None
    causes: tuple[Cause, ...] = ()
    slow: Slow | None = None
    histogram: Histogram | None = None
    channels: Channels | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A piece of memory and when it is in use.

    Attributes:
        tensors: Values that live in it, one after the other or in place.
        start: First step, an index into `Insight.layers`.
        end: Last step.
        offset: From the start of its memory.
        size: Its bytes.
        internal: Whether it lies in internal RAM.
    """

    tensors: tuple[str, ...]
    start: int
    end: int
    offset: int
    size: int
    internal: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What the model takes.

    Attributes:
        flash: The file.
        parameters: Weights, biases and other constants, as the runtime holds them.
        peak: Activations at their peak, as ESP-DL's planner lays them out.
        internal, external: Its parts in internal RAM and in PSRAM.
        live: Bytes in use at each step.
        buffers: Everything that is laid out.
    """

    flash: int
    parameters: int
    peak: int
    internal: int
    external: int
    live: tuple[int, ...]
    buffers: tuple[Buffer, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """The estimated time of one inference.

    Attributes:
        single_ms, dual_ms: On one core, ESP-DL's default, and on two.
        typical_error: Median error of the estimate on models it had not seen.
        worst_error: The largest.
        parameters: Where they are read from: ``psram``, as ESP-DL copies them, or ``flash`` where PSRAM is too small.
        flash_ms: On one core if the application leaves them in flash (``param_copy = false``).
    """

    single_ms: float
    dual_ms: float
    typical_error: float
    worst_error: float
    parameters: str = "psram"
    flash_ms: float | None = None


@dataclass(frozen=True, slots=True)
class BoardFit:
    """Whether the model fits on a board.

    Attributes:
        board: Its name.
        fits: Yes or no.
        missing: What is missing, each with the number; begins with the question, ``flash`` or ``memory``.
        remedy: What would make it fit; empty where it fits or nothing simple is known.
    """

    board: str
    fits: bool
    missing: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the network beside the float network's."""

    name: str
    noise: Noise
    agreement: float | None = None
    """Share of samples whose largest element is the same one, for outputs that look like class scores."""


@dataclass(frozen=True, slots=True)
class Insight:
    """Everything a report says.

    Attributes:
        model: Name of the model.
        target: The chip.
        esp_dl: Version of the runtime.
        made_with: The tool that wrote the program, and its version.
        effort: Of the recipe; empty for files of other tools.
        recipe: As TOML; empty for files of other tools.
        precisions: Number of layers by precision.
        samples: How many the error analysis looked at; 0 without data.
        outputs: The network's outputs; empty without data.
        findings: Verdicts, one per question.
        layers: In the order of execution.
        memory: What it takes.
        speed: None where there is no model of the chip.
        board: The board that was asked for; empty where none was.
        boards: Common boards with this chip.
        actions: What to do next, the most promising first.
        notes: What else a user should know.
        reported_by: tinsmith and its version that made the report; `made_with` is the tool that made the file.
    """

    model: str
    target: str
    esp_dl: str
    made_with: str
    effort: str
    recipe: str
    precisions: dict[str, int]
    samples: int
    outputs: tuple[Output, ...]
    findings: tuple[Finding, ...]
    layers: tuple[Layer, ...]
    memory: Memory
    speed: Speed | None
    board: str
    boards: tuple[BoardFit, ...]
    actions: tuple[Action, ...]
    notes: tuple[str, ...] = ()
    reported_by: str = ""
