"""`espdl_quantize_torch`: modules, DataLoaders, names of operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.small_net import images
from tinsmith.compat.esp_ppq.api import (
    QuantizationSettingFactory,
    dump_torch_to_onnx,
    espdl_quantize_torch,
    get_target_platform,
)
from tinsmith.compat.esp_ppq.executor import TorchExecutor
from tinsmith.compat.esp_ppq.IR import BaseGraph
from tinsmith.errors import ModelError, RecipeError

torch = pytest.importorskip("torch", reason="modules need torch")
pytest.importorskip("onnxscript", reason="torch's exporters need it")


def network() -> Any:
    """features (Conv, Relu, Conv) and head (Linear)."""
    torch.manual_seed(0)
    features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3))
    net = torch.nn.Sequential()
    net.add_module("features", features)
    net.add_module("flat", torch.nn.Flatten())
    net.add_module("head", torch.nn.Linear(64, 5))
    return net


def loader(*, labels: bool = False) -> Any:
    """Two batches of three."""
    pictures = torch.from_numpy(images(6))
    columns = (pictures, torch.arange(6)) if labels else (pictures,)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*columns), batch_size=3, shuffle=True)


def quantized(net: Any, path: Path, **options: Any) -> BaseGraph:
    given = {"calib_dataloader": loader(), "calib_steps": 2, "input_shape": [1, 3, 8, 8], "error_report": False}
    return espdl_quantize_torch(net, str(path), **{**given, **options})


def test_four_files_and_a_module_as_it_was(tmp_path: Path) -> None:
    net = network().train()
    graph = quantized(net, tmp_path / "out" / "net.espdl", device="cuda")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["net.espdl", "net.info", "net.json", "net.onnx"]
    assert all(part.training for part in net.modules())
    assert list(graph.operations) == [
        "/features/features.0/Conv",
        "/features/features.1/Relu",
        "/features/features.2/Conv",
        "/flat/Flatten",
        "/head/Gemm",
    ]
    sample = torch.from_numpy(images(6))
    with torch.no_grad():
        error = TorchExecutor(graph)(sample)[0] - net(sample)
        assert float(error.square().sum()) < 0.01 * float(net(sample).square().sum())


@pytest.mark.parametrize("options", [{}, {"collate_fn": lambda batch: batch[0]}], ids=["dropped", "collated"])
def test_labels_do_not_matter(tmp_path: Path, options: dict[str, Callable[..., Any]]) -> None:
    found = [
        quantized(network(), tmp_path / "net.espdl", calib_dataloader=loader(labels=labels), **options)
        for labels in (False, True)
    ]
    first, second = (graph.quantized for graph in found)
    assert first is not None
    assert second is not None
    assert first.formats == second.formats


@pytest.mark.parametrize(
    ("name", "wide"),
    [
        ("/features/features.0/Conv", ["/features/features.0/Conv", "/features/features.1/Relu"]),
        ("features.0", ["/features/features.0/Conv", "/features/features.1/Relu"]),
        ("head", ["/head/Gemm"]),
    ],
)
def test_layers_go_by_operators_and_by_modules(tmp_path: Path, name: str, wide: list[str]) -> None:
    setting = QuantizationSettingFactory.espdl_setting()
    setting.dispatching_table.append(name, get_target_platform("esp32s3", 16))
    graph = quantized(network(), tmp_path / "net.espdl", setting=setting, target="esp32s3")
    assert [name for name, op in graph.operations.items() if op.platform.name.endswith("INT16")] == wide


def test_a_misspelt_module_is_told(tmp_path: Path) -> None:
    platform = get_target_platform("esp32p4", 16)
    with pytest.raises(RecipeError, match=r"no operator 'feature.0'. Did you mean 'features.0'"):
        quantized(network(), tmp_path / "net.espdl", dispatching_override={"feature.0": platform})


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a dict is no torch.nn.Module"):
        quantized({}, tmp_path / "net.espdl")


def test_given_inputs_are_traced_and_their_values_embedded(tmp_path: Path) -> None:
    import tinsmith

    sample = torch.from_numpy(images(1, 5))
    graph = quantized(network(), tmp_path / "net.espdl", inputs=[sample], export_test_values=True)
    program = tinsmith.read(tmp_path / "net.espdl")
    (output,) = TorchExecutor(graph)(sample)
    (integers,) = program.test_outputs.values()
    value = program.outputs[0]
    assert (integers * np.float32(2.0**value.exponent)).tolist() == output.numpy().tolist()


@pytest.mark.slow
def test_what_cannot_be_traced_is_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export = torch.onnx.export

    def without_tracing(*arguments: Any, dynamo: bool = True, **options: Any) -> Any:
        if not dynamo:
            raise RuntimeError("no tracing any more")
        return export(*arguments, dynamo=True, **options)

    monkeypatch.setattr(torch.onnx, "export", without_tracing)
    platform = get_target_platform("esp32p4", 16)
    graph = quantized(network(), tmp_path / "net.espdl", dispatching_override={"head": platform})
    assert [op.type for op in graph.operations.values() if op.platform.name == "ESPDL_INT16"] == ["Gemm"]
    assert [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node].count("Conv") == 2
    assert "(no tracing any more), and captured its graph" in capsys.readouterr().out


class _Singular(torch.nn.Module):
    """What no exporter knows."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.svd(x)[1]


def test_what_cannot_be_exported_is_an_error_and_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="_Singular: cannot be converted"):
        espdl_quantize_torch(_Singular(), str(tmp_path / "net.espdl"), [torch.rand(1, 4, 4)], 1, [1, 4, 4])
    assert capfd.readouterr() == ("", "")


class _Two(torch.nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = torch.nn.Linear(8, 6), torch.nn.Linear(4, 6)

    def forward(self, left: Any, right: Any) -> Any:
        """Their sum, and one of them."""
        one = self.left(left)
        return one + torch.nn.functional.silu(self.right(right)), one


def test_several_inputs_come_in_order(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, rng = _Two(), np.random.default_rng(0)
    pairs = [[torch.from_numpy(rng.normal(0, 1, (3, n)).astype(np.float32)) for n in (8, 4)] for _ in range(2)]
    shapes = [[1, 8], [1, 4]]
    graph = quantized(net, tmp_path / "net.espdl", calib_dataloader=pairs, input_shape=shapes, target="esp32s3")
    found = TorchExecutor(graph)(pairs[0])
    with torch.no_grad():
        for output, expected in zip(found, net(*pairs[0]), strict=True):
            assert output.shape == expected.shape
            assert float((output - expected).square().sum()) < 0.01 * float(expected.square().sum())


def test_attention_is_traced_by_the_names_scripts_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
    dump_torch_to_onnx(net, tmp_path / "net.onnx", [1, 6, 8])
    names = [node.name for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert "/layers.0/self_attn/Softmax" in names
    assert "captured" not in capsys.readouterr().out
