"""The toolkit's table: exponents for every kind of chip, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.compat.v1.options import Options, kind
from tinsmith.errors import FormatError, RecipeError, TinsmithError
from tinsmith.espdl.table_load import load_table
from tinsmith.files import write_all
from tinsmith.quant.format import Formats
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.ops.floatnode import Network
    from tinsmith.quantized import Quantized

CONTENT = "tinsmith quantization tables"
LARGEST_FILE = 1 << 30


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a table says for one kind of chip.

    Attributes:
        formats: Of all values.
        widths: Of the nodes by name: 8, 16, or 32 for floats.
        calibration: Digest of the data.
    """

    formats: Formats
    widths: Mapping[str, int]
    calibration: str


def write_table(path: str | Path, options: Options, found: Mapping[str, Quantized | TinsmithError]) -> None:
    """Writes the table.

    Args:
        path: Where to; replaced in one step.
        options: What was asked for.
        found: By the chip that stands for its kind: what was chosen, or why it cannot run the model.
    """
    document = {
        "content": CONTENT,
        "quantization_bit": options.quantization_bit,
        "granularity": options.granularity,
        "calib_method": options.calib_method,
        "chips": {name: _entry(one) for name, one in found.items()},
    }
    write_all({Path(path): (json.dumps(document, indent=1) + "\n").encode()})


def read_table(path: str | Path, options: Options, target: Target) -> Chosen:
    """What the table says for a chip.

    Args:
        path: Of the table.
        options: The bits and granularity that are wanted; whatever the method was.
        target: The chip.

    Raises:
        FormatError: The file is no such table.
        RecipeError: It was made for other bits or another granularity.
        TinsmithError: The chip cannot run the model; the reason is that of calibration.
    """
    document = _document(Path(path))
    for name in ("quantization_bit", "granularity"):
        if document.get(name) != getattr(options, name):
            reason = f"was made for {name} {document.get(name)!r}, and {getattr(options, name)!r} is asked for."
            raise RecipeError(reason, subject=str(path), hint="Generate the table with the same choices.")
    name = kind(target).name
    try:
        entry = document["chips"][name]
        if "refused" in entry:
            raise TinsmithError(str(entry["refused"]), subject=f"{target.name}")
        text = json.dumps(entry["table"])
        widths = {str(node): int(bits) for node, bits in entry["widths"].items()}
        digest = str(entry["calibration_sha256"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FormatError(f"says nothing usable for {name} ({type(error).__name__}).", subject=str(path)) from error
    return Chosen(load_table(text, source=str(path)), widths, digest)


def check_fits(chosen: Chosen, network: Network, path: str | Path) -> None:
    """Refuses a table that was made for another model.

    Raises:
        FormatError: Names the first layer or value that differs.
    """
    different = sorted({node.name for node in network.nodes}.symmetric_difference(chosen.widths))
    if different:
        reason = f"was made for another model: {different[0]!r} is in one of them only."
        raise FormatError(reason, subject=str(path), hint="Generate the table from this model.")
    shapes = {operand.name: operand.shape for node in network.nodes for operand in node.outputs}
    shapes |= {operand.name: operand.shape for operand in network.inputs}
    for node in network.nodes:
        shapes |= {operand.name: operand.shape for operand in node.inputs if operand is not None}
    nodes = {node.name: node for node in network.nodes}
    given = [(name, shapes.get(name), found) for name, found in chosen.formats.values.items()]
    for (name, index), found in chosen.formats.uses.items():
        inputs = nodes[name].inputs if name in nodes else ()
        operand = inputs[index] if 0 <= index < len(inputs) else None
        given.append((name, None if operand is None else operand.shape, found))
    for name, shape, found in given:
        if shape is None or (found.axis is not None and len(found.exponents) != _extent(shape, found.axis)):
            raise misfit(name, path)


def misfit(name: str, path: str | Path) -> FormatError:
    """That a table does not fit the model at a layer or value."""
    hint = "Generate the table from this model."
    return FormatError(f"does not fit the model at {name!r}.", subject=str(path), hint=hint)


def _extent(shape: tuple[int, ...], axis: int) -> int:
    return shape[axis] if -len(shape) <= axis < len(shape) else -1


def _entry(found: Quantized | TinsmithError) -> dict[str, Any]:
    if isinstance(found, TinsmithError):
        return {"refused": str(found)}
    widths = {node.name: found.placement[node.name].bits for node in found.network.nodes}
    return {
        "calibration_sha256": found.program.metadata["calibration_sha256"],
        "widths": widths,
        "table": json.loads(found.formats_text()),
    }


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise FormatError("is too large for a table.", subject=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
    hint = "Generate it again: Calibrator.generate_quantization_table."
    if data[:1] == b"\x80":
        raise FormatError("is a pickle, which could run any code when opened.", subject=str(path), hint=hint)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("is no quantization table: no JSON.", subject=str(path), hint=hint) from error
    if not isinstance(document, dict) or document.get("content") != CONTENT:
        raise FormatError("is no quantization table of this toolkit.", subject=str(path), hint=hint)
    return document
