"""Names of nodes, inputs and outputs as users of Keras know them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import onnx_ir as ir

from tinsmith.graph.modules import ModuleCall, assign, module_call, rename, scopes_of
from tinsmith.importers.torch.names import name_ends


def output_names(keras: ModuleType, model: Any) -> list[str]:
    """Names of a model's outputs: its keys where it gives a dict, or those of the layers; none where it has none."""
    inner = getattr(model, "_functional", None) or model
    names = [str(name) for name in getattr(inner, "output_names", ())]
    structure = getattr(inner, "output", None)
    if isinstance(structure, Mapping) and len(structure) == len(names):
        names = keras.tree.flatten({key: str(key) for key in structure})
    found: dict[str, None] = {}
    for name in names:
        # A layer with several outputs names each of them.
        others = (f"{name}_{number}" for number in range(1, len(names)))
        found[next(one for one in (name, *others) if one not in found)] = None
    return list(found)


def name_graph(graph: ir.Graph, layers: Mapping[str, str], inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Names nodes after the layers that they come from, and inputs and outputs as given.

    The node that does a layer's work gets the layer's name: the first of those that read its largest weight, or, where
    there are none, the last of those whose operator is the rarest there, for what is around it mostly comes in pairs.
    The others get the operator as well: ``conv2d/Transpose``. So no name that Keras gave means another layer's node.

    Args:
        graph: As it was exported, unoptimized.
        layers: Names of layers by the names of the modules that they ran in.
        inputs: In order.
        outputs: In order; nothing where they have no names.
    """
    for node in graph.all_nodes():
        scopes = scopes_of(node)
        if len(scopes) > 1:
            keys = (scope.partition("@")[0] for scope in reversed(scopes[:-1]))
            inner = next((layers[key] for key in keys if key in layers), "")
            assign(node, ModuleCall(inner, scopes[-1], ""))
    name_ends(graph, inputs, outputs)
    paths = {node: call.path for node in graph if (call := module_call(node)) is not None}
    mains = dict(_mains(graph, paths))
    taken = {node.name or "" for node in graph if node not in paths} | set(mains.values())
    for node, path in paths.items():
        if node in mains:
            rename(node, mains[node])
            continue
        name = base = f"{path}/{node.op_type}" if path else node.op_type
        number = 0
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        rename(node, name)


def _mains(graph: ir.Graph, paths: Mapping[ir.Node, str]) -> Iterator[tuple[ir.Node, str]]:
    """The nodes that do the work of layers without others in them."""
    parents = {path[:end] for path in paths.values() for end in range(len(path)) if path[end] == "."}
    held = _weights_behind(graph)
    working = [(node, path) for node, path in paths.items() if path and path not in parents and node not in held]
    often = Counter((path, node.op_type) for node, path in working)
    best: dict[str, tuple[int, int, ir.Node]] = {}
    for node, path in working:
        weights = max((_elements(value, held) for value in node.inputs if value is not None), default=0)
        rank = (weights, 0 if weights else -often[path, node.op_type])
        before = best[path][:2] if path in best else (-1, 0)
        if rank > before or (rank == before and not weights):
            best[path] = (*rank, node)
    for path, (_, _, node) in best.items():
        yield node, path


def _weights_behind(graph: ir.Graph) -> dict[ir.Node, int]:
    """Nodes that no input of the graph has an influence on, with the elements of the largest weight behind each."""
    found: dict[ir.Node, int] = {}
    for node in graph:
        values = [value for value in node.inputs if value is not None]
        if all(value.is_initializer() or value.producer() in found for value in values):
            found[node] = (
                0 if node.op_type == "Shape" else max((_elements(value, found) for value in values), default=0)
            )
    return found


def _elements(value: ir.Value, held: Mapping[ir.Node, int]) -> int:
    producer = value.producer()
    if producer is not None:
        return held.get(producer, 0)
    return 0 if value.const_value is None else value.const_value.size
