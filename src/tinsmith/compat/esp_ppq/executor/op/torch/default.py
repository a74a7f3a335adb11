"""`DEFAULT_BACKEND_TABLE`."""

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.executor.handlers import OPERATION_FORWARD_TABLE

DEFAULT_BACKEND_TABLE = OPERATION_FORWARD_TABLE[TargetPlatform.FP32]

__all__ = ["DEFAULT_BACKEND_TABLE"]
