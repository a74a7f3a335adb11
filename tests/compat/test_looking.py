"""What scripts read off graphs: neighbours, places, formats, policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_net import classifier, images, saved
from tinsmith.compat.esp_ppq.api import load_onnx_graph, quantize_onnx_model
from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting, QuantizationSettingFactory
from tinsmith.compat.esp_ppq.core import QuantizationProperty, QuantizationStates, TargetPlatform
from tinsmith.compat.esp_ppq.IR import BaseGraph
from tinsmith.compat.esp_ppq.IR.quantize import QuantableOperation, QuantableVariable
from tinsmith.compat.esp_ppq.parser.espdl.espdl_typedef import ExporterPatternInfo

torch = pytest.importorskip("torch", reason="tensors need torch")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(classifier(), tmp_path_factory.mktemp("float") / "net.onnx")


@pytest.fixture(scope="module")
def quantized(path: Path) -> BaseGraph:
    return quantize_onnx_model(str(path), [images(8)], 1, [1, 3, 8, 8], TargetPlatform.ESPDL_INT8)


@pytest.fixture(params=["float", "quantized"])
def graph(request: pytest.FixtureRequest, path: Path, quantized: BaseGraph) -> BaseGraph:
    return load_onnx_graph(path) if request.param == "float" else quantized


def test_operators_know_their_neighbours(graph: BaseGraph) -> None:
    operators = list(graph.operations.values())
    pairs = {(one.name, other.name) for one in operators for other in graph.get_downstream_operations(one)}
    assert pairs == {(other.name, one.name) for one in operators for other in graph.get_upstream_operations(one)}
    assert len(pairs) >= len(operators) - 1
    for one in operators:
        assert (one.num_of_input, one.num_of_output) == (len(one.inputs), len(one.outputs))
        assert one.num_of_parameter == len(one.parameters)


def test_variables_know_their_places(graph: BaseGraph) -> None:
    for variable in graph.variables.values():
        assert [op.inputs[place] for op, place in zip(variable.dest_ops, variable.dest_idx, strict=True)] == [
            variable
        ] * len(variable.dest_ops)
        source = variable.source_op
        assert variable.src_idx is None if source is None else source.outputs[variable.src_idx or 0] is variable


def test_variables_have_the_formats_of_their_operators(quantized: BaseGraph) -> None:
    seen = 0
    for variable in quantized.variables.values():
        assert isinstance(variable, QuantableVariable)
        assert (variable.stored_value is None) == (not variable.is_parameter)
        if isinstance(variable.source_op, QuantableOperation):
            assert variable.source_op_config in variable.source_op.output_quant_config
            seen += 1
        for reader, found in zip(variable.dest_ops, variable.dest_op_configs, strict=True):
            if isinstance(reader, QuantableOperation):
                assert (found, variable) in reader.config_with_variable
            else:
                assert found is None
    assert seen >= 3


def test_a_format_says_what_it_is(quantized: BaseGraph) -> None:
    found = quantized.operations["conv"]
    assert isinstance(found, QuantableOperation)
    policy = found.output_quant_config[0].policy
    wanted = {"PER_TENSOR", "LINEAR", "SYMMETRICAL", "POWER_OF_2"}
    assert {name for name, has in policy.to_dict().items() if has} == wanted
    assert set(policy.to_dict()) == {flag.name for flag in QuantizationProperty}
    assert found.output_quant_config[0].dominated_by is found.output_quant_config[0]
    active = {state for state in QuantizationStates if QuantizationStates.is_activated(state)}
    assert active == {QuantizationStates.ACTIVATED, QuantizationStates.PASSIVE}


def test_what_scripts_note_about_an_export() -> None:
    info = ExporterPatternInfo()
    info.reset()
    info.add_var_exponents("x", -3)
    info.add_var_exponents("w", [-5, -6])
    info.add_var_layout("w", "N16HWC16")
    info.add_var_permute("x", (0, 2, 3, 1))
    info.add_var_config("x", "format")
    assert info.add_lut("table", [1, 2], -4) == "table"
    assert (info.get_var_exponents("x"), info.get_var_exponents("w"), info.get_var_exponents("table")) == (
        [-3],
        [-5, -6],
        [-4],
    )
    assert (info.get_var_layout("w"), info.get_var_permute("x"), info.get_var_config("x")) == (
        "N16HWC16",
        [0, 2, 3, 1],
        "format",
    )
    assert info.get_lut("table") == [1, 2]
    info.reset()
    assert info.get_var_layout("w", "none") == info.get_lut("table", "none") == "none"


def test_the_plain_defaults() -> None:
    assert QuantizationSettingFactory.default_setting().plain() == QuantizationSetting().plain()
