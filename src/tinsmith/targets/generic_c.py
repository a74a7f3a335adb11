"""Chips without a vector unit that ESP-DL serves with its C code: exact sums, half up, per-tensor weights."""

from dataclasses import replace

from tinsmith.quant.rounding import Rounding
from tinsmith.targets.base import Accumulator, LinearUnit, PReluStyle, Target
from tinsmith.targets.version import Version

C = Target(
    name="c",
    family="generic-c",
    rounding=Rounding.HALF_UP,
    per_channel=False,
    linear={
        8: LinearUnit(
            block=1,
            vector=Accumulator(32),
            tail=Accumulator(32),
            depthwise=Accumulator(32),
            bias_bits=32,
            bias_bytes=4,
        ),
        16: LinearUnit(
            block=1,
            vector=Accumulator(64),
            tail=Accumulator(64),
            depthwise=Accumulator(64),
            bias_bits=64,
            bias_bytes=8,
        ),
    },
    prelu={8: PReluStyle.FLOOR_SATURATING, 16: PReluStyle.FLOOR_SATURATING},
    vector_minimum=None,
    simd=False,
)

ESP32 = replace(C, name="esp32")
_LATER = ("esp32s2", "esp32c2", "esp32c3", "esp32c5", "esp32c6")

TARGETS = (C, ESP32, *(replace(C, name=name, since=Version(3, 3, 0)) for name in _LATER))
