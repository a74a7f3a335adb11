"""A canonical model all the way to a program, and what must hold of it, for tests of rewrites before calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

import tinsmith
from tests.algorithms.scalable import samples
from tinsmith.algorithms.scales import choose_formats, observed_values
from tinsmith.calibrate.observe import observe
from tinsmith.espdl.decoder import decode
from tinsmith.espdl.encoder import encode
from tinsmith.graph.network import network
from tinsmith.lower import lower
from tinsmith.ops.floatnode import Array, Network
from tinsmith.placement import place
from tinsmith.program import Program
from tinsmith.simulator.legality import violations
from tinsmith.targets import find


def deployed(model: ir.Model, target: str, bits: int) -> tuple[Network, Program]:
    """The program of a canonical model; it breaks no rule, survives its file, and both simulators agree on it."""
    net, chip = network(model), find(target)
    widths = {name: decision.bits for name, decision in place(net, chip, bits=bits).items()}
    values, observed = observed_values(net, widths, chip)
    stats = observe(model, values, samples(net, 8), rounding=chip.rounding, bits=observed)
    lowered = lower(net, choose_formats(net, widths, stats, chip), widths, chip)
    program = lowered.program
    assert not violations(program, chip)
    assert decode(encode(program)) == program
    data = _inputs(net, lowered.perms, 3)
    compiled = tinsmith.simulate(program, data, chip, save_all=True)
    interpreted = tinsmith.simulate(program, data, chip, save_all=True, compiled=False)
    assert compiled.keys() == interpreted.keys()
    for name, array in interpreted.items():
        assert np.array_equal(compiled[name], array), name
    return net, program


def noise(net: Network, program: Program, target: str, wanted: list[Array]) -> float:
    """Squared error over squared signal of the only output, whose layout is that of ONNX, on the same samples."""
    perm = (0, 2, 3, 1)
    data = {o.name: np.concatenate([s[o.name] for s in samples(net, len(wanted))]) for o in net.inputs}
    laid_out = {name: array.transpose(perm) for name, array in data.items()}
    ((_, found),) = tinsmith.dequantize(program, tinsmith.simulate(program, laid_out, target)).items()
    truth = np.concatenate(wanted)
    return float(np.square(found.reshape(truth.shape) - truth).sum() / np.square(truth).sum())


def _inputs(net: Network, perms: Any, count: int) -> dict[str, Array]:
    return {
        o.name: np.concatenate([s[o.name].transpose(perms[o.name]) for s in samples(net, count)]) for o in net.inputs
    }
