"""The same for whatever a configuration may be; here they are all linear."""

from tinsmith.compat.esp_ppq.quantization.qfunction.linear import PPQLinearQuant_toInt, PPQLinearQuantFunction

PPQuantFunction = PPQLinearQuantFunction
PPQuantFunction_toInt = PPQLinearQuant_toInt

__all__ = ["PPQuantFunction", "PPQuantFunction_toInt"]
