"""Hooks, which run nowhere."""

from tinsmith.compat.esp_ppq.stand_ins import KERNELS, names

__getattr__, __all__ = names(
    "tinsmith.compat.esp_ppq.executor",
    {},
    {KERNELS: ("QuantOPRuntimeHook", "RuntimeHook", "TorchMetaDataTracingHook")},
)
