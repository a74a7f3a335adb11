"""The quantization table beside a model (`.json`): every format that was chosen, for people and scripts to read.

``configs``, ``dispatchings`` and ``values`` are as esp-ppq's users know them. Hashes are those of the formats' content,
so that equal formats share an entry and equal networks give equal files. ``formats`` says which value has which format,
and is what `load_table` reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tinsmith.quant.format import Format, Formats
from tinsmith.quant.rounding import qrange
from tinsmith.targets import Target

_PLATFORMS = {"pie-v1": "ESPDL_S3", "pie-v2": "ESPDL", "generic-c": "ESPDL_C"}
FLOAT_PLATFORM = "FP32"
_BIAS_BITS = (20, 32, 40, 64)


@dataclass(frozen=True, slots=True)
class TableNode:
    """A node of the network as the table shows it.

    Attributes:
        name: Unique in the network.
        op_type: ONNX operator.
        inputs: Value and constant names; an absent optional input is an empty string.
        outputs: Value names.
        bits: Precision it runs in: 8, 16, or 32 for float.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bits: int = 8


def platform(target: Target, bits: int) -> str:
    """The name under which esp-ppq dispatches a node, for example ``ESPDL_S3_INT16``; ``FP32`` for 32 bits."""
    return FLOAT_PLATFORM if bits == 32 else f"{_PLATFORMS.get(target.family, 'ESPDL')}_INT{bits}"


def table(formats: Formats, nodes: Sequence[TableNode], target: Target) -> str:
    """The `.json` text.

    Args:
        formats: Everything that was chosen. All of it is written, whether a node uses it or not.
        nodes: The network, in execution order.
        target: The chip.

    Returns:
        JSON; ``load_table`` of it equals ``formats``.
    """
    values = _Values()
    computed = {name for node in nodes for name in node.outputs}
    configs = {node.name: _configs(node, formats, computed, values) for node in nodes}
    document = {
        "configs": configs,
        "dispatchings": {node.name: platform(target, node.bits) for node in nodes},
        "formats": {
            "values": {name: values.key(found) for name, found in formats.values.items()},
            "uses": [[node, index, values.key(found)] for (node, index), found in formats.uses.items()],
        },
        "values": values.entries,
    }
    return json.dumps(document, indent=4) + "\n"


@dataclass(slots=True)
class _Values:
    """The formats met so far, by their hash."""

    entries: dict[str, Mapping[str, object]] = field(default_factory=dict)
    _keys: dict[Format, int] = field(default_factory=dict)

    def key(self, found: Format) -> int:
        if found not in self._keys:
            content = repr((found.bits, found.exponents, found.axis)).encode()
            self._keys[found] = int.from_bytes(hashlib.sha256(content).digest()[:6], "big")
            self.entries[str(self._keys[found])] = _entry(found)
        return self._keys[found]


def _entry(found: Format) -> dict[str, object]:
    scales = [2.0**exponent for exponent in found.exponents]
    if found.axis is None:
        return {"scale": scales[0], "zero_point": 0.0, "bit_width": found.bits}
    return {"scale": scales, "zero_point": [0.0] * len(scales), "bit_width": found.bits, "axis": found.axis}


def _configs(node: TableNode, formats: Formats, computed: set[str], values: _Values) -> dict[str, object]:
    configs: dict[str, object] = {}
    for index, name in enumerate(node.inputs):
        found = formats.at(node.name, index, name)
        if name and name not in configs and found is not None:
            own = formats.values.get(name, found)
            passive = found.bits in _BIAS_BITS
            state = "PASSIVE" if passive else "OVERLAPPED" if name in computed or own != found else "ACTIVATED"
            configs[name] = _config(found, state, values.key(found), values.key(own))
    for name in node.outputs:
        own_format = formats.values.get(name)
        if name and own_format is not None:
            key = values.key(own_format)
            configs[name] = _config(own_format, "ACTIVATED", key, key)
    return configs


def _config(found: Format, state: str, key: int, dominator: int) -> dict[str, object]:
    low, high = qrange(found.bits)
    per_channel = found.axis is not None
    return {
        "bit_width": found.bits,
        "policy": {
            "PER_TENSOR": not per_channel,
            "PER_CHANNEL": per_channel,
            "LINEAR": True,
            "FLOATING": False,
            "SYMMETRICAL": True,
            "ASYMMETRICAL": False,
            "POWER_OF_2": True,
            "DYNAMIC": False,
        },
        "state": state,
        "quant_min": low,
        "quant_max": high,
        "hash": key,
        "dominator": dominator,
    }
