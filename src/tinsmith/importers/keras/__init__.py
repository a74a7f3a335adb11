"""Keras 3 models in memory, ``.keras`` and ``.h5`` files, those of Keras 2 included; without TensorFlow.

Keras runs on its torch backend, and PyTorch's exporter follows what its layers compute. Recurrent layers are put into
the graph as the one operator that they are. A model in memory that lives on another backend goes through a file to a
process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.importers.hints import Hints
from tinsmith.importers.keras.backend import keras_on_torch
from tinsmith.importers.keras.elsewhere import convert_file, convert_model
from tinsmith.importers.keras.files import opened
from tinsmith.importers.keras.tracing import trace

if TYPE_CHECKING:
    import onnx_ir as ir


def load(source: Any, hints: Hints) -> ir.Model:
    """Loads a Keras model.

    Args:
        source: A `keras.Model`, or the path of a ``.keras`` or ``.h5`` file of a whole model. Never modified, and no
            code in it is run.
        hints: Shapes for the axes, other than the batch, that the model leaves open; an example input for a model that
            does not say what it takes.

    Returns:
        The graph with batch 1 and Keras' own layout, names of inputs, outputs and layers.

    Raises:
        ModelError: The file holds no model, or one that needs classes or code that are not in it; the model cannot be
            converted.
        UnsupportedError: A layer keeps its state between calls, or leaves steps out by a mask.
        MissingExtraError: Keras 3 or PyTorch is not installed.
    """
    keras = keras_on_torch()
    if isinstance(source, (str, Path)):
        path = Path(source)
        if keras is None:
            return convert_file(path, hints)
        return trace(keras, opened(keras, path), hints, str(path))
    if keras is None:
        return convert_model(source, hints)
    return trace(keras, source, hints, f"the Keras model {source.name!r}")
