"""The scripts of the tutorials with esp-ppq and with tinsmith.compat, side by side; see README.md.

Every run is kept below --results: its output, its processor time, and the files it wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.table import Table

import tinsmith
from flow_plan import EXAMPLES, Array, Flow, Row, flows, substituted

ROOT = Path(__file__).resolve().parents[1]
OURS, PEER = "tinsmith", "esp-ppq"
TARGET = "esp32s3"


@dataclass(frozen=True)
class Ran:
    """One script, run.

    Attributes:
        status: Of its process.
        output: What it printed.
        error: The last lines of its error stream.
        cpu: Processor seconds, of the whole process.
        wall: Seconds.
        peak: The most memory any process of this command had so far, in MiB.
    """

    status: int
    output: str
    error: str
    cpu: float
    wall: float
    peak: float


class Bench:
    """Runs the scripts.

    Args:
        results: The folder of what is kept.
        peer: An interpreter with esp-ppq; None leaves it out.
        again: Runs what is kept anew.
        site: A folder of packages the peer's interpreter lacks.
    """

    def __init__(self, results: Path, peer: str | None, again: bool, site: Path | None) -> None:
        self.results, self.peer, self.again, self.site = results.resolve(), peer, again, site

    def folder(self, flow: Flow, tool: str) -> Path:
        """Where the files of one run are."""
        return self.results / re.sub(r"\W+", "_", flow.name) / tool

    def run(self, flow: Flow, tool: str) -> Ran:
        """The run, kept or new."""
        folder = self.folder(flow, tool)
        kept = folder / "run.json"
        if kept.is_file() and not self.again:
            fields = json.loads(kept.read_text("utf-8"))
            if not fields["status"]:
                return Ran(**{name: fields[name] for name in Ran.__dataclass_fields__})
        scripts = self._scripts(flow, tool)
        folder.mkdir(parents=True, exist_ok=True)
        if flow.before:
            self._trained(flow, folder / "files")
        ran = self._timed([scripts / flow.script, *flow.arguments, "--output", folder / "files"], tool)
        kept.write_text(json.dumps(vars(ran), indent=1), "utf-8")
        return ran

    def _scripts(self, flow: Flow, tool: str) -> Path:
        """The example's folder, or a copy of it with our import roots."""
        if tool == PEER:
            return EXAMPLES / flow.folder
        copy = self.results / "scripts" / flow.folder
        copy.mkdir(parents=True, exist_ok=True)
        for path in (EXAMPLES / flow.folder).iterdir():
            if path.suffix == ".py":
                (copy / path.name).write_text(substituted(path.read_text("utf-8")), "utf-8")
            elif path.is_file():
                (copy / path.name).write_bytes(path.read_bytes())
        neighbour = copy.parent / "sin"
        neighbour.mkdir(exist_ok=True)
        (neighbour / "sin.onnx").write_bytes((EXAMPLES / "sin/sin.onnx").read_bytes())
        return copy

    def _trained(self, flow: Flow, files: Path) -> None:
        """The network of an example, trained once for both tools."""
        script, *arguments = flow.before
        trained = self.results / "trained" / flow.folder
        if not trained.is_dir():
            train = str(EXAMPLES / flow.folder / script)
            subprocess.run([sys.executable, "-W", "ignore", train, *arguments, "--output", str(trained)], check=True)
        files.mkdir(parents=True, exist_ok=True)
        for path in trained.glob("*.onnx"):
            (files / path.name).write_bytes(path.read_bytes())

    def _timed(self, command: list[str | Path], tool: str) -> Ran:
        python = self.peer if tool == PEER else sys.executable
        if python is None:
            raise ValueError("no interpreter with esp-ppq was given")
        paths = [str(self.site)] if self.site is not None and tool == PEER else []
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)}
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [python, "-W", "ignore", *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        wall = time.perf_counter() - start
        return Ran(done.returncode, done.stdout, done.stderr[-3000:], cpu, wall, after.ru_maxrss / 1024)


def claimed(ran: Ran, row: Row) -> str | None:
    """The figure the script printed, None where it did not come that far."""
    found = re.search(row.claim, ran.output, flags=re.MULTILINE)
    return None if found is None else " ".join(found.groups())


def on_chip(file: Path, samples: Array) -> Array:
    """What the chip computes with a file, as real numbers; samples as the float model takes them."""
    program = tinsmith.read(file)
    ((source,), (result,)) = program.inputs, program.outputs
    if program.metadata.get("layouts") is None and tuple(source.shape[1:]) != samples.shape[1:]:
        samples = samples.transpose(0, 2, 3, 1)  # others do not record how they turned the input
    found = tinsmith.simulate(program, {source.name: samples}, TARGET)
    return tinsmith.dequantize(program, found)[result.name]


def in_floats(model: Path, samples: Array) -> Array:
    """What ONNX Runtime computes with the float network."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    (source, *_) = session.get_inputs()
    return np.concatenate([session.run(None, {source.name: sample[None]})[0] for sample in samples])


def exact(file: Path, flow: Flow, held: tuple[Array, Array], floats: Array | None) -> tuple[str, str]:
    """The figure of the file itself, or why there is none; and how often it answers as the float network does."""
    if not file.is_file():
        return "no file", ""
    try:
        found = on_chip(file, held[0])
    except tinsmith.TinsmithError as error:
        return f"refused: {str(error)[:80]}", ""
    figure, answers = flow.figure(found, held[1]), found.reshape(len(found), -1)
    if floats is None or answers.shape[1] == 1:
        return figure, ""
    return figure, f"{100 * np.mean(answers.argmax(1) == floats.reshape(answers.shape).argmax(1)):.2f}"


def last_line(ran: Ran) -> str:
    """The error of a script."""
    lines = ran.error.strip().splitlines() or [""]
    return lines[-1][:160]


def compared(flow: Flow, bench: Bench) -> tuple[list[list[str]], list[str]]:
    """The rows of the table for one flow, and what there is to say."""
    tools = [PEER, OURS] if flow.peer and bench.peer else [OURS]
    runs = {tool: bench.run(flow, tool) for tool in tools}
    held = flow.held()
    rows: list[list[str]] = []
    notes = []
    for tool, ran in runs.items():
        folder = bench.folder(flow, tool) / "files"
        model = folder / flow.model
        floats = in_floats(model, held[0]) if model.is_file() else None
        if not rows and floats is not None:
            rows.append([flow.name, "", "float", "", flow.figure(floats, held[1]), "", "", ""])
        if ran.status:
            notes.append(f"{flow.name}, {tool}: {last_line(ran)}")
        for index, row in enumerate(flow.rows):
            figure, alike = exact(folder / row.file, flow, held, floats)
            times = [f"{ran.cpu:.1f}", f"{ran.wall:.1f}"] if index == 0 else ["", ""]
            rows.append([flow.name, row.name, tool, claimed(ran, row) or "–", figure, alike, *times])
    return rows, notes


def _options() -> Any:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer-python", help="an interpreter with esp-ppq")
    options.add_argument("--peer-site", type=Path, help="a folder of packages that interpreter lacks (scikit-learn)")
    options.add_argument("--data", type=Path, help="the folder of networks and data, for the flows on real networks")
    options.add_argument("--pictures", type=Path, help="imagenet500.zip of that folder, unpacked")
    options.add_argument("--results", type=Path, default=ROOT / "output/flows", help="folder of what is kept")
    options.add_argument("--flows", default="", help="only flows whose name contains this")
    options.add_argument("--few", action="store_true", help="fewer samples, for a first look")
    options.add_argument("--again", action="store_true", help="run anew what is kept")
    return options.parse_args()


def main() -> None:
    chosen = _options()
    bench = Bench(chosen.results, chosen.peer_python, chosen.again, chosen.peer_site)
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=140)
    table = Table("flow", "file", "tool", "printed", "exact", "as float", "CPU s", "wall s", title=f"Flows on {TARGET}")
    notes: list[str] = []
    for flow in flows(chosen.data, chosen.pictures, chosen.few):
        if chosen.flows in flow.name:
            rows, said = compared(flow, bench)
            notes += said
            for row in rows:
                table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
