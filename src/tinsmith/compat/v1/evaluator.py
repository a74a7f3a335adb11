"""`Evaluator`: what the chip computes, on the PC, bit for bit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinsmith.compat.v1.data import floats
from tinsmith.compat.v1.options import Options, check_providers, chip
from tinsmith.errors import ProgramError
from tinsmith.targets import TARGETS

if TYPE_CHECKING:
    import onnx

    from tinsmith.quantized import Quantized

__all__ = ["Evaluator", "np", "pickle"]  # scripts of the toolkit use the last two without importing them

Array = NDArray[Any]


class Evaluator:
    """Runs a model with the exponents of a table exactly as the chip would.

    Args:
        quantization_bit: ``int8`` or ``int16``, as the table was made.
        granularity: ``per-tensor`` or ``per-channel``, likewise. Scripts older than that choice give the chip here.
        target_chip: The chip, such as ``esp32s3``.

    Raises:
        RecipeError: One of them is unknown, or they contradict each other.
    """

    def __init__(self, quantization_bit: str, granularity: str = "per-tensor", target_chip: str = "esp32s3") -> None:
        if granularity in TARGETS:
            granularity, target_chip = "per-tensor", granularity
        self._options = Options(quantization_bit, granularity)
        self._target = chip(target_chip)
        self._sources: tuple[Any, str | Path] | None = None
        self._quantized: Quantized | None = None

    def check_model(self, model_proto: onnx.ModelProto) -> int:
        """Whether the chip runs the model: 0, or -1 with a warning that says why not."""
        from tinsmith.compat.v1.checking import check

        return check(model_proto, [self._target], self._options)

    def set_target_chip(self, target_chip: str) -> None:
        """Chooses the chip; a model that was generated is generated anew for it.

        Raises:
            RecipeError: There is no such chip.
        """
        self._target = chip(target_chip)
        if self._sources is not None:
            self.generate_quantized_model(*self._sources)

    def set_providers(self, providers: Sequence[str]) -> None:
        """Accepts ONNX Runtime's execution providers; the simulation uses the processor, and says so.

        Raises:
            RecipeError: It is no list of them.
        """
        check_providers(providers)

    def generate_quantized_model(self, model_proto: onnx.ModelProto, pickle_file_path: str | Path) -> None:
        """Takes the model and the exponents of a table.

        Args:
            model_proto: The float model the table was made for, or the path of one.
            pickle_file_path: Of the table.

        Raises:
            RecipeError: The table was made for other bits or another granularity.
            FormatError: The table cannot be read, or is of another model.
            TinsmithError: The chip cannot run the model.
        """
        from tinsmith.compat.v1.prepared import apply_table

        self._options.tell(self._target)
        self._quantized = apply_table(model_proto, pickle_file_path, self._options, self._target)
        self._sources = (model_proto, pickle_file_path)

    def evaluate_quantized_model(
        self, batch_fp_input: ArrayLike | Mapping[str, ArrayLike], to_float: bool = False
    ) -> tuple[list[Array], list[str]]:
        """What the chip computes for a batch of samples.

        Args:
            batch_fp_input: Real numbers, samples along axis 0, in the model's layout; `{name: array}` for several
                inputs.
            to_float: Real numbers instead of the chip's integers.

        Returns:
            The outputs, samples along axis 0, in the model's layout and order, and their names. What the chip computes
            in floats (Softmax) is float32 either way.

        Raises:
            ProgramError: `generate_quantized_model` was not called.
            DataError: The batch does not fit the model.
        """
        from tinsmith.simulator.run import dequantize

        if self._quantized is None:
            hint = "Call generate_quantized_model(model_proto, pickle_file_path)."
            raise ProgramError("there is no quantized model yet.", subject="Evaluator", hint=hint)
        program = self._quantized.program
        found = self._quantized.simulate(floats(batch_fp_input, "batch_fp_input"))
        names = [value.name for value in program.outputs]
        real = dequantize(program, {name: found[name] for name in names})
        if to_float:
            return [real[name] for name in names], names
        return [
            _integers(real[name], found[name], value.exponent) if value.dtype.quantized else real[name]
            for name, value in ((name, program.values[name]) for name in names)
        ], names

    evalute_quantized_model = evaluate_quantized_model


def _integers(real: Array, chip: Array, exponent: int) -> Array:
    """The chip's integers from their real numbers, exactly, in the layout of the latter."""
    found: Array = np.ldexp(real, -exponent).astype(chip.dtype)
    return found
