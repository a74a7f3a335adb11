"""What noise costs, against noise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.algorithms.scalable import canonical, chain, samples
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.portrait import portraits
from tinsmith.algorithms.sensitivity import costs


@pytest.mark.parametrize("name", ["c3", "a2", "c2", "a1", "x"])
def test_costs_are_those_of_real_noise(name: str) -> None:
    """Small noise on one value makes, at the output, the noise its costs add up to (within what sampling leaves)."""
    model, net = canonical(chain(np.random.default_rng(0), shape=6))
    data = samples(net, 1)
    values = ["x", *(o.name for node in net.nodes for o in node.outputs)]
    seen = portraits(model, values, data)
    found = costs(net, seen)
    operands = {o.name: o for node in net.nodes for o in (*(i for i in node.inputs if i), *node.outputs)}
    told = np.broadcast_to(found[name], operands[name].shape).sum()
    at = next((k + 1 for k, node in enumerate(net.nodes) if any(o.name == name for o in node.outputs)), 0)
    rest = FloatNodes(net.nodes[at:], net.outputs)
    value = seen[name].first
    rng = np.random.default_rng(1)
    size = 1e-3 * float(np.sqrt(np.square(value).mean()))
    clean = rest({name: value})["y"].astype(np.float64)
    errors = [
        np.square(rest({name: value + (rng.standard_normal(value.shape) * size).astype(np.float32)})["y"] - clean).sum()
        for _ in range(200)
    ]
    measured = np.mean(errors) / size**2 / np.square(clean).sum()
    assert 0.6 < told / measured < 1.7


def test_moved_elements_keep_their_costs() -> None:
    """What a Flatten moves costs the same before and after."""
    model, net = canonical(chain(np.random.default_rng(0)))
    values = ["x", *(o.name for node in net.nodes for o in node.outputs)]
    found = costs(net, portraits(model, values, samples(net, 1)))
    assert np.allclose(np.broadcast_to(found["p"], (1, 16, 1, 1)).ravel(), np.broadcast_to(found["f"], (1, 16)).ravel())
