"""From the graphs of a file to one ONNX model, operator by operator."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx_ir as ir

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph.edit import add_constant, constant, fresh, is_constant
from tinsmith.graph.foreign import refused
from tinsmith.graph.opset import IR_VERSION, OPSET
from tinsmith.graph.ranges import Range, attach
from tinsmith.importers.tflite.dilation import fuse
from tinsmith.importers.tflite.elements import dtype_of, integers_of, numbers_of, range_of
from tinsmith.importers.tflite.file import Array, Graph, Operator
from tinsmith.importers.tflite.operation import Operation, table
from tinsmith.importers.tflite.sequences import flatten

DOMAIN = "tflite"
"""Of nodes that stand for operators which could not be translated."""
_SAME = ("Transpose", "Identity")
_DEEPEST = 4
_MOST_OPERATORS = 50_000
"""With every graph that is run, as often as it is named: what no chip would run."""
_MISFITS = (ValueError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError, struct.error)


def translate(graphs: Sequence[Graph], subject: str) -> ir.Model:
    """The ONNX model of a file.

    Args:
        graphs: From `tinsmith.importers.tflite.file.read`.
        subject: What to call the file in errors.

    Returns:
        The model; operators that have no counterpart are nodes that `tinsmith.graph.canonicalize` refuses, unless the
        model is cut before them (`tinsmith.graph.foreign`). The ranges of quantized tensors are attached.

    Raises:
        ModelError: The file contradicts itself, or does not say what to compute.
    """
    translation = _Translation(graphs, 0, subject)
    graph = translation.run()
    if not graphs[0].operators:
        raise ModelError("the graph has no operators.", subject=subject)
    model = ir.Model(graph, ir_version=IR_VERSION, producer_name="tflite")
    attach(model, translation.ranges)
    return model


class _Translation:
    """One graph of the file on its way into ONNX."""

    def __init__(
        self, graphs: Sequence[Graph], index: int, subject: str, prefix: str = "", outer: _Translation | None = None
    ) -> None:
        self.graphs = graphs
        self.subject = subject
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.count: Counter[str] = Counter() if outer is None else outer.count
        with self._fitting(graphs[index].name or "the graph"):
            self.source = flatten(fuse(graphs[index]))
        self.tensors = self.source.tensors
        self.prefix = prefix
        self.ranges: dict[str, Range] = {}
        self.graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET, DOMAIN: 1}, name=self.source.name or "main")
        self.computed: dict[int, ir.Value] = {}
        self.results: set[int] = set()

    def run(self) -> ir.Graph:
        """Translates all operators, in the file's order."""
        for index in dict.fromkeys(self.source.inputs):
            self.graph.inputs.append(self._input(index))
        self.count["operators"] += len(self.source.operators)
        if self.count["operators"] > _MOST_OPERATORS:
            raise ModelError(f"it has more than {_MOST_OPERATORS:,} operators.", subject=self.subject)
        for operator in self.source.operators:
            self._operator(operator)
        for index in self.source.outputs:
            self.graph.outputs.append(self._output(index))
        return self.graph

    def value(self, index: int) -> ir.Value:
        """The value of a tensor; constants are made when they are first asked for.

        Raises:
            UnsupportedError: It is a variable.
            ValueError: Nothing computes it.
        """
        if index not in self.computed:
            tensor = self.tensors[index]
            if tensor.variable:
                raise UnsupportedError(
                    f"reads {tensor.name!r}, which keeps its elements from one run to the next.",
                    hint="Convert the model without state: give the state as an input, or process whole sequences.",
                )
            if not self._is_stored(index):
                raise ValueError(f"{tensor.name!r} is read before anything computes it")
            self.computed[index] = add_constant(self.graph, numbers_of(tensor), self._name(index))
        return self.computed[index]

    def _is_stored(self, index: int) -> bool:
        tensor = self.tensors[index]
        return not tensor.variable and (tensor.data is not None or 0 in tensor.shape)

    def elements(self, index: int) -> Array | None:
        """The elements of a constant as they are stored, or were computed from those; None for other values."""
        if self._is_stored(index) and index not in self.results:
            return integers_of(self.tensors[index])
        return constant(self.computed.get(index))

    def numbers(self, index: int) -> Array:
        """The elements of a constant: real numbers where it is quantized."""
        value = self.computed.get(index)
        found = None if value is None else constant(value)
        return numbers_of(self.tensors[index]) if found is None else found

    def body(self, index: int, name: str) -> ir.Graph:
        """Another graph of the file; its values have names that begin with ``name``."""
        if not 0 <= index < len(self.graphs) or self.depth >= _DEEPEST:
            raise ValueError(f"it runs graph {index} of {len(self.graphs)}, {self.depth} deep")
        return _Translation(self.graphs, index, self.subject, f"{name}/", self).run()

    def _name(self, index: int) -> str:
        return f"{self.prefix}{self.tensors[index].name or f'tensor_{index}'}"

    def _input(self, index: int) -> ir.Value:
        tensor = self.tensors[index]
        name = fresh(self.graph, self._name(index))
        try:
            dtype = dtype_of(tensor)
        except ValueError as error:
            raise ModelError(f"{error}.", subject=self.subject) from error
        dims = [
            dim if dim >= 0 else "batch" if not axis else f"{name}_dim_{axis}"
            for axis, dim in enumerate(tensor.signature)
        ]
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(dims))
        self._hold(index, value)
        return value

    def _output(self, index: int) -> ir.Value:
        """A value of its own, whatever the file gives for an output."""
        with self._fitting(f"output {self.tensors[index].name!r}"):
            value = self.value(index)
        if value.producer() is None or any(value is other for other in self.graph.outputs):
            node = ir.Node("", "Identity", [value], name=fresh(self.graph, f"{value.name}/output"))
            node.outputs[0].name, node.outputs[0].type = node.name, value.type
            self.graph.append(node)
            value = node.outputs[0]
        value.type = ir.TensorType(dtype_of(self.tensors[index]))
        return value

    @contextmanager
    def _fitting(self, subject: str) -> Iterator[None]:
        """What the file contradicts itself in, as our error."""
        try:
            yield
        except _MISFITS as error:
            raise ModelError(
                f"{subject}: tensors and options do not fit together: {error}.",
                subject=self.subject,
                hint="The file is damaged, or was written by a broken converter.",
            ) from error

    def _operator(self, operator: Operator) -> None:
        if not operator.outputs:
            return
        name = fresh(self.graph, self._name(operator.outputs[0]))
        operation = Operation(self, operator, name)
        with self._fitting(f"{operator.kind} {name!r}"):
            try:
                results = self._results(operation)
            except UnsupportedError as error:
                results = self._refused(operation, error)
            if len(results) != len(operator.outputs):
                raise ValueError(f"it has {len(operator.outputs)} outputs, not {len(results)}")
            self.graph.extend(operation.nodes)
            for number, (index, value) in enumerate(zip(operator.outputs, results, strict=True)):
                if not is_constant(value):
                    value.name = name if not number else fresh(self.graph, self._name(index))
                self._hold(index, value, None if number else operation.limits)

    def _results(self, operation: Operation) -> Sequence[ir.Value]:
        """What an operator computes: values that nothing else has computed."""
        translation = table().get(operation.kind)
        if translation is None:
            raise UnsupportedError("", hint=_way_out(operation.kind))
        found = translation(operation)
        results = [found] if isinstance(found, ir.Value) else list(found)
        own = {value for node in operation.nodes for value in node.outputs}
        for number, value in enumerate(results):
            folded = is_constant(value) and not operation.nodes
            if not folded and (value not in own or value in results[:number]):
                results[number] = operation.emit("Identity", value)
        if operation.nodes:
            operation.main().name = operation.name
        return results

    def _refused(self, operation: Operation, error: UnsupportedError) -> Sequence[ir.Value]:
        """A node that says why there is none."""
        inputs = [self.computed.get(index) for index in operation.operator.inputs]
        node = ir.Node(
            DOMAIN,
            operation.kind.removeprefix("CUSTOM:") or "CUSTOM",
            inputs,
            num_outputs=len(operation.operator.outputs),
            name=operation.name,
        )
        what = node.op_type + (" (a custom operator)" if operation.kind.startswith("CUSTOM:") else "")
        refused(node, what, error.reason, error.hint)
        operation.nodes[:] = [node]
        for value, index in zip(node.outputs, operation.operator.outputs, strict=True):
            value.shape = ir.Shape(self.tensors[index].shape)
        return node.outputs

    def _hold(self, index: int, value: ir.Value, limits: Range | None = None) -> None:
        """Notes what a tensor is, and its range."""
        if index in self.computed:
            raise ValueError(f"{self.tensors[index].name!r} is computed twice")
        self.computed[index] = value
        self.results.add(index)
        self._note(value, limits or range_of(self.tensors[index]))

    def _note(self, value: ir.Value, limits: Range | None) -> None:
        """Notes a range, also of the values that are the same elements: those of which only one will be left."""
        same = [value]
        while (node := same[-1].producer()) is not None and node.op_type in _SAME and node.inputs[0] is not None:
            same.append(node.inputs[0])
        if limits is None:
            limits = next((self.ranges[one.name] for one in same if one.name in self.ranges), None)
        if limits is not None:
            for one in same:
                self.ranges.setdefault(one.name or "", limits)


def _way_out(kind: str) -> str:
    """What to do about an operator that is not known."""
    if kind == "CUSTOM:TFLite_Detection_PostProcess":
        return "End the network before it, with outputs= (--outputs): boxes are decoded by the application."
    if kind.startswith("CUSTOM:"):
        return (
            "Convert the model with built-in operators only, or end the network before it, with outputs= (--outputs)."
        )
    return "End the network before it, with outputs= (--outputs), or give the model it was converted from."
