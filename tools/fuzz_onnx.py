"""Damage ONNX models at random and see that every one of them ends in a program or in our error.

    python -m tools.fuzz_onnx --rounds 10000 [--seed 1] [--first 0] [FILE.onnx …]

Half of the models have defects in their bytes, half in their fields (`tools.onnx_mutations`). Each is imported and
brought into canonical form; what survives is placed, and what a chip could run is quantized with random data and
encoded. All this happens in child processes: a crash, a hang or memory beyond the limit ends the child, is a finding,
and the next child goes on behind it. Round N is the same in every run of the same seed. Findings are saved in the
working directory, named after their round; counts are printed. The exit status is 1 if there were findings.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import random
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tools.damage import damage, kept
from tools.onnx_corpus import corpus
from tools.onnx_mutations import change, data_of

_PATIENCE = 60.0
_MEMORY = 6 << 30
_BATCH = 500
_LARGEST = 200_000
_TARGETS = ("esp32s3", "esp32p4", "c")


def mutated(number: int, seed: int, models: Sequence[Any]) -> bytes:
    """The model of a round."""
    dice = random.Random(f"{seed}:{number}")
    proto = dice.choice(models)
    if dice.random() < 0.5:
        return data_of(change(proto, dice))
    damaged = bytearray(data_of(proto))
    for _ in range(dice.randint(1, 3)):
        damage(damaged, dice)
    return bytes(damaged)


def verdict(data: bytes, number: int = 0) -> str:
    """How far a model got; anything but our errors is raised.

    Args:
        data: The bytes of an ONNX model.
        number: Chooses the target and the data.
    """
    from tinsmith import importers
    from tinsmith.calibrate import input_specs
    from tinsmith.errors import DataError, TinsmithError
    from tinsmith.espdl import encode
    from tinsmith.graph import canonicalize, network
    from tinsmith.pipeline import quantize
    from tinsmith.placement import place
    from tinsmith.targets import TARGETS

    target = TARGETS[_TARGETS[number % len(_TARGETS)]]
    bits = (8, 16)[number // 3 % 2]
    step = "import"
    try:
        model = importers.load(data)
        step = "canonical form"
        canonical = canonicalize(model)
        step = "placement"
        net = network(canonical)
        place(net, target, bits=bits)
        sizes = [_size(operand.shape) for node in net.nodes for operand in node.outputs]
        if sum(sizes) + sum(_size(operand.shape) for operand in net.inputs) > _LARGEST:
            return "placed, too large to quantize here"
        step = "quantization"
        quantized = quantize(data, _samples(input_specs(canonical), number), target, bits=bits)
        step = "encoding"
        encode(quantized.program)
    except TinsmithError as error:
        if len(str(error)) > 20_000:
            raise AssertionError("a message nobody reads to its end") from error
        if isinstance(error.__cause__, _MISFITS) and "attributes do not fit together" in str(error) and _runs(data):
            raise AssertionError(f"ONNX Runtime runs what is refused: {error}") from error
        return f"refused: {step}" + (" (data)" if isinstance(error, DataError) else "")
    return "quantized"


def _runs(data: bytes) -> bool:
    """Whether ONNX Runtime runs the model as it is: then its shapes and attributes do fit together."""
    import numpy as np

    from tinsmith.errors import TinsmithError
    from tinsmith.graph import Runner
    from tinsmith.importers import load

    try:
        runner = Runner(load(data), threads=1)
        feeds = {}
        for given in runner.session.get_inputs():
            shape = [extent if isinstance(extent, int) else 1 for extent in given.shape]
            feeds[given.name] = np.zeros(shape, _TYPES.get(given.type, np.float32))
        runner(feeds)
    except (TinsmithError, ValueError, MemoryError):
        return False
    return True


def _size(shape: Sequence[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def _samples(specs: Sequence[Any], number: int) -> list[dict[str, Any]]:
    import numpy as np

    rng = np.random.default_rng(number)
    return [{spec.name: rng.normal(0, 1, spec.shape).astype(spec.dtype) for spec in specs} for _ in range(2)]


def work(first: int, last: int, seed: int, files: Sequence[Path], pipe: Connection) -> None:
    """Rounds of a child process: tells their number before each, and what became of it behind."""
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # what native code prints on its way
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    models = _models(files)
    for number in range(first, last):
        pipe.send(("begin", number, ""))
        try:
            pipe.send(("end", number, verdict(mutated(number, seed, models), number)))
        except Exception as error:  # any exception that is not ours is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            pipe.send(("finding", number, f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"[:500]))
    pipe.send(("done", last, ""))


def _models(files: Sequence[Path]) -> list[Any]:
    import onnx

    return [onnx.load(path) for path in files] or corpus()


_MISFITS = (ValueError, IndexError, KeyError, TypeError, ArithmeticError)
"""What rewrites raise where a model contradicts itself, and where they are wrong (`tinsmith.graph.canonical`)."""
_TYPES = {"tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(bool)": "bool", "tensor(uint8)": "uint8"}


@dataclass
class Tally:
    """What became of all rounds so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[int, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, 0)


def _watch(first: int, last: int, seed: int, files: Sequence[Path], tally: Tally) -> int:
    """Runs a child over some rounds; returns the first round that it did not get to."""
    context = mp.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(first, last, seed, list(files), sender), daemon=True)
    child.start()
    sender.close()
    current, begun = first, time.perf_counter()
    while True:
        try:
            if not receiver.poll(_PATIENCE):
                child.kill()
                child.join()
                tally.findings[current] = f"no result after {_PATIENCE:.0f} s"
                return current + 1
            kind, number, text = receiver.recv()
        except EOFError:
            child.join()
            tally.findings[current] = f"the process died ({child.exitcode})"
            return current + 1
        if kind == "done":
            child.join()
            return last
        if kind == "begin":
            current, begun = number, time.perf_counter()
            continue
        tally.slowest = max(tally.slowest, (time.perf_counter() - begun, number))
        if kind == "finding":
            tally.findings[number] = text
        else:
            tally.outcomes[text] += 1


def main(arguments: Sequence[str]) -> int:
    """Run; the exit status is 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, help="models to damage; small ones of many kinds by default")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=50, help="stop at so many findings")
    options = parser.parse_args(arguments)
    tally, begun = Tally(), time.perf_counter()
    number, last = options.first, options.first + options.rounds
    models = _models(options.files)
    with suppress(KeyboardInterrupt):  # what was found until then is told
        while number < last and len(tally.findings) < options.most:
            known = set(tally.findings)
            number = _watch(number, min(number + _BATCH, last), options.seed, options.files, tally)
            for finding in sorted(set(tally.findings) - known):
                place = kept(mutated(finding, options.seed, models), finding, ".onnx")
                sys.stdout.write(f"round {finding}: {tally.findings[finding]}; saved as {place}\n")
                sys.stdout.flush()
    seconds, (slowest, which) = time.perf_counter() - begun, tally.slowest
    done = sum(tally.outcomes.values()) + len(tally.findings)
    sys.stdout.write(f"{done} models in {seconds:.0f} s, slowest {slowest:.1f} s (round {which}): ")
    sys.stdout.write(", ".join(f"{count} {what}" for what, count in tally.outcomes.most_common()) + "\n")
    sys.stdout.write(f"{len(tally.findings)} findings\n")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
