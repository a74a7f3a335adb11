"""What every importer promises: the canonical graph computes what the framework computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.execute import Runner
from tinsmith.importers import load
from tinsmith.importers.hints import Hints

TOLERANCE = 1e-5
"""Of the largest magnitude of an output: both sides compute in float32, in orders of their own."""


def assert_agrees(
    source: Any, inputs: Mapping[str, Any], expected: Sequence[Any], *, example_input: Any = None, **options: Any
) -> ir.Model:
    """Loads, brings into canonical form and runs a model, and compares every output with the framework's.

    Args:
        source: What `tinsmith.importers.load` takes.
        inputs: By name, batch axis of 1 included; where there is one, its name does not matter.
        expected: The framework's own outputs for them, in order.
        example_input: The hint of that name.
        options: Of `canonicalize`.

    Returns:
        The canonical model.
    """
    shapes = {name: tuple(np.shape(value)) for name, value in inputs.items()}
    canonical = canonicalize(load(source, Hints(example_input, {} if len(shapes) == 1 else shapes)), **options)
    names = [value.name or "" for value in canonical.graph.inputs]
    fed = dict(zip(names, inputs.values(), strict=True)) if len(names) == 1 else dict(inputs)
    results = Runner(canonical)({name: np.asarray(value) for name, value in fed.items()})
    found = [results[value.name or ""] for value in canonical.graph.outputs]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        theirs = np.asarray(theirs)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()
    return canonical
