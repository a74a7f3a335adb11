"""How far a simulated case may be from ONNX's expected outputs, and from the float network at the chip's formats.

Both follow from the formats. An int8 value has 64 to 127 steps to its largest element, so a tensor of evenly spread
elements keeps 37 dB or more, a normal one (largest element at four deviations) 35 dB; two operands and a result that
are rounded, each by itself, cost 5 dB, a difference of operands a few more. int16 adds 8 bits less the one of headroom,
42 dB.

The steps are counted from the float network whose every value and constant is rounded to the format it has on the
chip. What is left is the arithmetic of the kernel: half a step of rounding by another order of operations, one where
that crosses a tie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf

SNR = {8: 25.0, 16: 67.0}
"""Least ratio of signal and noise in dB, by width."""
STEPS = 1.0
"""Most steps of the output's format away from the float network at the chip's formats."""
PARTS = 20.0
"""The same for float outputs, in parts per million of the largest element: a few float32 operations."""
_NEAR = 4.0
"""A floor this many dB below the worst case is too low."""


@dataclass(frozen=True)
class Larger:
    """Cases whose error is larger, and why.

    Attributes:
        patterns: Names.
        reason: What the formats make of them.
        snr: Least ratio by width; minus infinity where nothing is left to compare.
        steps: Most steps by width.
        parts: Most parts per million of float outputs by width.
    """

    patterns: tuple[str, ...]
    reason: str
    snr: Mapping[int, float] = field(default_factory=dict)
    steps: Mapping[int, float] = field(default_factory=dict)
    parts: Mapping[int, float] = field(default_factory=dict)


_ANYTHING = {8: -inf, 16: -inf}
LARGER = (
    Larger(
        ("greater_equal*", "less"),
        "operands closer than a step compare as equal: one wrong of 60 random pairs leaves 15 dB",
        snr={8: 14.0},
    ),
    Larger(
        ("log", "tan"),
        "steep: a step of the input near 0 (near a pole) is many steps of the output",
        snr={8: 18.0, 16: 54.0},
    ),
    Larger(
        ("matmul_1d_3d",),
        "sums that cancel: smaller than the products by the root of their number",
        snr={8: 24.0},
    ),
    Larger(
        ("reduce_prod_default_axes_keepdims_random",),
        "a product of 12 factors has the errors of all of them",
        snr={16: 60.0},
    ),
    Larger(
        ("lppool_1d_default", "lppool_2d_*"),
        "third powers: those of small elements are less than a step of the largest one's",
        snr={8: 15.0, 16: 41.0},
    ),
    Larger(
        ("batchnorm_example",),
        "computed statistics: a step of a small variance is much of the quotient by its root",
        snr={8: 13.0},
    ),
    Larger(
        ("resize_downsample_scales_*_align_corners",),
        "ONNX's reference stretches to 2.4 elements, the runtime (like ONNX Runtime) to the 2 there are",
        snr={8: 11.0, 16: 11.0},
    ),
    Larger(
        ("quantizelinear*", "qlinear*"),
        "the model's own rounding to 2 to 8 bits, and the saturation of numbers beyond its range, are not repeated",
        snr=_ANYTHING,
    ),
    Larger(
        ("attention_4d_softcap_neginf_mask_poison*",),
        "numbers of 1,000 that nobody may see are in the same tensor as those below 1",
        snr={8: 0.0, 16: 39.0},
    ),
    Larger(
        ("attention_*_bf16*",),
        "the outputs expected are bfloat16 themselves, which has 8 bits: 50 dB",
        snr={16: 48.0},
    ),
    Larger(
        (
            "attention_2?_fullymasked_*",
            "attention_24_qk_*_softmax_precision*",
            "attention_local_window_gqa_rank4_mask*",
        ),
        "scores share their format with the mask's -32: an int8 step is a quarter, and a share 13 % off",
        snr={8: 22.0, 16: 63.0},
    ),
    Larger(
        ("attention_*qk_matmul_softmax*",),
        "one step of the scores, where the sum of scores and mask crosses a tie, is 3 % of the shares",
        parts={8: 32_000.0, 16: 100.0},
    ),
    Larger(
        ("linear_attention_prefill_with_past*",),
        "a state that every step multiplies, adds to and rounds again",
        snr={8: 22.0, 16: 64.0},
    ),
    Larger(
        ("gru_*", "lstm_*", "rnn_*", "simple_rnn_*"),
        "gates and states are rounded at every step, some to 2^-7 (int8) or 2^-9 (int16), by their own arithmetic",
        snr={8: 22.0, 16: 47.0},
        steps={8: 10.0, 16: 64.0},
    ),
)


def limits(name: str, bits: int, without: Larger | None = None) -> tuple[float, float, float]:
    """Least ratio in dB, most steps and most parts per million for a case, all exceptions but one considered."""
    ratio, steps, parts = SNR[bits], STEPS, PARTS
    for larger in LARGER:
        if larger is not without and any(fnmatchcase(name, pattern) for pattern in larger.patterns):
            ratio = larger.snr.get(bits, ratio)
            steps, parts = larger.steps.get(bits, steps), larger.parts.get(bits, parts)
    return ratio, steps, parts


Measured = tuple[float, float, float]
"""Ratio, steps and parts of one case."""


def too_generous(measured: Mapping[tuple[str, int], Measured]) -> list[str]:
    """Exceptions and parts of them that no case needs, and floors far below what their cases reach.

    Args:
        measured: Of all cases that are quantized, by name and width.
    """
    found = []
    for larger in LARGER:
        for pattern in larger.patterns:
            own = {key: one for key, one in measured.items() if fnmatchcase(key[0], pattern)}
            if not any(_needs(larger, key, one) for key, one in own.items()):
                found.append(f"{pattern}: needs no exception")
        own = {key: one for key, one in measured.items() if any(fnmatchcase(key[0], each) for each in larger.patterns)}
        for index, (kind, given) in enumerate((("dB", larger.snr), ("steps", larger.steps), ("parts", larger.parts))):
            for bits, limit in given.items():
                values = [one[index] for (_, width), one in own.items() if width == bits]
                worst = (min if kind == "dB" else max)(values, default=inf)
                usual = (SNR[bits], STEPS, PARTS)[index]
                needed = worst < usual if kind == "dB" else worst > usual
                near = worst - limit < _NEAR if kind == "dB" else limit < 2 * worst + 1
                if not needed or not (near or limit == -inf):
                    found.append(f"{larger.patterns[0]} …: {worst:.1f} {kind} at {bits} bits, {limit} allowed")
    return found


def _needs(larger: Larger, key: tuple[str, int], measured: Measured) -> bool:
    ratio, steps, parts = limits(*key, without=larger)
    return not (measured[0] >= ratio and measured[1] <= steps and measured[2] <= parts)
