"""PyTorch's layers arrive as what they are, and compute what PyTorch computes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from tests.importers import torch_nets as nets  # noqa: E402
from tests.importers.contract import assert_agrees  # noqa: E402
from tinsmith.graph.network import network  # noqa: E402

GRU, LSTM = torch.nn.GRU, torch.nn.LSTM
PICTURE, SEQUENCE, TOKENS = (1, 3, 12, 12), (1, 9, 6), (1, 7, 16)


def encoder(**options: Any) -> Any:
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, **options)
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def operators(canonical: Any) -> Counter[str]:
    """Those that compute something: how shapes come about is not the importer's business."""
    found = Counter(node.op_type for node in network(canonical).nodes)
    return Counter({name: count for name, count in found.items() if name not in ("Reshape", "Transpose")})


@pytest.mark.parametrize(
    ("make", "options", "shape", "expected"),
    [
        (nets.Cnn, {}, PICTURE, {"Conv": 2, "Clip": 2, "GlobalAveragePool": 1, "Gemm": 1}),
        (
            nets.Depthwise,
            {},
            (1, 4, 10, 10),
            {"Conv": 4, "Swish": 1, "HardSwish": 1, "GlobalAveragePool": 1, "HardSigmoid": 1, "Mul": 1, "Add": 1},
        ),
        (nets.Recurrent, {"layer": GRU, "batch_first": True}, SEQUENCE, {"GRU": 1, "Gemm": 1}),
        (nets.Recurrent, {"layer": GRU, "num_layers": 2, "bidirectional": True}, (9, 1, 6), {"GRU": 2, "Gemm": 1}),
        (nets.Recurrent, {"layer": LSTM}, (9, 1, 6), {"LSTM": 1, "Gemm": 1}),
        (
            nets.Recurrent,
            {"layer": LSTM, "num_layers": 2, "bidirectional": True, "batch_first": True},
            SEQUENCE,
            {"LSTM": 2, "Gemm": 1},
        ),
        (nets.Attention, {}, TOKENS, {"Gemm": 4, "MatMul": 2, "Softmax": 1, "Add": 1, "LayerNormalization": 1}),
        (nets.Scaled, {}, TOKENS, {"Gemm": 3, "MatMul": 2, "Softmax": 1}),
        (
            encoder,
            {},
            TOKENS,
            {"Gemm": 12, "MatMul": 4, "Softmax": 2, "Add": 4, "LayerNormalization": 4, "Relu": 2},
        ),
    ],
    ids=[
        "cnn",
        "depthwise",
        "gru",
        "gru-two-both-ways",
        "lstm",
        "lstm-two-both-ways",
        "attention",
        "scaled",
        "encoder",
    ],
)
def test_zoo(make: Any, options: dict[str, Any], shape: tuple[int, ...], expected: dict[str, int]) -> None:
    module, x = nets.seeded(make, **options).eval(), nets.numbers(*shape)
    with torch.no_grad():
        result = module(x)
    canonical = assert_agrees(module, {"x": x}, [result], example_input=x)
    assert operators(canonical) == expected


def test_activations_and_pools() -> None:
    layers = [
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.GELU(),
        torch.nn.Conv2d(8, 8, 1),
        torch.nn.PReLU(8),
        torch.nn.AdaptiveAvgPool2d((5, 2)),
        torch.nn.Conv2d(8, 8, 1),
        torch.nn.Mish(),
        torch.nn.AdaptiveMaxPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
        torch.nn.ELU(),
        torch.nn.Linear(4, 4),
        torch.nn.LeakyReLU(),
        torch.nn.Softmax(-1),
    ]
    module, x = nets.seeded(torch.nn.Sequential, *layers).eval(), nets.numbers(*PICTURE)
    with torch.no_grad():
        result = module(x)
    found = operators(assert_agrees(module, {"x": x}, [result], example_input=x))
    assert found["Conv"] == 3
    assert found["Gemm"] == 2
    single = ("Gelu", "PRelu", "AveragePool", "ReduceMax", "Elu", "LeakyRelu", "Softmax", "Mish")
    assert {name: found[name] for name in single} == dict.fromkeys(single, 1)
    assert sum(found.values()) == 5 + len(single)


def test_several_inputs_and_outputs() -> None:
    module, a, b = nets.seeded(nets.Several).eval(), nets.numbers(1, 4), nets.numbers(1, 6)
    with torch.no_grad():
        result = module(a, b)
    expected = [result["sum"], *result["parts"]]
    canonical = assert_agrees(module, {"left": a, "right": b}, expected, example_input=(a, b))
    assert [value.name for value in canonical.graph.inputs] == ["left", "right"]
    assert [value.name for value in canonical.graph.outputs] == ["sum", "parts_0", "parts_1"]


def test_integers() -> None:
    module, tokens = nets.seeded(nets.Embedded).eval(), torch.tensor([[1, 4, 2]])
    with torch.no_grad():
        result = module(tokens)
    assert_agrees(module, {"tokens": tokens}, [result], example_input=tokens)
