"""Importing and quantizing needs no torch; tensors say what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.small_net import classifier, saved

_SCRIPT = """
import sys
sys.modules["torch"] = None
import numpy as np
from tinsmith.compat.esp_ppq import *
from tinsmith.compat.esp_ppq.api import *
from tinsmith.compat.esp_ppq.core import *
from tinsmith.compat.esp_ppq.executor import *
from tinsmith.compat.esp_ppq.IR import *
from tinsmith.errors import MissingExtraError

data = list(np.random.default_rng(0).normal(0, 1, (2, 2, 3, 8, 8)).astype(np.float32))
setting = QuantizationSettingFactory.espdl_setting()
graph = espdl_quantize_onnx(sys.argv[1], sys.argv[2], data, 2, [1, 3, 8, 8], setting=setting)
try:
    TorchExecutor(graph)(data[0])
except MissingExtraError as error:
    print(error)
"""


def test_only_tensors_need_it(tmp_path: Path) -> None:
    model = saved(classifier(), tmp_path / "net.onnx")
    arguments = [sys.executable, "-c", _SCRIPT, str(model), str(tmp_path / "net.espdl")]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "NOISE:SIGNAL POWER RATIO" in run.stdout
    assert "pip install 'tinsmith[torch]'" in run.stdout
    assert (tmp_path / "net.espdl").exists()
