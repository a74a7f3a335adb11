"""ESP32-S3: the first vector unit (PIE v1, "tie728" kernels). 20-bit saturating lanes in int8."""

from tinsmith.quant.rounding import Rounding
from tinsmith.targets.base import Accumulator, LinearUnit, PReluStyle, Saturation, Target

_LANE8 = Accumulator(20, Saturation.EACH_PRODUCT)
_LANE16 = Accumulator(40, Saturation.EACH_PRODUCT)

ESP32S3 = Target(
    name="esp32s3",
    family="pie-v1",
    rounding=Rounding.HALF_UP,
    per_channel=False,
    linear={
        8: LinearUnit(block=16, vector=_LANE8, tail=Accumulator(40), depthwise=_LANE8, bias_bits=20, bias_bytes=4),
        16: LinearUnit(
            block=8,
            vector=_LANE16,
            tail=Accumulator(40, Saturation.EACH_BLOCK),
            depthwise=_LANE16,
            bias_bits=40,
            bias_bytes=8,
        ),
    },
    prelu={8: PReluStyle.VECTOR_SATURATING, 16: PReluStyle.FLOOR_WRAPPING},
    vector_minimum={8: 16, 16: 8},
    simd=True,
)

TARGETS = (ESP32S3,)
