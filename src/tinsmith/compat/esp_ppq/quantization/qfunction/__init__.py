"""From floats to integers and back."""

from tinsmith.compat.esp_ppq.stand_ins import FORMATS, names

_HOMES = {
    "PPQLinearQuantFunction": "quantization.qfunction.linear",
    "PPQLinearQuant_toInt": "quantization.qfunction.linear",
    "PPQuantFunction": "quantization.qfunction.generic",
    "PPQuantFunction_toInt": "quantization.qfunction.generic",
}
_ABSENT = {FORMATS: ("BaseQuantFunction", "PPQDyamicLinearQuantFunction", "PPQFloatingQuantFunction")}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
