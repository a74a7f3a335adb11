"""A model as C++ source: for projects that link it instead of a file on a partition."""

from __future__ import annotations

import re
from pathlib import Path

from tinsmith.files import write_all
from tinsmith.targets import Target

ALIGNMENT = 16
"""Bytes at which ESP-DL wants a model that it reads in place."""
_PER_LINE = 20


def write_sources(espdl: Path, target: Target) -> tuple[Path, Path]:
    """Writes ``name.hpp`` and ``name.cpp`` beside ``name.espdl``, with the same bytes.

    Args:
        espdl: The model.
        target: The chip it was made for.

    Returns:
        Header and source.
    """
    data = espdl.read_bytes()
    header, source = espdl.with_suffix(".hpp"), espdl.with_suffix(".cpp")
    array = identifier(espdl.stem)
    write_all(
        {
            header: _header(espdl.name, array, target).encode(),
            source: _source(header.name, array, data).encode(),
        }
    )
    return header, source


def identifier(name: str) -> str:
    """The name of the array: what C++ does not allow becomes `_`."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"{'_' if plain[:1].isdigit() else ''}{plain}_espdl"


def _header(file: str, array: str, target: Target) -> str:
    return f"""// {file}, quantized for {target.name}; written by tinsmith.
// ESP-DL 3 loads the whole model; there are no coefficients of single layers:
//   #include "dl_model_base.hpp"
//   dl::Model model(reinterpret_cast<const char *>({array}), fbs::MODEL_LOCATION_IN_FLASH_RODATA);
#pragma once

#include <cstddef>
#include <cstdint>

extern const std::uint8_t {array}[];
extern const std::size_t {array}_size;
"""


def _source(header: str, array: str, data: bytes) -> str:
    lines = (data[start : start + _PER_LINE] for start in range(0, len(data), _PER_LINE))
    body = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)
    return f"""#include "{header}"

alignas({ALIGNMENT}) const std::uint8_t {array}[] = {{
{body}
}};
const std::size_t {array}_size = sizeof({array});
"""
