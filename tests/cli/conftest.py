"""A model, data and the files made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.cli.shell import ok
from tests.small_net import answers, classifier, images, saved


@dataclass(frozen=True)
class Workshop:
    """Paths of what the tests of the commands start from; never written to."""

    model: Path
    calibration: Path
    data: Path
    labels: Path
    build: Path

    @property
    def espdl(self) -> Path:
        """The quantized model, with a test sample inside."""
        return self.build / "model.espdl"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("werkstatt für Blech")
    model = classifier()
    found = Workshop(
        saved(model, folder / "modell.onnx"),
        folder / "calibration.npy",
        folder / "data.npy",
        folder / "labels.npy",
        folder / "build",
    )
    np.save(found.calibration, images(16))
    np.save(found.data, images(40, seed=2))
    np.save(found.labels, answers(model, images(40, seed=2)))
    ok("quantize", found.model, "--data", found.calibration, "-o", found.build, "--export-test-values")
    return found
