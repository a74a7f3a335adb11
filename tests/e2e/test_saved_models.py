"""The files of real networks: they are the program, the same in every run, and they read back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.e2e.real import case, quantized
from tests.shared import shared_path
from tinsmith.espdl import decode, encode, load_table

SCRIPT = """
import sys
import numpy as np
import tinsmith

model, data, target, folder = sys.argv[1:]
mixed = tinsmith.quantize(model, np.load(data), target, int16=["Conv_4", "Gemm"])
mixed.save(folder, test_values=True)
"""


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "c"])
@pytest.mark.parametrize("name", ["kws", "vww"])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_file_is_the_program(name: str, target: str, bits: int, tmp_path: Path) -> None:
    result = quantized(name, target, bits, 20)
    saved = result.save(tmp_path, test_values=True)
    program = tinsmith.read(saved.espdl)
    assert program == result.with_test_values().program
    assert saved.espdl.read_bytes() == encode(program) == encode(decode(encode(program)))
    samples = {program.inputs[0].name: case(name, 20).samples}
    again, first = tinsmith.simulate(program, samples, save_all=True), result.simulate(samples, save_all=True)
    assert again.keys() == first.keys()
    assert all(np.array_equal(again[key], first[key]) for key in first)
    embedded = tinsmith.simulate(program, program.test_inputs, compiled=False)
    assert all(embedded[key].tolist() == array.tolist() for key, array in program.test_outputs.items())


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_the_texts_of_a_model(target: str, tmp_path: Path) -> None:
    result = quantized("kws", target, 8, 20)
    saved = result.save(tmp_path, test_values=True)
    text = saved.info.read_text()
    for title in ("model properties", "initializers value:", "values info:", "test inputs value", "test outputs value"):
        assert title in text
    assert all(node.op_type in text for node in result.program.nodes)
    assert load_table(saved.json.read_text()) == result.formats


def test_every_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the order in which Python's sets and dicts of the process give their elements."""
    folders = []
    calibration = tmp_path / "calibration.npy"
    np.save(calibration, case("kws", 1).calibration[:8])
    model = shared_path("data/models/kws_dscnn.onnx")
    for seed in ("1", "2"):
        folders.append(tmp_path / seed)
        arguments = [sys.executable, "-c", SCRIPT, str(model), str(calibration), "esp32p4", str(folders[-1])]
        subprocess.run(arguments, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    for suffix in ("espdl", "info", "json"):
        assert len({(folder / f"model.{suffix}").read_bytes() for folder in folders}) == 1
