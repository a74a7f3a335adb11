"""What is measured, each figure as the median of several runs that take turns with each other."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

import tinsmith
from networks import Array, Case
from tinsmith.espdl import encode

THREADS = 2
IMAGES = 32
"""Images to quantize with."""
PAUSE = 0.02
"""Seconds between runs, so that ONNX Runtime's threads of the last one no longer spin."""
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: The figure with its unit.
        ratio: Beside what it is compared with; empty where it stands alone.
        bound: What was promised; empty where nothing was.
        kept: Whether the promise holds; None without one.
    """

    what: str
    value: str
    ratio: str = ""
    bound: str = ""
    kept: bool | None = None


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, after one warm-up; they take turns, so that a busy moment hits all alike."""
    for run in work.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, run in work.items():
            time.sleep(PAUSE)
            times[name].append(seconds(run))
    return {name: statistics.median(runs) for name, runs in times.items()}


def float_session(model: Path, threads: int = THREADS) -> ort.InferenceSession:
    """ONNX Runtime on the float model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(model, options)


def _one_by_one(session: ort.InferenceSession, images: Array) -> None:
    name = session.get_inputs()[0].name
    for index in range(len(images)):
        session.run(None, {name: images[index : index + 1]})


def _two_at_a_time(session: ort.InferenceSession, images: Array) -> None:
    """Each thread runs images of its own in a session of one thread, as the simulator does."""
    name = session.get_inputs()[0].name
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda index: session.run(None, {name: images[index : index + 1]}), range(len(images))))


def simulation(case: Case, rounds: int) -> list[Figure]:
    """Images per second of the compiled form, beside ONNX Runtime on the float model."""
    session, single = float_session(case.model), float_session(case.model, threads=1)
    name, images = session.get_inputs()[0].name, case.samples
    runs: dict[str, Callable[[], object]] = {
        "float, one by one": lambda: _one_by_one(session, images),
        "float, as a batch": lambda: session.run(None, {name: images}),
        "float, two at a time": lambda: _two_at_a_time(single, images),
    }
    promised = ("simulated, esp32p4", "simulated, esp32s3, lanes not checked")
    for label, target, unchecked in (
        (promised[0], "esp32p4", False),
        (promised[1], "esp32s3", True),
        ("simulated, esp32s3, lanes checked", "esp32s3", False),
    ):
        program = tinsmith.quantize(case.model, case.calibration, target=target).program
        simulator = tinsmith.Simulator(program, assume_no_saturation=unchecked)
        runs[label] = lambda simulator=simulator: simulator.run_independent({name: images})
    found = medians(runs, rounds)
    fastest = min(took for label, took in found.items() if label.startswith("float"))
    return [
        Figure(
            label,
            f"{len(images) / took:,.0f} images/s",
            f"{fastest / took:.2f} x fastest float",
            "≥ 0.5 x" if label in promised else "",
            fastest / took >= 0.5 if label in promised else None,
        )
        for label, took in found.items()
    ]


def quantizing(case: Case, rounds: int) -> list[Figure]:
    """Seconds from model and images to a program, beside the float pass over the same images."""
    session = float_session(case.model)
    found = medians(
        {
            "float pass": lambda: _one_by_one(session, case.calibration[:IMAGES]),
            "quantize": lambda: tinsmith.quantize(case.model, case.calibration[:IMAGES], target="esp32p4"),
        },
        rounds,
    )
    took, bound = found["quantize"], 3 * found["float pass"] + 3
    return [
        Figure(f"float pass over {IMAGES} images", f"{found['float pass']:.2f} s"),
        Figure(
            f"quantize with {IMAGES} images",
            f"{took:.2f} s",
            f"{took / found['float pass']:.1f} x float pass",
            f"≤ 3 x + 3 s = {bound:.2f} s",
            took <= bound,
        ),
        Figure("first simulated image, compilation included", f"{_first_image(case):.2f} s"),
    ]


def _first_image(case: Case) -> float:
    program = tinsmith.quantize(case.model, case.calibration[:IMAGES], target="esp32p4").program
    (image,) = (value.name for value in program.inputs)
    return seconds(lambda: tinsmith.simulate(program, {image: case.samples[:1]}))


def writing(case: Case, rounds: int) -> list[Figure]:
    """Seconds to encode, and to write all three files."""
    quantized = tinsmith.quantize(case.model, case.calibration[:IMAGES], target="esp32p4")
    weights = sum(tensor.data.nbytes for tensor in quantized.program.constants.values())
    with tempfile.TemporaryDirectory() as folder:
        found = medians(
            {"encode": lambda: encode(quantized.program), "save": lambda: quantized.save(Path(folder))}, rounds
        )
    allowed = 0.05 * max(weights / 3.5e6, 1)
    return [
        Figure(
            f"encode {weights / 1e6:.2f} MB of constants",
            f"{1000 * found['encode']:.1f} ms",
            bound=f"≤ {1000 * allowed:.0f} ms",
            kept=found["encode"] <= allowed,
        ),
        Figure("write .espdl, .info and .json", f"{found['save']:.2f} s", bound="≤ 1.5 s", kept=found["save"] <= 1.5),
    ]


def memory(case: Case, counts: tuple[int, int] = (32, 500)) -> list[Figure]:
    """Peak memory of quantizing with few and with many images that arrive one by one."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, case.calibration[:IMAGES])
        peaks = []
        for count in counts:
            command = [sys.executable, str(HERE / "peak_memory.py"), str(case.model), str(images), str(count)]
            peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024)
    ratio = peaks[1] / peaks[0]
    return [
        Figure(f"peak memory, {counts[0]} images", f"{peaks[0]:.0f} MiB"),
        Figure(
            f"peak memory, {counts[1]} images",
            f"{peaks[1]:.0f} MiB",
            f"{ratio:.3f} x that of {counts[0]}",
            "≤ 1.10",
            ratio <= 1.1,
        ),
    ]


def peer(case: Case, python: str) -> list[Figure]:
    """The same steps in esp-ppq, in an interpreter that has it."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, case.calibration[:IMAGES])
        command = [python, str(HERE / "peer_esp_ppq.py"), str(case.model), str(images), folder]
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(THREADS)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return [Figure("esp-ppq", "failed", done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "")]
    times: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return [
        Figure(f"esp-ppq {times['version']}: quantize", f"{times['quantize']:.2f} s"),
        Figure("esp-ppq: layerwise error report", f"{times['report']:.2f} s"),
        Figure("esp-ppq: write .espdl, .info and .json", f"{times['export']:.2f} s"),
        Figure("esp-ppq: fake-quantized inference", f"{1 / times['image']:.1f} images/s"),
    ]


def starting(rounds: int) -> list[Figure]:
    """Seconds to import the package and to print the help, best of several; the interpreter's own start beside it."""

    def best(*command: str) -> float:
        return min(seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(rounds))

    bare = best(sys.executable, "-c", "pass")
    loading = best(sys.executable, "-c", "import tinsmith") - bare
    helping = best(str(Path(sys.executable).with_name("tinsmith")), "--help")
    return [
        Figure("python -c pass", f"{1000 * bare:.0f} ms"),
        Figure("import tinsmith, beyond that", f"{1000 * loading:.0f} ms", bound="≤ 200 ms", kept=loading <= 0.2),
        Figure("tinsmith --help, in all", f"{1000 * helping:.0f} ms", bound="≤ 300 ms", kept=helping <= 0.3),
    ]
