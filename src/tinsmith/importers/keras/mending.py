"""What files of Keras 2 say differently, and what no file may say.

Keras 3 reads most configurations of Keras 2. Mended here is what it refuses although it means nothing, and what it
would take for something else without a word.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

from tinsmith.errors import ModelError

KERAS2_HARD_SIGMOID = "keras2_hard_sigmoid"
"""The name of Keras 2's function: 0.2 x + 0.5 where Keras 3 has x / 6 + 0.5, both cut to 0 … 1."""
_RENAMED = MappingProxyType(
    {
        "BatchNormalizationV1": "BatchNormalization",
        "BatchNormalizationV2": "BatchNormalization",
        "SyncBatchNormalization": "BatchNormalization",
        "LSTMV1": "LSTM",
        "LSTMV2": "LSTM",
        "GRUV1": "GRU",
        "GRUV2": "GRU",
    }
)
_MEANINGLESS: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "groups": (1,),
        "time_major": (False,),
        "implementation": (0, 1, 2),
        "fused": (None, False, True),
        "renorm": (False,),
        "virtual_batch_size": (None,),
        "dynamic": (False,),
        "ragged": (False,),
        "sparse": (False,),
    }
)
"""Keys that Keras 3 does not know for every layer that has them, with the values that change nothing."""
_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "TFSMLayer", "ClassMethod", "InstanceProperty")
_TRAINING = {"_initializer": "initializers", "_regularizer": "regularizers", "_constraint": "constraints"}


@dataclass(frozen=True, slots=True)
class Mender:
    """Mends configurations.

    Attributes:
        keras: The package.
        subject: What messages call the file.
        is_old: Whether Keras 2 or older wrote it.
        is_hdf5: Whether it is in the older of the two formats.
        way_out: What to do about a file that needs more than is in it.
    """

    keras: ModuleType
    subject: str
    is_old: bool
    is_hdf5: bool
    way_out: str

    def mended(self, config: Any) -> Any:
        """The configuration of a model, or of anything in it, as Keras 3 should read it.

        Raises:
            ModelError: It holds Python code, operations of TensorFlow, or what would be read wrongly.
        """
        if isinstance(config, list):
            return [self.mended(part) for part in config]
        if not isinstance(config, dict):
            return config
        if not isinstance(config.get("config"), dict) or not isinstance(config.get("class_name"), str):
            return {key: self.mended(part) for key, part in config.items()}
        name, own = config["class_name"], config["config"]
        self._refuse(name, own)
        if name == "Policy":
            return own.get("name")
        if self.is_old:
            name, own = _RENAMED.get(name, name), self._of_keras2(_RENAMED.get(name, name), own)
        own = {key: self._without_training(key, part) for key, part in own.items()}
        return {
            **{key: self.mended(part) for key, part in config.items()},
            "class_name": name,
            "config": self.mended(own),
        }

    def _refuse(self, name: str, own: Mapping[str, Any]) -> None:
        layer = own.get("name") or name
        if name == "__lambda__" or (name == "Lambda" and _is_code(own.get("function"))):
            reason = f"the Lambda layer {layer!r} is Python code, which is not run from a file."
            raise ModelError(reason.replace("'__lambda__' ", ""), subject=self.subject, hint=self.way_out)
        if name in _TENSORFLOW:
            raise ModelError(
                f"layer {layer!r} is an operation of TensorFlow, which Keras 3 cannot read.",
                subject=self.subject,
                hint="Export the model as a SavedModel with the TensorFlow it was made with, and give its folder.",
            )
        axis = own.get("axis")
        if self.is_hdf5 and isinstance(axis, list) and len(axis) > 1:
            raise ModelError(
                f"layer {layer!r} works along the axes {axis}, which Keras loses when it reads HDF5.",
                subject=self.subject,
                hint="Save the model as .keras, or give it in memory.",
            )

    def _of_keras2(self, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        known = inspect.signature(getattr(self.keras.layers, name, dict).__init__).parameters
        kept = {
            key: self._hard_sigmoid() if key.endswith("activation") and value == "hard_sigmoid" else value
            for key, value in own.items()
            if key in known or not any(value is one or value == one for one in _MEANINGLESS.get(key, ()))
        }
        return {"reset_after": False, **kept} if name == "GRU" else kept

    def _hard_sigmoid(self) -> Any:
        """Keras 2's function, as the format names functions that are not Keras' own."""
        if self.is_hdf5:
            return KERAS2_HARD_SIGMOID
        names = {"class_name": "function", "config": KERAS2_HARD_SIGMOID, "registered_name": "function"}
        return {"module": "builtins", **names}

    def _without_training(self, key: str, value: Any) -> Any:
        """Without what only training needs, where it is not Keras' own."""
        room = next((room for end, room in _TRAINING.items() if key.endswith(end)), None)
        name = value.get("class_name") if isinstance(value, dict) else value
        if room is None or not isinstance(name, str) or hasattr(getattr(self.keras, room), name):
            return value
        return "zeros" if room == "initializers" else None


def layers(config: Any) -> Iterator[Mapping[str, Any]]:
    """The configurations of the layers in a configuration, at any depth."""
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for part in parts:
        yield from layers(part)
    for part in config.get("layers", ()) if isinstance(config, dict) else ():
        if isinstance(part, dict) and isinstance(part.get("class_name"), str):
            yield part


def custom_objects(keras: ModuleType) -> dict[str, Any]:
    """What mended configurations name."""

    def keras2_hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return {KERAS2_HARD_SIGMOID: keras2_hard_sigmoid}


def _is_code(function: Any) -> bool:
    return isinstance(function, list) or (isinstance(function, dict) and function.get("class_name") == "__lambda__")
