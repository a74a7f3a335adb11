"""How exponents are found. tinsmith observes all values in one pass; the algorithms are options."""

from tinsmith.compat.esp_ppq.stand_ins import OBSERVERS, names

_HOMES = {"OBSERVER_TABLE": "quantization.observer.table"}
_ABSENT = {
    OBSERVERS: (
        "BaseTensorObserver",
        "CalibrationHook",
        "ConstantObserver",
        "DirectMSEObserver",
        "OperationObserver",
        "TensorObserverFactroy",
        "TorchHistObserver",
        "TorchIsotoneObserver",
        "TorchMSEObserver",
        "TorchMinMaxObserver",
        "TorchPercentileObserver",
    )
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
