"""Where PyTorch's exporters go wrong without an error: graphs that compute something else, a log left on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from tinsmith.errors import UnsupportedError

_LSTM = "aten::lstm"
_LOG = "_jit_onnx_log"


def refuse_lost(program: Any) -> None:
    """Refuses LSTMs with projections: those of ONNX have none, and the newer exporter writes one nevertheless.

    Args:
        program: The `torch.export.ExportedProgram` that was converted; None where it is not known.

    Raises:
        UnsupportedError: One is there; names its module.
    """
    for node in () if program is None else program.graph.nodes:
        if getattr(getattr(node.target, "_schema", None), "name", "") != _LSTM:
            continue
        # lstm(input, states, weights, has_biases, layers, dropout, train, bidirectional, batch_first)
        weights, biased, layers, bidirectional = (node.args[place] for place in (2, 3, 4, 7))
        if not isinstance(weights, (list, tuple)):  # the overload for packed sequences
            continue
        if len(weights) > layers * (2 if bidirectional else 1) * (4 if biased else 2):
            stack = node.meta.get("nn_module_stack") or {}
            paths = [path for path, _ in stack.values() if path]
            raise UnsupportedError(
                "it projects its hidden state (proj_size), which neither ONNX nor the chip has in an LSTM.",
                subject=paths[-1] if paths else node.name,
                hint="Train it with proj_size=0, and with a Linear behind it where fewer outputs are wanted.",
            )


@contextlib.contextmanager
def no_log(torch: ModuleType) -> Iterator[None]:
    """The older exporter's own log, which goes past Python's streams, is silent, and afterwards on or off as before.

    The exporter switches it on where it means to ask whether it is on, and leaves it so.
    """
    log = getattr(torch._C, _LOG, None)
    if log is None:
        yield
        return
    enabled = torch._C._jit_is_onnx_log_enabled()
    setattr(torch._C, _LOG, lambda *said: None)
    try:
        yield
    finally:
        setattr(torch._C, _LOG, log)
        torch._C._jit_set_onnx_log_enabled(enabled)
