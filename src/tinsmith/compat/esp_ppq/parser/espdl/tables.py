"""`AddLUTPattern`: the tables of a quantized graph."""

from __future__ import annotations

from typing import Any

from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph, Operation, Variable
from tinsmith.compat.esp_ppq.parser.espdl.espdl_typedef import ExporterPatternInfo
from tinsmith.errors import ProgramError
from tinsmith.program import Program

LSTM_QUANT_EXPONENT = GRU_QUANT_EXPONENT = -9


class AddLUTPattern:
    """Shows the table that a file has for an operator. It adds none: lowering has made those the chip needs.

    Args:
        int16_step: Of no effect: the distance of entries is the one the chip needs.
    """

    def __init__(self, int16_step: int = 1) -> None:
        self.int16_step = int(int16_step)

    def get_scale(self, var: Variable, info: ExporterPatternInfo) -> float:
        """``2**exponent`` of a value; 1 where there is none."""
        exponents = info.get_var_exponents(var.name)
        return 2.0 ** exponents[0] if exponents else 1.0

    def calculate_lut(self, op: Operation, graph: BaseGraph) -> Any:
        """The table of an operator, as a tensor of the file's integers.

        Raises:
            ProgramError: The graph is not quantized, or the chip computes the operator without a table.
        """
        program = _program(graph)
        name = _table(op, program)
        if name is None:
            raise ProgramError("has no table: the chip computes it without.", subject=str(op))
        return tensor(program.constants[name].data.reshape(-1))

    def check_op(self, op: Operation, graph: BaseGraph | None = None) -> bool:
        """Whether an operator has a table in the file."""
        return "lut" in op.attributes if graph is None else _table(op, _program(graph)) is not None

    def export(self, op: Operation, graph: BaseGraph, **options: Any) -> Operation:
        """The operator, with the name of its table among its attributes where it has one.

        Raises:
            ProgramError: The graph is not quantized.
        """
        program = _program(graph)
        name = _table(op, program)
        ExporterPatternInfo().fill(program)
        if name is not None:
            op.attributes["lut"] = name
        return op


def _program(graph: BaseGraph) -> Program:
    if graph.program is None:
        raise ProgramError("is not quantized.", subject="graph", hint="Quantize it first.")
    return graph.program


def _table(op: Operation, program: Program) -> str | None:
    """The name of the table of the node that computes an operator's output."""
    outputs = {variable.name for variable in op.outputs}
    for node in program.nodes:
        name = node.attributes.get("lut")
        if outputs & {*node.outputs} and isinstance(name, str) and name in program.constants:
            return name
    return None
