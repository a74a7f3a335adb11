"""Where the error comes from: what the analyses cost, and whether layerwise ranks layers as the direct method does.

    python benchmarks/layer_errors.py ROOT [--networks A,B] [--target CHIP] [--effort E]

ROOT holds the networks and their data (see README.md). Seconds are of one core. The direct method runs the float
network with one layer replaced by the chip's, for every layer and all samples; `layerwise` takes its usual few.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import tinsmith
from networks import Case, found
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Exact
from tinsmith.ops.floatnode import Array, Network
from tinsmith.ops.steps import Step
from tinsmith.report.graphwise import graphwise
from tinsmith.report.layer_error import LayerError, float_outputs, layers, reference
from tinsmith.report.layerwise import layerwise

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


def measure(case: Case, target: str, effort: str) -> str:
    """One line of the table."""
    quantized = tinsmith.quantize(str(case.model), case.calibration, target, effort=effort)
    data = case.samples[:SAMPLES]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(case.model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def floats() -> None:
        for index in range(len(data)):
            session.run(None, {name: data[index : index + 1]})

    floats()
    base, graph, layer = (
        _seconds(floats),
        _seconds(lambda: graphwise(quantized, data)),
        _seconds(lambda: layerwise(quantized, data)),
    )
    errors: tuple[LayerError, ...] = layerwise(quantized, data)
    samples = [{quantized.network.inputs[0].name: data[index : index + 1]} for index in range(len(data))]
    rank = spearman([error.noise for error in errors], direct(quantized, samples))
    return (
        f"{case.name:20} {len(errors):4} layers  float {base:6.2f} s  graphwise {graph:6.2f} s ({graph / base:4.1f}×)  "
        f"layerwise {layer:6.2f} s ({layer / base:5.1f}×)  Spearman {rank:.4f}"
    )


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--networks", default="resnet8,signdigits,kws,mobilenetv2")
    parser.add_argument("--target", default="esp32p4")
    parser.add_argument("--effort", default="default")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for case in found(given.networks.split(","), given.root, SAMPLES):
        print(case if isinstance(case, str) else measure(case, given.target, given.effort), flush=True)


if __name__ == "__main__":
    main()
