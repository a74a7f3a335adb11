"""What a module is called with while it is exported: one sample that it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tinsmith.errors import ModelError
from tinsmith.importers.hints import Hints
from tinsmith.importers.reasons import innermost
from tinsmith.importers.silence import silence
from tinsmith.importers.torch.arguments import Call, Maker, named_tensors

_HOW = (
    "Give example_input: a tensor or array with its batch axis, a tuple of them, or a dict by argument; or "
    "input_shapes (--input-shape)."
)
_CLOSE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Arguments that a model runs on, and what it gives."""

    call: Call
    result: Any


def find_example(torch: ModuleType, module: Any, hints: Hints, subject: str) -> Example:
    """An example input that the module runs on, with batch 1 where its first axis is the batch.

    Args:
        torch: The package.
        module: In evaluation mode; called, which may change its buffers.
        hints: What is known.
        subject: What messages call the model.

    Raises:
        ModelError: Nothing says what the module takes, or it does not run on that.
        DataError: The calibration data cannot be looked at.
    """
    maker = Maker(torch, module, subject)
    run = _Runner(torch, module)
    if hints.example_input is not None:
        whole = maker.given(hints.example_input)
        run.try_all(_first_row(whole), as_batch=True)
        run.try_all([whole])
        source = "the example input"
    elif hints.input_shapes:
        run.try_all(maker.of_shapes(hints.input_shapes))
        source = "inputs of the given shapes"
    elif hints.first_sample is not None:
        calls = [call for item in hints.first_sample() for call in maker.of_sample(item)]
        run.try_all(calls, as_batch=True)
        run.try_all(calls)
        source = "the first calibration sample"
    else:
        raise ModelError("what it takes is not known.", subject=subject, hint=_HOW)
    if run.found is not None:
        return run.found
    reason = f"it fits none of the arguments ({maker.described()})." if run.failure is None else innermost(run.failure)
    tried = f" ({run.tried})" if run.tried else ""
    raise ModelError(f"does not run on {source}{tried}: {reason}", subject=subject, hint=_HOW) from run.failure


class _Runner:
    """Tries calls until one works, and keeps it, or else how the first one failed."""

    def __init__(self, torch: ModuleType, module: Any) -> None:
        self._torch = torch
        self._module = module
        self.found: Example | None = None
        self.failure: Exception | None = None
        self.tried = ""

    def try_all(self, calls: Iterator[Call] | list[Call], *, as_batch: bool = False) -> None:
        """Tries calls; with ``as_batch`` one counts only where its first axis turns out to be the batch."""
        for call in calls:
            if self.found is not None:
                return
            try:
                with silence(), self._torch.no_grad():
                    result = self._module(*call.args, **call.kwargs)
                    if not as_batch or self._rows_apart(call, result):
                        self.found = Example(call, result)
            except Exception as error:  # whatever the user's code raises
                if self.failure is None:
                    self.failure, self.tried = error, call.shapes

    def _rows_apart(self, call: Call, result: Any) -> bool:
        """Whether two samples in one call give what they give alone."""
        torch = self._torch
        other = call.changed(torch.zeros_like)
        both = call.changed(lambda leaf: torch.cat([leaf, torch.zeros_like(leaf)]) if leaf.ndim else leaf)
        alone = [leaf for _, leaf in named_tensors(self._module(*other.args, **other.kwargs), "")]
        joined = [leaf for _, leaf in named_tensors(self._module(*both.args, **both.kwargs), "")]
        first = [leaf for _, leaf in named_tensors(result, "")]
        compared = 0
        for one, two, pair in zip(first, alone, joined, strict=True):
            if not pair.ndim or pair.shape != (2, *one.shape[1:]) or one.shape[:1] != (1,):
                continue
            compared += 1
            expected = torch.cat([one, two]).double()
            largest = float(expected.abs().nan_to_num(0, 0, 0).max()) if expected.numel() else 0.0
            if not torch.allclose(pair.double(), expected, rtol=0, atol=_CLOSE * largest + 1e-12, equal_nan=True):
                return False
        return compared > 0


def _first_row(call: Call) -> Iterator[Call]:
    """The first row alone, where all tensors have the same number of rows, and more than one."""
    rows = {int(leaf.shape[0]) for leaf in call.named_leaves().values() if leaf.ndim}
    if len(rows) == 1 and 1 not in rows:
        yield call.changed(lambda leaf: leaf[:1] if leaf.ndim else leaf)
