"""Published streaming models over several calls: the state stays, both forms agree, a reset begins anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conformance.compare import differing
from tests.shared import shared_files
from tinsmith import Simulator
from tinsmith.espdl import read
from tinsmith.program import Program

CASES = shared_files("golden/models/*streaming*.espdl")
CALLS = 4

pytestmark = pytest.mark.skipif(not CASES, reason="needs the reference files (set TINSMITH_SHARED)")


def frames(program: Program) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [
        {value.name: rng.integers(-60, 60, value.shape).astype(value.dtype.numpy) for value in program.inputs}
        for _ in range(CALLS)
    ]


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_calls_one_after_the_other(path: Path) -> None:
    program, target = read(path), path.stem.partition("__")[0]
    assert "StreamingCache" in {node.op_type for node in program.nodes}
    stream = frames(program)
    forms = [Simulator(program, target, compiled=compiled) for compiled in (True, False)]
    outputs = []
    for frame in stream:
        quick, exact = (form.run(frame, save_all=True) for form in forms)
        assert all(np.array_equal(quick[name], exact[name]) for name in exact)
        outputs.append({value.name: quick[value.name] for value in program.outputs})
    fresh = Simulator(program, target).run(stream[-1])
    assert any(not np.array_equal(fresh[name], outputs[-1][name]) for name in fresh), "the state makes no difference"
    forms[0].reset()
    again = [forms[0].run(frame) for frame in stream]
    for first, second in zip(outputs, again, strict=True):
        assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_the_first_call_after_a_reset_is_the_runtime_s(path: Path) -> None:
    program, golden = read(path), np.load(path.with_suffix(".npz"))
    inputs = {key.partition("|")[2].replace("|", "/"): golden[key] for key in golden.files if key.startswith("in|")}
    simulator = Simulator(program, str(golden["target"]))
    simulator.run(frames(program)[0])
    simulator.reset()
    found = simulator.run(inputs)
    for key in golden.files:
        kind, _, name = key.partition("|")
        if kind == "out":
            assert differing(found[name.replace("|", "/")], golden[key]) == 0, name
