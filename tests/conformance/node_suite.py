"""What becomes of ONNX's single-operator cases, on the command line.

    python -m tests.conformance.node_suite                      counts, by form and reason
    python -m tests.conformance.node_suite --operators          the same by operator
    python -m tests.conformance.node_suite --cases 'resize_*'   one line for each of these cases
    python -m tests.conformance.node_suite --write              writes node_refusals.toml anew, from int8 and int16

`--target` and `--bits` choose the chip (esp32s3) and the width (8). Run it from the root of the repository. Look at
what changed in the table before it is committed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase

import onnx

from tests.conformance.node_cases import cases
from tests.conformance.node_limits import too_generous
from tests.conformance.node_refusals import TABLE, counted, written
from tests.conformance.node_runs import Outcome, measured, outcome


def main() -> None:
    """Runs the cases and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="esp32s3")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--operators", action="store_true")
    parser.add_argument("--cases", metavar="PATTERN")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    pattern = options.cases or "*"
    if options.write:
        found = {bits: _outcomes(options.target, bits, pattern) for bits in (8, 16)}
        TABLE.write_text(written(found), encoding="utf-8")
    outcomes = found[options.bits] if options.write else _outcomes(options.target, options.bits, pattern)
    if options.cases:
        lines: Iterable[str] = map(_line, outcomes)
    elif options.operators:
        lines = _by_operator(outcomes)
    else:
        refused = sum(bool(one.refusal) for one in outcomes)
        lines = [f"{len(outcomes) - refused} quantized, {refused} refused on {options.target}, int{options.bits}"]
        lines += [f"{count:5}  {label}" for label, count in counted(outcomes).items()]
    if options.write and not options.cases:
        lines = [*lines, *(f"too generous: {line}" for line in too_generous(measured(found)))]
    sys.stdout.write("\n".join(lines) + "\n")


def _outcomes(target: str, bits: int, pattern: str) -> list[Outcome]:
    """On all cores."""
    chosen = [index for index, case in enumerate(cases()) if fnmatchcase(case.name, pattern)]
    workers = min(os.cpu_count() or 1, len(chosen) // 20 + 1)
    if workers == 1:
        return [_outcome((index, target, bits)) for index in chosen]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_outcome, [(index, target, bits) for index in chosen], chunksize=10))


def _outcome(job: tuple[int, str, int]) -> Outcome:
    index, target, bits = job
    found = outcome(cases()[index], target, bits)
    # What is left is what is told of it, and what another process can be sent.
    return replace(found, case=replace(found.case, model=onnx.ModelProto(), feeds={}, expected={}))


def _line(found: Outcome) -> str:
    label = f"{found.case.name} ({found.case.form}): "
    if found.refusal:
        return label + found.message
    steps = f"{found.snr:.1f} dB, {found.steps:.1f} steps, {' '.join(found.operators)}"
    return label + "; ".join((steps, *found.problems))


def _by_operator(outcomes: Iterable[Outcome]) -> list[str]:
    """A table in Markdown: operator, quantized, refused and why."""
    quantized: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for found in outcomes:
        name = found.case.operator
        quantized[name] += not found.refusal
        if found.refusal:
            reasons[name][found.refusal] += 1
    rows = ["| Operator | Quantized | Refused | Why |", "|---|---|---|---|"]
    for name in sorted(quantized):
        why = "; ".join(reason for reason, _ in reasons[name].most_common())
        rows.append(f"| {name} | {quantized[name]} | {reasons[name].total()} | {why} |")
    return rows


if __name__ == "__main__":
    main()
