"""Where the error comes from: what the analyses cost, and whether layerwise ranks layers as the direct method does.

    python benchmarks/layer_errors.py ROOT [--networks A,B] [--target CHIP] [--effort E] [--peer-python PYTHON]

ROOT holds the networks and their data (see README.md). The float pass is plain ONNX Runtime with two threads, one
sample after the other. Analyses are timed with everything that they set up; `graphwise`, which keeps that, once more
without. The direct method runs the float network with one layer replaced by the chip's, for every layer and all
samples; `layerwise` takes its usual few.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinsmith
from measures import HERE, float_session
from networks import Case, found
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Exact
from tinsmith.ops.floatnode import Array, Network
from tinsmith.ops.steps import Step
from tinsmith.report.beside import MEMO
from tinsmith.report.graphwise import graphwise
from tinsmith.report.layer_error import LayerError, float_outputs, layers, reference
from tinsmith.report.layerwise import LEAST_SAMPLES, layerwise

SAMPLES = 32


def direct(quantized: tinsmith.Quantized, samples: Sequence[Mapping[str, Array]]) -> list[float]:
    """Noise at the outputs with one layer on the chip and all others in floats, by layer; the mean over outputs."""
    network = reference(quantized)
    outputs = [operand for operand in network.outputs if operand.dtype.kind == "f"]
    whole = FloatNodes(network.nodes, outputs)
    clean = [whole(sample) for sample in samples]
    return [_alone(quantized, network, step, samples, clean) for step in layers(quantized)]


def _alone(
    quantized: tinsmith.Quantized,
    network: Network,
    step: Step,
    samples: Sequence[Mapping[str, Array]],
    clean: Sequence[Mapping[str, Array]],
) -> float:
    nodes = [step.node] if step.fused is None else [step.node, step.fused]
    made = {output.name for node in nodes for output in node.outputs}
    read = {i.name: i for node in nodes for i in node.inputs if i is not None and i.const is None}
    inputs = [operand for name, operand in read.items() if name not in made]
    bits = {name: decision.bits for name, decision in quantized.placement.items()}
    part = Network(tuple(nodes), tuple(inputs), tuple(float_outputs(step)))
    chip = Exact(part, quantized.formats, bits, quantized.target, checked=True)
    given = {operand.name for operand in network.inputs}
    inner = [operand for operand in inputs if operand.name not in given]
    before = FloatNodes(network.nodes, inner) if inner else dict
    names = {node.name for node in nodes}
    others = [node for node in network.nodes if node.name not in names]
    ends = [operand for operand in network.outputs if operand.dtype.kind == "f"]
    outer = [end for end in ends if end.name not in made]
    behind = FloatNodes(others, outer) if outer else dict
    noise, signal = dict.fromkeys((end.name for end in ends), 0.0), dict.fromkeys((end.name for end in ends), 0.0)
    for sample, wanted in zip(samples, clean, strict=True):
        reals = {
            name: quantized.formats.values[name].dequantize(array) if array.dtype.kind == "i" else array
            for name, array in chip.run({**sample, **before(sample)}).items()
        }
        results = {**reals, **behind({**sample, **reals})}
        for name, truth in wanted.items():
            noise[name] += float(np.square(results[name].astype(np.float64) - truth).sum())
            signal[name] += float(np.square(truth.astype(np.float64)).sum())
    return float(np.mean([noise[name] / signal[name] for name in noise]))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of ranks, equal values sharing theirs."""
    return float(np.corrcoef(_ranks(np.asarray(a)), _ranks(np.asarray(b)))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values])


def measure(case: Case, target: str, effort: str, rounds: int) -> str:
    """What the analyses of one network cost and how well they rank."""
    quantized = tinsmith.quantize(str(case.model), case.calibration, target, effort=effort)
    data = case.samples[:SAMPLES]
    found: dict[str, tuple[LayerError, ...]] = {}
    looked = 0

    def told(done: int, total: int | None) -> None:
        nonlocal looked
        looked = done

    def alone() -> None:
        found["layerwise"] = layerwise(quantized, data, progress=told)

    session = float_session(case.model)
    name = session.get_inputs()[0].name

    def floats() -> None:
        for index in range(len(data)):
            session.run(None, {name: data[index : index + 1]})

    def first() -> None:
        quantized.program.memo.pop(MEMO, None)
        graphwise(quantized, data)

    floats()
    runs = {"float": floats, "first": first, "again": lambda: graphwise(quantized, data), "layerwise": alone}
    times = best(runs, rounds)
    base = times["float"]
    errors = found["layerwise"]
    samples = [{quantized.network.inputs[0].name: data[index : index + 1]} for index in range(len(data))]
    start = time.perf_counter()
    truth = direct(quantized, samples)
    spent = time.perf_counter() - start
    rank = spearman([error.noise for error in errors], truth)
    few = spearman([error.noise for error in layerwise(quantized, data, LEAST_SAMPLES)], truth)
    last = graphwise(quantized, data)[-1].noise
    return (
        f"{case.name} for {target}: {len(errors)} layers, {len(data)} samples\n"
        f"  float pass  {base:7.2f} s\n"
        f"  graphwise   {times['first']:7.2f} s  {times['first'] / base:6.1f} x\n"
        f"  again       {times['again']:7.2f} s  {times['again'] / base:6.1f} x\n"
        f"  layerwise   {times['layerwise']:7.2f} s  {times['layerwise'] / base:6.1f} x, on {looked} of the samples\n"
        f"  direct      {spent:7.2f} s  {spent / base:6.1f} x; Spearman of layerwise {rank:.4f}, "
        f"on {LEAST_SAMPLES} samples {few:.4f}\n"
        f"  noise of the last layer {last:.3%}, sum over layers alone {sum(truth):.3%}"
    )


def best(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least seconds of each of several that take turns."""
    found = dict.fromkeys(runs, math.inf)
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            found[name] = min(found[name], time.perf_counter() - start)
    return found


def peer(case: Case, python: str) -> str:
    """Seconds of esp-ppq's own analyses on the same samples."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, case.samples[:SAMPLES])
        command = [python, str(HERE / "peer_layer_errors.py"), str(case.model), str(images), folder]
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "2"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return f"  esp-ppq failed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}"
    times: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return (
        f"  esp-ppq {times['version']}: graphwise {times['graphwise']:.2f} s, layerwise {times['layerwise']:.2f} s, "
        f"on its usual 8 samples {times['layerwise_8']:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--networks", default="resnet8,signdigits,kws,mobilenetv2")
    parser.add_argument("--target", default="esp32p4")
    parser.add_argument("--effort", default="default")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many runs counts (default 3)")
    parser.add_argument("--peer-python", help="an interpreter with esp-ppq")
    given = parser.parse_args()
    for case in found(given.networks.split(","), given.root, SAMPLES):
        print(case if isinstance(case, str) else measure(case, given.target, given.effort, given.rounds), flush=True)
        if given.peer_python and not isinstance(case, str):
            print(peer(case, given.peer_python), flush=True)


if __name__ == "__main__":
    main()
