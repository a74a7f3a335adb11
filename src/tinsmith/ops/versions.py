"""What a node of a program asks of ESP-DL: which release is the first that runs it as it is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinsmith.ops import find
from tinsmith.ops.base import Precision
from tinsmith.ops.call import Call
from tinsmith.ops.lut import between_entries
from tinsmith.targets import NEAREST_ENTRY, PER_CHANNEL, Version, lacking

_PRECISIONS: dict[object, Precision] = {"S8": "int8", "S16": "int16", "F32": "float32"}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a node asks for.

    Attributes:
        what: What messages call it.
        since: The first release known to have it.
    """

    what: str
    since: Version


def needs(call: Call) -> Iterator[Need]:
    """What the node asks of ESP-DL; its constants are real, its computed inputs may be zeros."""
    operator = find(call.node.op_type, call.node.name)
    precision = _PRECISIONS.get(call.node.attributes.get("quant_type"), "int8")
    kind = f"{precision} {operator.name}" if operator.first_version(precision) != operator.since else operator.name
    yield Need(kind, operator.first_version(precision))
    if any(arg is not None and len(arg.exponents) > 1 for arg in call.inputs):
        yield Need(PER_CHANNEL.name, PER_CHANNEL.since)
    if between_entries(call) and not call.target.interpolated_tables:
        yield Need(NEAREST_ENTRY.name, NEAREST_ENTRY.since)


def lacks(call: Call) -> list[str]:
    """Why the target's ESP-DL cannot run the node, and the way out: a line for everything it lacks."""
    reasons = (lacking(need.what, need.since, call.target.esp_dl) for need in needs(call))
    return [reason for reason in reasons if reason is not None]
