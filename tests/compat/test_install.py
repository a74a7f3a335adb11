"""The import roots `esp_ppq` and `ppq`."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinsmith import compat
from tinsmith.compat.roots import uninstall
from tinsmith.errors import TinsmithError


@pytest.fixture(autouse=True)
def _without_roots() -> Iterator[None]:
    uninstall()
    yield
    uninstall()


def test_both_roots_are_the_same_modules() -> None:
    compat.install()
    own = importlib.import_module("tinsmith.compat.esp_ppq.core")
    for root in ("esp_ppq", "ppq"):
        module = importlib.import_module(f"{root}.core")
        assert module is own
        assert module.__spec__ is not None
        assert module.__name__ == module.__spec__.name == "tinsmith.compat.esp_ppq.core"
        names: dict[str, object] = {}
        exec(f"from {root}.core import TargetPlatform as one; import {root}.core as two", names)
        assert names["one"] is own.TargetPlatform
        assert names["two"] is own


def test_a_second_time_changes_nothing() -> None:
    compat.install()
    finders = [*sys.meta_path]
    importlib.import_module("ppq")
    compat.install()
    assert sys.meta_path == finders


def test_modules_that_are_not_there_are_not_found() -> None:
    compat.install()
    with pytest.raises(ModuleNotFoundError, match=r"esp_ppq\.nonsense"):
        importlib.import_module("esp_ppq.nonsense")


def test_an_installed_package_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ppq").mkdir()
    (tmp_path / "ppq" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = [*sys.meta_path]
    with pytest.raises(TinsmithError, match=r"ppq: a package of this name is there: .*__init__\.py\. Uninstall it"):
        compat.install()
    assert sys.meta_path == finders
    importlib.import_module("ppq")
    with pytest.raises(TinsmithError, match="a package of this name is there"):
        compat.install()


def test_a_folder_without_code_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "esp_ppq").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    compat.install()
    assert importlib.import_module("esp_ppq") is importlib.import_module("tinsmith.compat.esp_ppq")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tinsmith.compat", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_script_runs_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nimport beside\nfrom ppq.core import TargetPlatform\n"
        "print(__name__, sys.argv[1:], beside.VALUE, TargetPlatform.ESPDL_S3_INT8.value)\n"
    )
    done = _run(str(script), "--flag", "x")
    assert (done.returncode, done.stdout) == (0, "__main__ ['--flag', 'x'] 7 553\n"), done.stderr


def test_the_imports_of_scripts_succeed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import ppq.lib as PFL\n"
        "from ppq import *\n"
        "from esp_ppq import QuantizationSettingFactory\n"
        "from esp_ppq.api import *\n"
        "from esp_ppq.core import *\n"
        "from esp_ppq.IR import TrainableGraph\n"
        "from esp_ppq.executor import TorchExecutor\n"
        "from esp_ppq.executor.base import OPERATION_FORWARD_TABLE, register_operation_handler\n"
        "from esp_ppq.parser import NativeExporter\n"
        "from esp_ppq.parser.espdl.espdl_typedef import ExporterPatternInfo\n"
        "from esp_ppq.parser.espdl.export_patterns import AddLUTPattern\n"
        "from esp_ppq.quantization.analyse import graphwise_error_analyse, layerwise_error_analyse\n"
        "from esp_ppq.quantization.optim import *\n"
        "from esp_ppq.quantization.qfunction.linear import PPQLinearQuant_toInt\n"
        "from esp_ppq.utils.round import ppq_tensor_round\n"
        "from ppq.log import NaiveLogger\n"
        "import sys\n"
        "assert QuantizeFusionPass and PFL.Pipeline and espdl_quantize_onnx and TargetPlatform\n"
        "print('torch' in sys.modules)\n"
    )
    done = _run(str(script))
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_help_is_no_script() -> None:
    done = _run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage:")


@pytest.mark.parametrize(("arguments", "said"), [((), "usage:"), (("absent.py",), "there is no such file")])
def test_scripts_that_are_none(arguments: tuple[str, ...], said: str) -> None:
    done = _run(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
