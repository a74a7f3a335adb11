from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from tests.graph.models import feeds_for, model, node, op_types, value
from tinsmith.graph import Runner, canonicalize
from tinsmith.importers import load

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("partial", [0, 4])
@pytest.mark.parametrize("shape", [(1, 2, 3, 8), (1, 3, 16)])
@pytest.mark.parametrize("positions", ["none", "constant", "computed angles"])
def test_against_the_definition(interleaved: int, partial: int, shape: tuple[int, ...], positions: str) -> None:
    pairs = (partial or 8) // 2
    angles = RNG.normal(size=(1, 3, pairs) if positions != "constant" else (7, pairs))
    constants: dict[str, Any] = {"c": np.cos(angles).astype(np.float32), "s": np.sin(angles).astype(np.float32)}
    inputs = [value("x", shape)]
    if positions == "constant":
        constants["p"] = [[4, 0, 6]]
    if positions == "computed angles":
        inputs += [value("c", (1, 3, pairs)), value("s", (1, 3, pairs))]
        constants = {}
    options = {"interleaved": interleaved, "rotary_embedding_dim": partial}
    if len(shape) == 3:
        options["num_heads"] = 2
    layer = node("RotaryEmbedding", "x c s p" if positions == "constant" else "x c s", "y", **options)
    original = model([layer], inputs, "y", constants)
    canonical = canonicalize(load(original))
    assert "RotaryEmbedding" not in op_types(canonical)
    feeds = feeds_for(canonical)
    (wanted,) = ReferenceEvaluator(original).run(None, feeds)
    found = Runner(canonical)(feeds)["y"]
    assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()
