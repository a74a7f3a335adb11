"""A model's canonical form, with everything that stands in its way instead of the first thing.

A node that cannot be brought into canonical form is taken out: what it computes becomes an input where the file says
its shape, else whatever depends on it is left out, too. Then the rest is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.edit import operands
from tinsmith.graph.freeze import freeze
from tinsmith.graph.head import AUTO, suggest_outputs
from tinsmith.graph.opset import IR_VERSION, OPSET
from tinsmith.graph.prepare import name_nodes, prepare
from tinsmith.graph.provenance import Origin, inner_nodes, origins, remember

_ROUNDS = 64
_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


@dataclass(slots=True)
class Opened:
    """What could be opened of a model.

    Attributes:
        model: The canonical form, None where nothing is left.
        origins: What became of the nodes that are in it.
        nodes: Name and operator of every node of the user's graph, in order.
        refused: Nodes that could not be opened, with reasons.
        hidden: Nodes that depend on one of those, and its name.
        problems: What is wrong beyond single nodes.
    """

    model: ir.Model | None = None
    origins: tuple[Origin, ...] = ()
    nodes: tuple[tuple[str, str], ...] = ()
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def open_model(
    source: ir.Model, input_shapes: Mapping[str, Sequence[int]] | None, outputs: Sequence[str] | None
) -> Opened:
    """Bring a model into canonical form, as far as it can be.

    Args:
        source: From `tinsmith.importers.load`; not modified.
        input_shapes: As for `canonicalize`.
        outputs: As for `canonicalize`.

    Raises:
        ModelError: The input shapes or outputs do not fit the model, or are missing.
    """
    if outputs is not None and tuple(outputs) == (AUTO,):
        outputs = suggest_outputs(source) or None
    found = Opened()
    try:
        _accept(found, canonicalize(source, input_shapes=input_shapes, outputs=outputs))
        found.nodes = tuple((origin.node, origin.op_type) for origin in found.origins)
        return found
    except ModelError as error:
        base = _base(source)
        if not _named(error, base):
            _refuse_usage(error, source, input_shapes, outputs)
        failure = error
    blind: set[str] = set()
    for _ in range(_ROUNDS):
        if not _learn(failure, base, found, blind):
            break
        part = _Part(base, outputs, found.refused, blind)
        found.hidden = part.hidden
        if part.model is None:
            break
        try:
            _accept(found, canonicalize(part.model, input_shapes=part.shapes(input_shapes)))
            break
        except ModelError as error:
            failure = error
    for node in base.graph:
        if node.name in found.hidden and (reasons := _alone(node)):
            del found.hidden[node.name]
            found.refused[node.name] = reasons
    known = {*(origin.node for origin in found.origins), *found.refused, *found.hidden}
    found.nodes = tuple((node.name or "", node.op_type) for node in base.graph if node.name in known)
    return found


def _accept(found: Opened, canonical: ir.Model) -> None:
    found.model, found.origins = canonical, origins(canonical)


def _refuse_usage(
    error: ModelError, source: ir.Model, shapes: Mapping[str, Sequence[int]] | None, outputs: Sequence[str] | None
) -> None:
    """Raises the error if it is about what the user asked for, not about the model."""
    if isinstance(error, UnsupportedError):
        return
    try:
        freeze(prepare(source, outputs).graph, shapes or {})
    except UnsupportedError:
        return
    except ModelError:
        raise error from None


def _base(source: ir.Model) -> ir.Model:
    """A copy with functions inlined and names for all nodes, the same as in the canonical form."""
    base = source.clone()
    name_nodes(base.graph)
    common.InlinePass()(base)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(base)
    common.RemoveInitializersFromInputsPass()(base)
    name_nodes(base.graph)
    return base


def _named(error: ModelError, base: ir.Model) -> str:
    """The node of the model's own graph that an error names; empty where it names none."""
    for node in base.graph:
        if error.subject in (repr(node.name), f"{node.op_type} {node.name!r}"):
            return node.name or ""
    for node in base.graph:
        if any(error.subject in (repr(n.name), f"{n.op_type} {n.name!r}") for n in inner_nodes(node)):
            return node.name or ""
    return ""


def _learn(error: ModelError, base: ir.Model, found: Opened, blind: set[str]) -> bool:
    """Takes the error in; tells whether trying again without a node could lead further."""
    for node in base.graph:
        if node.name in found.refused and any(error.subject == repr(value.name) for value in node.outputs):
            # The shape the file gives for its result is no use.
            if node.name in blind:
                return False
            blind.add(node.name)
            return True
    name = _named(error, base)
    if name and name not in found.refused:
        found.refused[name] = (_reason(error),)
        return True
    weights = next((value for key, value in base.graph.initializers.items() if error.subject == repr(key)), None)
    if weights is not None and str(error) not in found.problems:
        found.problems.append(str(error))
        _zero(weights)
        return True
    if not found.refused:
        found.problems.append(str(error))
    return False


def _reason(error: ModelError) -> str:
    return f"{error.reason} {error.hint}".strip()


def _zero(weights: ir.Value) -> None:
    """Puts zeros in the place of weights that are no use, so that the rest can be looked at."""
    tensor = weights.const_value
    assert tensor is not None
    weights.const_value = ir.Tensor(np.zeros(tensor.shape.numpy(), tensor.dtype.numpy()), name=weights.name)


def _alone(node: ir.Node) -> tuple[str, ...]:
    """Why a node that cannot be looked at in its graph is refused whatever is in front of it."""
    inputs = [None if value is None else ir.Value(name=f"input_{index}") for index, value in enumerate(node.inputs)]
    attributes = [attribute for attribute in node.attributes.values() if attribute.type not in _GRAPHS]
    copy = ir.Node(node.domain, node.op_type, inputs, attributes, num_outputs=len(node.outputs), name=node.name)
    for index, value in enumerate(copy.outputs):
        value.name = f"output_{index}"
    sources = [value for value in inputs if value is not None]
    imports = {"": OPSET, **({node.domain: 1} if node.domain else {})}
    graph = ir.Graph(sources, copy.outputs[:1], nodes=[copy], opset_imports=imports, name="node")
    try:
        prepare(ir.Model(graph, ir_version=IR_VERSION), None)
    except UnsupportedError as error:
        return (_reason(error),)
    except ModelError:
        pass
    return ()


class _Part:
    """A model without its refused nodes.

    Attributes:
        hidden: Nodes left out since they depend on a refused one, and its name.
        model: The rest, None where nothing is left.
    """

    def __init__(
        self, base: ir.Model, outputs: Sequence[str] | None, refused: Mapping[str, object], blind: set[str]
    ) -> None:
        self.hidden: dict[str, str] = {}
        self.model: ir.Model | None = base.clone()
        graph = self.model.graph
        if outputs is not None:
            values = ir.convenience.create_value_mapping(graph, include_subgraphs=False)
            graph.outputs.clear()
            graph.outputs.extend(values[name] for name in outputs)
        self._fixed = {user.name for user in remember(graph) if user.fixed}
        lost: dict[ir.Value, str] = {}
        known: list[ir.Value] = []
        dropped: dict[ir.Node, None] = {}
        for node in graph:
            behind = next((lost[value] for value in _read(node) if value in lost), "")
            if not behind and node.name not in refused:
                continue
            dropped[node] = None
            if node.name not in refused:
                self.hidden[node.name or ""] = behind
            for value in node.outputs:
                if behind or node.name in blind or value.shape is None or value.type is None:
                    lost[value] = behind or node.name or ""
                else:
                    known.append(value)
        self._drop(graph, dropped, known)

    def _drop(self, graph: ir.Graph, dropped: Mapping[ir.Node, None], known: Sequence[ir.Value]) -> None:
        ends = [value for value in graph.outputs if value.producer() not in dropped]
        for node in dropped:
            for value in _read(node):
                maker = value.producer()
                if maker is None or maker.graph is not graph or maker in dropped or maker.name in self._fixed:
                    continue
                ends.append(value)
        graph.outputs.clear()
        graph.outputs.extend(dict.fromkeys(ends))
        for value in known:
            if any(user not in dropped for user in value.consumers()):
                stand_in = ir.Value(name=value.name, type=value.type, shape=value.shape)
                value.name = None
                value.replace_all_uses_with(stand_in)
                graph.inputs.append(stand_in)
        for node in reversed(tuple(dropped)):
            graph.remove(node, safe=True)
        if not graph.outputs:
            self.model = None

    def shapes(self, given: Mapping[str, Sequence[int]] | None) -> dict[str, Sequence[int]]:
        """The input shapes the user gives, of inputs that are still there."""
        assert self.model is not None
        names = {value.name for value in self.model.graph.inputs}
        return {name: shape for name, shape in (given or {}).items() if name in names}


def _read(node: ir.Node) -> list[ir.Value]:
    """What a node reads, in the graphs it carries, too."""
    return [value for step in (node, *inner_nodes(node)) for value in operands(step)]
