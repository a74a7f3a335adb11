"""Runs of the accuracy comparison: quantize, run on all held samples as the chip would, keep the outcome."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

import outcomes
import tinsmith
from networks import Array, Case
from outcomes import OURS, Outcome, Run
from tinsmith.espdl import encode
from tinsmith.ops.layouts import channels_last, identity
from tinsmith.simulator.inputs import LAYOUTS_KEY, Original, layouts_text

HERE = Path(__file__).parent
BATCH = 16
COMPARED = 8
"""Held samples on which a peer's own executor is compared with its file."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Where outcomes are kept, and the interpreter with esp-ppq.

    Attributes:
        results: The folder of outcomes; an outcome that is there is not measured again.
        peer: An interpreter with esp-ppq.
        again: Measure anew what is kept.
    """

    results: Path
    peer: str | None = None
    again: bool = False

    def measure(self, run: Run, case: Callable[[], Case]) -> Outcome:
        """The outcome of a run, kept or new; the data are read only where they are needed."""
        found = None if self.again else outcomes.kept(run, self.results)
        if found is None:
            measured = (self._ours if run.tool == OURS else self._peers)(run, case())
            found = replace(measured, machine=outcomes.machine(), measured=date.today().isoformat())
            outcomes.save(found, self.results)
        return found

    def _ours(self, run: Run, case: Case) -> Outcome:
        blank = self._blank(run, case)
        load, start, busy = os.getloadavg()[0], time.perf_counter(), time.process_time()
        try:
            quantized = tinsmith.quantize(case.model, case.calibration, run.target, **run.options)
        except tinsmith.TinsmithError as error:
            return replace(blank, failed=str(error), load=load)
        took, used = time.perf_counter() - start, time.process_time() - busy
        chip = chip_outputs(quantized.program, case.samples, run.target)
        wide = [name for name, decision in quantized.placement.items() if decision.bits == 16]
        mixed = len(wide) < len(quantized.placement)
        notes = {
            "notes": [str(note) for note in quantized.notes],
            "int16": wide if mixed else [],
            "sha256": hashlib.sha256(encode(quantized.program)).hexdigest(),
        }
        timed = replace(blank, seconds=took, cpu_seconds=used, load=load, notes=notes)
        return replace(self._answered(timed, case, chip), version=f"{tinsmith.__version__} ({sources()})")

    def _peers(self, run: Run, case: Case) -> Outcome:
        if self.peer is None:
            raise ValueError("no interpreter with esp-ppq was given")
        blank = self._blank(run, case)
        load = os.getloadavg()[0]
        file = (self.results / run.place).with_suffix(".espdl")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            report = self._quantized_by_peer(run, case, folder, case.samples[:COMPARED])
            timed = replace(
                blank,
                load=load,
                failed=report["failed"],
                seconds=report["seconds"],
                cpu_seconds=report["cpu_seconds"],
                version=report["version"],
                notes={"int16": report["int16"]},
            )
            if report["failed"] is not None:
                return timed
            own, refused = np.load(folder / "outputs.npy"), report["not_exported"]
            if refused is None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes((folder / "model.espdl").read_bytes())
                try:
                    program, alike = laid_out(tinsmith.read(file), case, run.target, own)
                    chip = chip_outputs(program, case.samples, run.target)
                    timed = replace(timed, notes={**timed.notes, "snr_to_own_executor_db": alike})
                    return self._answered(timed, case, chip)
                except (tinsmith.TinsmithError, ValueError) as error:
                    refused = str(error)
            self._quantized_by_peer(run, case, folder, case.samples)
            outputs = np.load(folder / "outputs.npy")
            timed = replace(timed, own_executor=True, notes={**timed.notes, "refused": refused})
            return self._answered(timed, case, outputs.reshape(len(outputs), -1))

    def _quantized_by_peer(self, run: Run, case: Case, folder: Path, compared: Array) -> dict[str, Any]:
        for name, array in (("calibration", case.calibration), ("samples", compared)):
            np.save(folder / f"{name}.npy", array)
        command = [str(self.peer), str(HERE / "peer_accuracy.py"), str(case.model), str(folder / "calibration.npy")]
        command += [run.target, str(run.options["recipe"]), str(folder), "--outputs", str(folder / "samples.npy")]
        threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [""]
            empty = {"version": "", "seconds": float("nan"), "cpu_seconds": float("nan"), "int16": []}
            return {**empty, "failed": f"exit status {done.returncode}: {lines[-1]}"[:300], "not_exported": None}
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _blank(self, run: Run, case: Case) -> Outcome:
        answers = float_outputs(case, self.results).argmax(axis=1)
        return Outcome(run, case.labels.tolist(), answers.tolist())

    def _answered(self, outcome: Outcome, case: Case, chip: Array) -> Outcome:
        reference = float_outputs(case, self.results)
        return replace(outcome, answers=chip.argmax(axis=1).tolist(), snr_db=outcomes.snr_db(chip, reference))


def float_outputs(case: Case, results: Path) -> Array:
    """What ONNX Runtime computes for each held sample, (N, classes); kept beside the outcomes."""
    digest = hashlib.sha256(case.model.read_bytes())
    digest.update(np.ascontiguousarray(case.samples).data)
    path = results / case.name / f"float-{digest.hexdigest()[:12]}.npy"
    if not path.is_file():
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 2, 3
        session = ort.InferenceSession(str(case.model), options, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        rows = [session.run(None, {source.name: sample[None]})[0].ravel() for sample in case.samples]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.stack(rows))
    found: Array = np.load(path)
    return found


def chip_outputs(program: tinsmith.Program, samples: Array, target: str) -> Array:
    """What the chip computes for each sample, as real numbers, (N, classes)."""
    simulator = tinsmith.Simulator(program, target)
    (source,), (result,) = program.inputs, program.outputs
    rows = []
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        found = tinsmith.dequantize(program, simulator.run_independent({source.name: batch}))
        rows.append(found[result.name].reshape(len(batch), -1))
    return np.concatenate(rows)


def laid_out(program: tinsmith.Program, case: Case, target: str, own: Array) -> tuple[tinsmith.Program, float]:
    """A peer's program with the layout of its input recorded, and the SNR in dB of its outputs to the peer's own.

    Peers' files do not record how the float model's input was turned, and shapes alone may allow both ways: the way
    whose outputs are closest to what the peer's own executor computes for the same samples is the right one.

    Raises:
        TinsmithError: The file cannot be run on the chip.
        ValueError: The file's input is no layout of the model's.
    """
    (source,) = program.inputs
    rank, samples, own = len(source.shape), case.samples[: len(own)], own.reshape(len(own), -1)
    found: list[tuple[float, tinsmith.Program]] = []
    for perm in dict.fromkeys((channels_last(rank), identity(rank))):
        shape = tuple(source.shape[perm.index(axis)] for axis in range(rank))
        if shape[1:] != samples.shape[1:]:
            continue
        text = layouts_text({source.name: Original(shape, perm)})
        turned = replace(program, metadata={**program.metadata, LAYOUTS_KEY: text})
        found.append((outcomes.snr_db(chip_outputs(turned, samples, target), own), turned))
    if not found:
        raise ValueError(f"{case.name}: the file takes {source.shape}, the model {samples.shape[1:]}")
    alike, turned = max(found, key=lambda one: one[0])
    return turned, alike


@cache
def sources() -> str:
    """Digest of the package's sources, to tell results of different states apart."""
    root = Path(tinsmith.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]
