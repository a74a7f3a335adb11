"""Layers of PyTorch models go by the paths of their modules."""

from __future__ import annotations

import io
import warnings
from typing import Any

import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

import tinsmith  # noqa: E402
from tests.importers import torch_nets as nets  # noqa: E402
from tinsmith.errors import RecipeError  # noqa: E402
from tinsmith.graph.canonical import canonicalize  # noqa: E402
from tinsmith.graph.network import network  # noqa: E402
from tinsmith.importers import load  # noqa: E402
from tinsmith.importers.hints import Hints  # noqa: E402

X = nets.numbers(8, 4, 10, 10)


class Twice(torch.nn.Module):
    """Modules that are called twice, and a block that has operations of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.act(x + self.act(self.conv(self.conv(x))))


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nets.Block(4, 4)
        self.blocks = torch.nn.ModuleList([Twice(), nets.Depthwise()])
        self.head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(400, 3))

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x * 2)


NET = nets.seeded(Net).eval()
NAMES = [
    "stem.0", "stem.2", "blocks.0.conv", "blocks.0.conv_1", "blocks.0.act", "blocks.0/Add", "blocks.0.act_1",
    "blocks.1.expand.0", "blocks.1.expand.2", "blocks.1.depth.0", "blocks.1.depth.2", "blocks.1.project",
    "blocks.1.gate.0", "blocks.1.gate.1", "blocks.1.gate.2", "blocks.1/Mul", "blocks.1/Add", "head.0", "head.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def source() -> Any:
    return load(NET, Hints(X))


def layers(model: Any) -> dict[str, tuple[str, ...]]:
    return {node.name: node.sources for node in network(canonicalize(model)).nodes}


def test_layers_are_modules(source: Any) -> None:
    found = layers(source)
    assert [name for name in found if name != "Mul"] == NAMES
    assert {"stem.0", "stem.1", "stem"} <= set(found["stem.0"])
    assert "node_conv2d" in found["stem.0"]
    assert {"blocks.1.expand.2", "blocks.1.expand", "blocks.1", "blocks"} <= set(found["blocks.1.expand.2"])


def test_the_older_exporter_within(source: Any) -> None:
    class Deciding(Net):
        def forward(self, x: Any) -> Any:
            y = super().forward(x)
            return y * 2 if float(x.sum()) > 1e9 else y

    found = layers(load(nets.seeded(Deciding).eval(), Hints(X)))
    assert [name for name in found if name != "Mul"] == NAMES
    assert {"stem.0", "stem", "/stem/stem.0/Conv"} <= set(found["stem.0"])
    assert {"blocks.0.act", "blocks.0", "/blocks.0/act_1/Relu"} <= set(found["blocks.0.act_1"])


def test_files_of_the_older_exporter_have_modules_too() -> None:
    written = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(NET, (X[:1],), written, dynamo=False)
    found = layers(load(written.getvalue()))
    assert {"stem.0", "stem", "/stem/stem.0/Conv"} <= set(found["/stem/stem.0/Conv"])
    assert {"blocks.1.expand.2", "blocks.1"} <= {name for names in found.values() for name in names}
    # Where others wrote a file, a name is a name.
    plain = onnx.load_from_string(written.getvalue())
    plain.producer_name = "somebody"
    assert "stem" not in layers(load(plain))["/stem/stem.0/Conv"]


def test_files_of_the_newer_exporter_have_modules_too() -> None:
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(NET, (X[:1],), dynamo=True, verbose=False)
    proto = onnx.load_from_string(program.model_proto.SerializeToString())
    found = layers(load(proto))
    assert "node_conv2d_2" in found
    assert {"blocks.1.project", "blocks.1"} <= {name for names in found.values() for name in names}
    assert layers(load(program)).keys() == {name.replace("stem.0", "stem.1") for name in layers(load(program))}


def precisions(quantized: tinsmith.Quantized) -> dict[str, str]:
    return {row.layer: row.precision for row in quantized.table()}


def test_options_take_modules(source: Any) -> None:
    found = precisions(tinsmith.quantize(source, X, effort="fast", int16=["blocks.1.depth"]))
    assert {name for name, precision in found.items() if precision == "int16"} == {
        "blocks.1.depth.0",
        "blocks.1.depth.2",
    }
    # Normalization is part of the convolution.
    found = precisions(tinsmith.quantize(source, X, effort="fast", int16=["stem.1"]))
    assert {name for name, precision in found.items() if precision == "int16"} == {"stem.0", "stem.2"}


def test_scopes_and_equalization_take_modules(source: Any) -> None:
    quantized = tinsmith.quantize(
        source,
        X,
        scopes=[{"layers": ["blocks.0"], "bits": 16}, {"layers": ["blocks.0.conv_1", "node_relu_1"], "bits": 8}],
        algorithms=["classic_equalize"],
        equalization={"interested_layers": ["blocks.1.expand.0"]},
    )
    wide = {name for name, precision in precisions(quantized).items() if precision == "int16"}
    assert wide == {"blocks.0.conv", "blocks.0/Add"}


def test_a_path_is_not_the_beginning_of_another() -> None:
    module = nets.seeded(torch.nn.Sequential, *(torch.nn.Conv2d(2, 2, 1) for _ in range(12)))
    x = nets.numbers(8, 2, 4, 4)
    found = precisions(tinsmith.quantize(module, x, effort="fast", int16=["1"]))
    assert [name for name, precision in found.items() if precision == "int16"] == ["1"]


def test_misspelt_modules(source: Any) -> None:
    with pytest.raises(RecipeError, match=r"'blocks.1.expandd' matches no node. Close names: .*'blocks.1.expand'"):
        tinsmith.quantize(source, X, effort="fast", int16=["blocks.1.expandd"])


def test_splits_take_modules(source: Any) -> None:
    quantized = tinsmith.quantize(
        source, X, effort="fast", splits=[{"layers": ["blocks.1.project"], "value_threshold": 0.01}]
    )
    assert any("'blocks.1.project'" in note for note in quantized.notes)
