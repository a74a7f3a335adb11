"""What stands in for methods of layers while a model is traced, where Keras spells out what is one operator."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from tinsmith.importers.keras.recurrent import recurrent_covers

Covers = dict[str, Callable[..., Any]]
"""Functions by the names of the methods they stand in for."""
_ALONG_THE_LAST_AXIS = ("Dense", "Activation", "Dropout")


def covers(keras: ModuleType, torch: ModuleType, layer: Any) -> Covers:
    """What stands in for methods of a layer; nothing for most layers.

    - Recurrent layers: `tinsmith.importers.keras.recurrent`.
    - UpSampling2D by repeating: Keras repeats rows and columns one after the other.
    - Embedding: Keras first looks for numbers below 0, which count from the end, as they do in ONNX anyway.
    - TimeDistributed of what looks at one row at a time anyway: Keras takes the steps apart.
    """
    if type(layer) is keras.layers.UpSampling2D and layer.interpolation == "nearest":
        return {"call": lambda inputs: _upsampled(torch, layer, inputs)}
    if type(layer) is keras.layers.Embedding:
        rows = keras.ops.convert_to_tensor(layer.embeddings).detach()
        return {"call": lambda inputs: torch.nn.functional.embedding(inputs.long(), rows)}
    if type(layer) is keras.layers.TimeDistributed:
        inner = layer.layer
        if any(type(inner) is getattr(keras.layers, name) for name in _ALONG_THE_LAST_AXIS):
            return {"call": lambda inputs, **options: inner(inputs)}
    return recurrent_covers(keras, torch, layer)


def _upsampled(torch: ModuleType, layer: Any, inputs: Any) -> Any:
    last = layer.data_format == "channels_last"
    x = inputs.permute(0, 3, 1, 2) if last else inputs
    size = tuple(extent * factor for extent, factor in zip(x.shape[2:], layer.size, strict=True))
    y = torch.nn.functional.interpolate(x, size=size, mode="nearest")
    return y.permute(0, 2, 3, 1) if last else y
