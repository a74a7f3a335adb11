"""Small float networks of what users export, one idea each: name → ONNX model."""

from __future__ import annotations

from tests.e2e.nets import layers, pointwise, shapes, transformers, windows, wiring
from tests.e2e.nets.build import MODELS, samples

__all__ = ["MODELS", "layers", "pointwise", "samples", "shapes", "transformers", "windows", "wiring"]
