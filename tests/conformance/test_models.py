"""Published models: every intermediate tensor is the one the runtime computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conformance.compare import differing
from tests.shared import shared_files
from tinsmith.espdl import read
from tinsmith.simulator.run import simulate

CASES = shared_files("golden/models/*.espdl")


@pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreter"])
@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_model(path: Path, compiled: bool) -> None:
    program = read(path)
    golden = np.load(path.with_suffix(".npz"))
    inputs = {key.partition("|")[2].replace("|", "/"): golden[key] for key in golden.files if key.startswith("in|")}
    found = simulate(program, inputs, str(golden["target"]), save_all=True, compiled=compiled)
    checked = 0
    for key in golden.files:
        kind, _, name = key.partition("|")
        if kind in ("out", "mid"):
            assert differing(found[name.replace("|", "/")], golden[key]) == 0, name
            checked += 1
    assert checked >= len(program.nodes)
