"""What is known of values that only move what layers computed."""

from __future__ import annotations

import numpy as np

import tinsmith
from tests.report.planted import joined
from tinsmith.report.beside import Pair
from tinsmith.report.graphwise import graphwise
from tinsmith.report.tensors import TensorStatistics
from tinsmith.report.views import Views


def test_a_concat_has_what_its_operands_have() -> None:
    planted = joined()
    quantized = tinsmith.quantize(planted.model, planted.data, planted.target, effort="fast")
    statistics = TensorStatistics(quantized)
    graphwise(quantized, planted.data, look=statistics.look)
    views = Views(quantized, statistics)
    assert views.sources("both") == ("a", "b")
    assert views.sources("a") == ("a",)
    large, small, both = (views.seen(name) for name in ("a", "b", "both"))
    assert large is not None
    assert small is not None
    assert both is not None
    assert both.highest == max(large.highest, small.highest)
    assert both.largest.tolist() == [*large.largest, *small.largest]
    operands = {output.name: output for node in quantized.network.nodes for output in node.outputs}
    own = views.own(operands["both"], 8)
    assert own is not None
    assert own.shape == operands["both"].shape
    assert np.unique(own[:, :4]).tolist() == [-1]
    assert np.unique(own[:, 4:]).tolist() == [-7]
    channels = views.channels(operands["both"], 8)
    assert channels is not None
    assert (channels <= own).all()
    assert (channels == channels[:, :, :1, :1]).all()
    assert views.seen("nothing") is None


def test_axes_of_which_a_part_was_looked_at_say_nothing_of_channels() -> None:
    planted = joined()
    quantized = tinsmith.quantize(planted.model, planted.data, planted.target, effort="fast")
    statistics = TensorStatistics(quantized)
    some = np.ones((1, 3, 5, 5), np.float32)
    statistics.look({"a": Pair(np.ones(some.shape, np.int8), 0.5, some)})
    views = Views(quantized, statistics)
    (operand,) = (output for node in quantized.network.nodes for output in node.outputs if output.name == "a")
    assert views.channels(operand, 8) is None
    own = views.own(operand, 8)
    assert own is not None
    assert np.unique(own).tolist() == [-6]
