"""`Calibrator`: exponents from data, and the model for the chip."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinsmith.compat.v1.data import floats
from tinsmith.compat.v1.options import Options, check_providers, chip, kinds
from tinsmith.errors import ModelError, ProgramError, QuantizationError, TinsmithError

if TYPE_CHECKING:
    import onnx

    from tinsmith.quantized import Quantized, Saved

__all__ = ["Calibrator", "np", "pickle"]  # scripts of the toolkit use the last two without importing them


class Calibrator:
    """Chooses the exponents of a model's values.

    Args:
        quantization_bit: ``int8`` or ``int16``; the latter is ``per-tensor`` and ``minmax``.
        granularity: ``per-tensor``, or ``per-channel`` for the weights on chips that have it; others say so.
        calib_method: ``minmax``, or ``entropy`` (least Kullback-Leibler divergence).

    Raises:
        RecipeError: One of them is unknown, or they contradict each other.
    """

    def __init__(self, quantization_bit: str, granularity: str = "per-tensor", calib_method: str = "minmax") -> None:
        self._options = Options(quantization_bit, granularity, calib_method)

    def check_model(self, model_proto: onnx.ModelProto) -> int:
        """Whether any chip runs the model: 0, or -1 with a warning that says why not."""
        from tinsmith.compat.v1.checking import check

        return check(model_proto, kinds(), self._options)

    def set_method(self, granularity: str, calib_method: str) -> None:
        """Chooses another granularity and method, as when it was made.

        Raises:
            RecipeError: One of them is unknown, or they contradict each other.
        """
        self._options = Options(self._options.quantization_bit, granularity, calib_method)

    def set_providers(self, providers: Sequence[str]) -> None:
        """Accepts ONNX Runtime's execution providers; calibration uses the processor, and says so.

        Raises:
            RecipeError: It is no list of them.
        """
        check_providers(providers)

    def generate_quantization_table(
        self,
        model_proto: onnx.ModelProto,
        calib_dataset: ArrayLike | Mapping[str, ArrayLike],
        pickle_file_path: str | Path,
    ) -> None:
        """Runs the data through the model, chooses exponents and writes them, for every kind of chip that runs it.

        Args:
            model_proto: The float model, or the path of one.
            calib_dataset: Samples along axis 0, in the model's layout; for several inputs `{name: array}`.
            pickle_file_path: Where the table goes. It is JSON whatever the suffix.

        Raises:
            DataError: The data do not fit the model.
            TinsmithError: No chip can run the model; the reason is the first one's.
        """
        from tinsmith.compat.v1.table import write_table
        from tinsmith.pipeline import run

        found: dict[str, Quantized | TinsmithError] = {}
        for target in kinds():
            served = self._options.serving(target)
            try:
                found[target.name] = run(
                    model_proto, floats(calib_dataset, "calib_dataset"), self._options.recipe(served), served
                )
            except (ModelError, QuantizationError, ProgramError) as error:
                found[target.name] = error
        refused = [one for one in found.values() if isinstance(one, TinsmithError)]
        if len(refused) == len(found):
            raise refused[0]
        write_table(pickle_file_path, self._options, found)

    def export_coefficient_to_cpp(
        self,
        model_proto: onnx.ModelProto,
        pickle_file_path: str | Path,
        target_chip: str,
        output_path: str | Path,
        file_name: str,
        print_model_info: bool = False,
    ) -> Saved:
        """Writes ``file_name.espdl``, ``.info``, ``.json``, and the model as a C++ array: ``.hpp``, ``.cpp``.

        Args:
            model_proto: The float model the table was made for.
            pickle_file_path: Of the table.
            target_chip: The chip, such as ``esp32s3``.
            output_path: The folder; made where it is absent. Existing files of these names are replaced.
            file_name: Without suffix; with `_` for what C++ allows in no name it is the array's.
            print_model_info: Print what each layer became.

        Returns:
            The paths of the first three.

        Raises:
            RecipeError: The chip is unknown, or the table was made for other bits or another granularity.
            FormatError: The table cannot be read, or is of another model.
            TinsmithError: The chip cannot run the model.
        """
        from tinsmith.compat.v1.coefficients import write_sources
        from tinsmith.compat.v1.prepared import apply_table

        target = chip(target_chip)
        self._options.tell(target)
        quantized = apply_table(model_proto, pickle_file_path, self._options, target)
        saved = quantized.save(output_path, file_name)
        write_sources(saved.espdl, target)
        if print_model_info:
            from tinsmith.report.terminal import console, dispatch_grid

            console().print(dispatch_grid(quantized.table()))
        return saved
