"""ESP32-P4 and ESP32-S31: the second vector unit (PIE v2). Per-channel weights, ties to even."""

from dataclasses import replace

from tinsmith.quant.rounding import Rounding
from tinsmith.targets.base import Accumulator, LinearUnit, PReluStyle, Saturation, Target
from tinsmith.targets.version import Version

ESP32P4 = Target(
    name="esp32p4",
    family="pie-v2",
    rounding=Rounding.HALF_EVEN,
    per_channel=True,
    linear={
        8: LinearUnit(
            block=16,
            vector=Accumulator(32),
            tail=Accumulator(40),
            depthwise=Accumulator(32),
            bias_bits=32,
            bias_bytes=4,
        ),
        16: LinearUnit(
            block=8,
            vector=Accumulator(64),
            tail=Accumulator(40, Saturation.EACH_BLOCK),
            depthwise=Accumulator(64),
            bias_bits=40,
            bias_bytes=8,
        ),
    },
    prelu={8: PReluStyle.VECTOR_WRAPPING, 16: PReluStyle.FLOOR_SATURATING},
    vector_minimum={8: 16, 16: 8},
    simd=True,
)
ESP32S31 = replace(ESP32P4, name="esp32s31", since=Version(3, 3, 3))

TARGETS = (ESP32P4, ESP32S31)
