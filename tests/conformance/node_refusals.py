"""The table of refused cases, `node_refusals.toml`: how it is read, and how it is made.

A case is looked up by the patterns first, then by its operator; what is in neither is quantized. The table names the
reason as `tests.conformance.node_runs.essence` leaves it, so that a node's name or a number does not matter.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from tests.conformance.node_cases import Case
from tests.conformance.node_runs import Outcome

TABLE = Path(__file__).with_name("node_refusals.toml")
_HEAD = """\
# Cases of onnx.backend.test.case.node that are refused, and the reason asserted. Written by
#   python -m tests.conformance.node_suite --write
# `operators`: every case of the operator (with a star: of its expansion); `cases`: some, by patterns.
"""


@dataclass(frozen=True)
class Refused:
    """One reason and the cases it is given for.

    Attributes:
        reason: As `essence` leaves it.
        operators: All of whose cases it is given for.
        patterns: Names of other cases, with wildcards.
        bits: The width for which it is given; None for both.
    """

    reason: str
    operators: tuple[str, ...]
    patterns: tuple[str, ...]
    bits: int | None = None


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def written_for() -> str:
    """The version of ONNX whose cases the table is about."""
    return str(_document()["onnx"])


@cache
def table() -> tuple[Refused, ...]:
    """What `node_refusals.toml` says."""
    return tuple(
        Refused(entry["reason"], tuple(entry.get("operators", ())), tuple(entry.get("cases", ())), entry.get("bits"))
        for entry in _document()["refused"]
    )


def expected_refusal(case: Case, bits: int) -> str:
    """The reason for which a case is to be refused, empty if it is to be quantized."""
    entries = [entry for entry in table() if entry.bits in (None, bits)]
    for entry in entries:
        if any(fnmatchcase(case.name, pattern) for pattern in entry.patterns):
            return entry.reason
    return next((entry.reason for entry in entries if case.operator in entry.operators), "")


def written(outcomes: Mapping[int, Sequence[Outcome]]) -> str:
    """The text of the table for the outcomes of all cases, by width."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    operators: dict[str, str] = {}
    for bits, results in outcomes.items():
        for outcome in results:
            found[outcome.case.name][bits] = outcome.refusal
            operators[outcome.case.name] = outcome.case.operator
    given: dict[tuple[str, int | None], set[str]] = defaultdict(set)
    for name, reasons in found.items():
        if len(set(reasons.values())) == 1:
            given[reasons[8], None].add(name)
        else:
            for bits, reason in reasons.items():
                given[reason, bits].add(name)
    entries = []
    for (reason, bits), names in given.items():
        if reason:
            whole = {operators[name] for name in names} - {operators[name] for name in found.keys() - names}
            some: dict[str, set[str]] = defaultdict(set)
            for name in names:
                if operators[name] not in whole:
                    some[operators[name].rstrip("*")].add(name)
            rest = [
                pattern for _, members in sorted(some.items()) for pattern in patterns(members, found.keys() - names)
            ]
            entries.append((-len(names), reason, bits, sorted(whole), list(dict.fromkeys(rest))))
    texts = [
        _entry(reason, bits, whole, some)
        for _, reason, bits, whole, some in sorted(entries, key=lambda entry: entry[:2])
    ]
    return "".join([_HEAD, f'onnx = "{onnx.__version__}"\n', *texts])


def patterns(members: Set[str], others: Set[str]) -> list[str]:
    """A few patterns that match all members and none of the others: common beginnings and ends where there are any."""
    candidates: dict[str, set[str]] = {}
    for name in sorted(members):
        parts = name.split("_")
        for count in range(1, len(parts) + 1):
            start, end, part = "_".join(parts[:count]), "_".join(parts[-count:]), parts[count - 1].rstrip("0123456789")
            for pattern in (f"{start}*", f"{start}_*", f"{start.rstrip('0123456789')}*"):
                candidates.setdefault(pattern, set())
            for pattern in (f"{parts[0]}*_{end}", f"{parts[0]}_*{part}*", f"{parts[0]}_*_{parts[count - 1]}*"):
                candidates.setdefault(pattern, set())
    for pattern in candidates:
        if not any(fnmatchcase(name, pattern) for name in others):
            candidates[pattern] = {name for name in members if fnmatchcase(name, pattern)}
    chosen, left = [], set(members)
    while left:
        best = max(candidates, key=lambda pattern: (len(candidates[pattern] & left), -len(pattern), pattern))
        if len(candidates[best] & left) < 2:
            chosen += sorted(left)
            break
        chosen.append(best)
        left -= candidates[best]
    return chosen


def _entry(reason: str, bits: int | None, operators: Iterable[str], found: Iterable[str]) -> str:
    lines = ["", "[[refused]]", f"reason = {_quoted(reason)}", *([] if bits is None else [f"bits = {bits}"])]
    for key, items in (("operators", operators), ("cases", found)):
        texts = [_quoted(item) for item in items]
        if texts:
            lines += [f"{key} = [", *_filled(texts), "]"]
    return "\n".join(lines) + "\n"


def _filled(texts: Sequence[str]) -> list[str]:
    rows = [""]
    for text in texts:
        if len(rows[-1]) + len(text) > 110:
            rows.append("")
        rows[-1] += f"{text}, "
    return [f"    {row.strip()}" for row in rows]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def counted(outcomes: Iterable[Outcome]) -> Mapping[str, int]:
    """How many cases were quantized in each form, and refused for each reason."""
    counts: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        counts[f"refused: {outcome.refusal}" if outcome.refusal else f"quantized {outcome.case.form}"] += 1
    return dict(sorted(counts.items(), key=lambda item: (item[0].startswith("refused"), -item[1], item[0])))
