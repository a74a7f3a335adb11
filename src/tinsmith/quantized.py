"""`Quantized`: the result of `tinsmith.quantize`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from tinsmith.errors import DataError
from tinsmith.ops.floatnode import Network
from tinsmith.placement import Placement
from tinsmith.program import Array, Program
from tinsmith.quant.format import Formats
from tinsmith.targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.calibrate.guidance import Guidance
    from tinsmith.recipe import Recipe
    from tinsmith.report.choices import Choices
    from tinsmith.report.dispatch import LayerChoice


@dataclass(frozen=True, slots=True)
class Saved:
    """The files written by `Quantized.save`."""

    espdl: Path
    info: Path
    json: Path

    def __iter__(self) -> Any:
        return iter((self.espdl, self.info, self.json))


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """A network with its integer formats, and the program the chip gets.

    Attributes:
        model: The canonical float model (onnx-ir), opset 24.
        network: The same as the plain view the stages read.
        placement: Precision of each node, with the reason.
        formats: The chosen integer formats.
        program: What the file holds and the simulator runs.
        target: The chip.
        recipe: Every choice of the user that led here.
        choices: What was decided beyond these.
        sample: The first calibration sample, `{input name: float array}`, ONNX layout.
        notes: What a user should know: precision changed, accumulators near their limit.
        calibration: What the calibration samples are good for; None where there were none.
        unrounded: ``network`` before weights were rounded and biases corrected for the data: what the chip's values are
            compared with, layer by layer. None where it is the model's own network.
    """

    model: ir.Model
    network: Network
    placement: Placement
    formats: Formats
    program: Program
    target: Target
    recipe: Recipe
    choices: Choices
    sample: Mapping[str, Array] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    calibration: Guidance | None = None
    unrounded: Network | None = None

    @property
    def widths(self) -> dict[str, int]:
        """Width of each node by name: 8, 16, or 32 for float."""
        return {name: decision.bits for name, decision in self.placement.items()}

    def simulate(
        self, inputs: ArrayLike | Mapping[str, ArrayLike], *, save_all: bool = False, compiled: bool = True
    ) -> dict[str, Array]:
        """What the chip computes for one sample or a batch.

        Args:
            inputs: Floats in the model's own layout (NCHW for most) or integers in the file's: an array for a model of
                one input, else `{input name: array}`.
            save_all: Return every tensor.
            compiled: Use the compiled form.

        Returns:
            Arrays by name, integers in the file's layout; see `tinsmith.simulate` and `tinsmith.dequantize`.

        Raises:
            DataError: The inputs do not fit the model.
        """
        from tinsmith.simulator.run import simulate

        if not isinstance(inputs, Mapping):
            names = [value.name for value in self.program.inputs]
            if len(names) != 1:
                raise DataError(
                    "one array was given for a model of several inputs.", subject="inputs", hint=f"Inputs: {names}."
                )
            inputs = {names[0]: inputs}
        return simulate(self.program, inputs, self.target, save_all, compiled)

    def table(self) -> tuple[LayerChoice, ...]:
        """What each layer became: precision and why, exponents of its weights and of its result."""
        from tinsmith.report.dispatch import dispatch_table

        return dispatch_table(self.network, self.placement, self.formats, self.target)

    def with_test_values(self) -> Quantized:
        """The same with the first calibration sample and its exact outputs embedded in the program."""
        from dataclasses import replace

        from tinsmith.simulator.inputs import samples
        from tinsmith.simulator.run import simulate

        sample = samples(self.program, self.sample, self.target)[0]
        return replace(self, program=self.program.with_tests(sample, simulate(self.program, sample, self.target)))

    def formats_text(self) -> str:
        """The formats as the text of the `.json` file."""
        from tinsmith.espdl.table_json import TableNode, table

        nodes = [
            TableNode(
                node.name,
                node.op_type,
                tuple("" if operand is None else operand.name for operand in node.inputs),
                tuple(operand.name for operand in node.outputs),
                self.placement[node.name].bits,
            )
            for node in self.network.nodes
        ]
        return table(self.formats, nodes, self.target)

    def save(self, folder: str | Path, name: str = "model", *, test_values: bool = False) -> Saved:
        """Write ``name.espdl``, ``name.info`` and ``name.json``.

        Args:
            folder: Created if absent. Files of these names are replaced, each in one step, once all are complete.
            name: File name without suffix.
            test_values: Embed a calibration sample and its exact outputs, for `Model::test()` on the board.

        Returns:
            The paths.
        """
        from tinsmith.espdl.encoder import encode
        from tinsmith.espdl.info_text import info
        from tinsmith.files import write_all

        source = self.with_test_values() if test_values else self
        base = Path(folder)
        saved = Saved(base / f"{name}.espdl", base / f"{name}.info", base / f"{name}.json")
        write_all(
            {
                saved.espdl: encode(source.program),
                saved.info: info(source.program).encode(),
                saved.json: self.formats_text().encode(),
            }
        )
        return saved
