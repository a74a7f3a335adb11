"""TFLite's operators one by one: against formulas, and against the reference runtime where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.importers.contract import assert_agrees
from tests.importers.tflite_cases import Case, cases
from tinsmith.importers.tflite.file import read
from tinsmith.importers.tflite.operation import table

CASES = cases()
ELSEWHERE = {
    *("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "CROP", "WHILE", "SHAPE", "EMBEDDING_LOOKUP"),  # test_tflite.py
    *("QUANTIZE", "DEQUANTIZE", "FAKE_QUANT"),  # test_tflite_quantized.py
}


def _id(case: Case) -> str:
    return case.name


def test_every_operator_has_a_case() -> None:
    tested = {operator.kind for case in CASES for graph in read(case.data, "") for operator in graph.operators}
    assert set(table()) - tested == ELSEWHERE


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_formula(case: Case) -> None:
    assert_agrees(case.data, case.inputs, case.expected)


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_reference_runtime(case: Case) -> None:
    """That the formulas are the runtime's."""
    litert: Any = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="needs the reference runtime, ai-edge-litert"
    )
    runtime = litert.Interpreter(model_content=case.data, num_threads=1)
    runtime.allocate_tensors()
    for detail in runtime.get_input_details():
        runtime.set_tensor(detail["index"], case.inputs[detail["name"]])
    runtime.invoke()
    for detail, expected in zip(runtime.get_output_details(), case.expected, strict=True):
        found = runtime.get_tensor(detail["index"])
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
