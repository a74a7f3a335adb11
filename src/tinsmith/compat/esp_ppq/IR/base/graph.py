"""A graph as scripts look at one: operators and variables by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.compat.esp_ppq.core.quant import NetworkFramework, TargetPlatform
from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.errors import RecipeError

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.program import Program
    from tinsmith.quantized import Quantized
    from tinsmith.targets import Target

Array = NDArray[Any]


class Settled:
    """What is looked at, not edited.

    Attributes:
        edits: Names that scripts know for editing it.
    """

    edits: frozenset[str] = frozenset()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            told = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(f"{told}: {_EDITED}" if name in self.edits else told)


_EDITED = (
    "graphs are not edited in memory. Change the ONNX model before it is loaded; for how a layer runs, use "
    "setting.dispatching_table."
)


class Variable(Settled):
    """A tensor.

    Args:
        name: Its name.
        value: The elements of a parameter, else None.
        is_parameter: Whether it is one.
        shape: In ONNX order; names of open dimensions are text.
        dtype: Of its elements in the float model.
    """

    def __init__(
        self,
        name: str,
        value: Array | None = None,
        is_parameter: bool = False,
        dest_ops: Sequence[Operation] = (),
        source_op: Operation | None = None,
        shape: Sequence[int | str | None] | None = None,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.name = name
        self.array = value
        self.is_parameter = is_parameter
        self.dest_ops = list(dest_ops)
        self.source_op = source_op
        self.shape = None if shape is None else list(shape)
        self.dtype = np.dtype(np.float32) if dtype is None else dtype

    @property
    def value(self) -> Any:
        """The elements of a parameter as a tensor; None for what is computed."""
        return None if self.array is None else tensor(self.array)

    @value.setter
    def value(self, value: Any) -> None:
        raise RecipeError(f"cannot be set: {_EDITED}", subject=f"value of {self.name!r}")

    @property
    def dest_idx(self) -> list[int]:
        """As which input each operator behind it takes it."""
        return [op.inputs.index(self) for op in self.dest_ops]

    @property
    def src_idx(self) -> int | None:
        """As which output it is computed."""
        return None if self.source_op is None else self.source_op.outputs.index(self)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{self.name}(shape={self.shape})"


class Operation(Settled):
    """An operator.

    Args:
        name: Its name in the user's graph where it had one.
        op_type: Of ONNX.
        attributes: By name.
        platform: Where it runs, and how wide.
        inputs: What it reads; an absent one has an empty name.
        outputs: What it computes.
    """

    edits = frozenset({"baking_parameters", "dequantize", "restore_quantize_state", "store_parameter_value"})

    def __init__(
        self,
        name: str,
        op_type: str,
        attributes: dict[str, Any],
        platform: TargetPlatform = TargetPlatform.UNSPECIFIED,
        inputs: Sequence[Variable] = (),
        outputs: Sequence[Variable] = (),
    ) -> None:
        self.name = name
        self.type = op_type
        self.attributes = attributes
        self.platform = platform
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.extension_attrib: dict[str, Any] = {}

    def set_extension_attrib(self, attrib: str, value: Any) -> None:
        """Keep something for later."""
        self.extension_attrib[attrib] = value

    @property
    def parameters(self) -> list[Variable]:
        """The inputs that are constants."""
        return [variable for variable in self.inputs if variable.is_parameter]

    @property
    def num_of_input(self) -> int:
        """How many inputs it has."""
        return len(self.inputs)

    @property
    def num_of_output(self) -> int:
        """How many outputs it has."""
        return len(self.outputs)

    @property
    def num_of_parameter(self) -> int:
        """How many of its inputs are constants."""
        return len(self.parameters)

    @property
    def is_computing_op(self) -> bool:
        """Whether it multiplies with weights."""
        from tinsmith.ops import operators

        operator = operators().get(self.type)
        return operator is not None and operator.fuses_relu and self.num_of_parameter > 0

    def __str__(self) -> str:
        return f"{self.name} ({self.type})"

    __repr__ = __str__


class BaseGraph(Settled):
    """A network: a float one, one that is quantized, or the program of a file.

    Args:
        name: Its name.
        built_from: Where it comes from.

    Attributes:
        operations: By name, in the order in which they are computed.
        variables: By name.
        inputs: Of the network, by name.
        outputs: Likewise.
        quantized: The result of `tinsmith.quantize`; None for a float network or a program.
        model: The float model; None for a program.
        program: What the chip gets; None for a float network.
        target: The chip; None for a float network.
        dequantized: Whether executors are to run the float network for now (`DEQUANTIZE_GRAPH`).
        extension_attrib: For users.
    """

    edits = frozenset(
        {
            "append_operation",
            "append_variable",
            "create_link_with_op",
            "create_link_with_var",
            "create_operation",
            "create_variable",
            "insert_op_after",
            "insert_op_before",
            "insert_op_between",
            "insert_op_between_var_and_op",
            "insert_op_on_var",
            "mark_variable_as_graph_input",
            "mark_variable_as_graph_output",
            "remove_operation",
            "remove_variable",
        }
    )

    def __init__(self, name: str, built_from: NetworkFramework = NetworkFramework.NATIVE) -> None:
        self.name = self._name = name
        self._built_from = built_from
        self.operations: dict[str, Operation] = {}
        self.variables: dict[str, Variable] = {}
        self.inputs: dict[str, Variable] = {}
        self.outputs: dict[str, Variable] = {}
        self.quantized: Quantized | None = None
        self.model: ir.Model | None = None
        self.program: Program | None = None
        self.target: Target | None = None
        self.dequantized = False
        self.extension_attrib: dict[str, Any] = {}

    def parameters(self) -> list[Any]:
        """The constants, as tensors."""
        return [variable.value for variable in self.variables.values() if variable.is_parameter]

    def set_extension_attrib(self, attrib: str, value: Any) -> None:
        """Keep something for later."""
        self.extension_attrib[attrib] = value

    def topological_sort(self) -> list[Operation]:
        """The operators in the order in which they are computed."""
        return list(self.operations.values())

    def get_upstream_operations(self, operation: Operation) -> list[Operation]:
        """The operators that compute what one reads."""
        return [variable.source_op for variable in operation.inputs if variable.source_op is not None]

    def get_downstream_operations(self, operation: Operation) -> list[Operation]:
        """The operators that read what one computes."""
        return [reader for variable in operation.outputs for reader in variable.dest_ops]

    def copy(self, copy_value: bool = False) -> BaseGraph:
        """The same network with operators and variables of its own.

        Args:
            copy_value: Whether to copy constants, too, which nothing here changes.
        """
        from tinsmith.compat.esp_ppq.IR.build import rebuilt

        return rebuilt(self)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.name!r}: {len(self.operations)} operations"

    __repr__ = __str__
