"""Memory for a program's parameters: weights, biases and whatever else is constant."""

from __future__ import annotations

from tinsmith.estimate.chunks import aligned
from tinsmith.program import Program


def parameter_bytes(program: Program) -> int:
    """Bytes of all constants but look-up tables, each in blocks of 16 bytes, as ESP-DL's memory summary counts them.

    That is what is copied to RAM when a model is loaded, unless the application asks ESP-DL to leave it in flash.
    Tables stay where the file is, and are counted with the file alone.
    """
    tables = {node.attributes.get("lut") for node in program.nodes}
    return sum(aligned(tensor.data.nbytes) for name, tensor in program.constants.items() if name not in tables)
