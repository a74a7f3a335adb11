"""Names of nodes, inputs and outputs as users of PyTorch know them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from tinsmith.graph.modules import ModuleCall, assign, module_call, rename

_NUMBERED = re.compile(r"_\d+$")


def name_ends(graph: ir.Graph, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Names inputs and outputs, where there are as many names as there are of them."""
    for values, names in ((graph.inputs, inputs), (graph.outputs, outputs)):
        if len(values) != len(names) or len({*values, *names}) < 2 * len(names):
            continue
        made = (value for node in graph for value in node.outputs)
        others = {value.name: value for value in (*graph.inputs, *graph.initializers.values(), *made)}
        for index, value in enumerate(values):
            others.pop(value.name)
            value.name = f"tinsmith.{index}"
        for value, name in zip(values, names, strict=True):
            if name in others:
                others[name].name = f"{name}.inner"
            value.name = name


def place_nodes(graph: ir.Graph, modules: Collection[str]) -> None:
    """Says of nodes of the older exporter, which has modules in names, what the newer one says of its own.

    Args:
        graph: As it was exported.
        modules: The paths of all modules: what is called a second time has a number behind it that is no part of them.
    """
    for node in graph:
        call = module_call(node, recorded=True)
        if call is not None:
            parts: list[str] = []
            for part in call.path.split("."):
                whole = ".".join([*parts, part])
                parts.append(part if whole in modules else _NUMBERED.sub("", part))
            assign(node, ModuleCall(".".join(parts), call.step, call.kind))


def name_nodes(graph: ir.Graph) -> None:
    """Names nodes after the modules that they come from.

    The node that does a module's work gets the module's path, ``features.0.1``: the one that reads its parameters, or
    the last one of the only operation in it. The others there, and those in the body of a module that has others, get
    the operator as well: ``features.0/Add``. What happens repeatedly is numbered: ``features.0/Add_1``.

    Args:
        graph: As it was exported, unoptimized.
    """
    calls = {node: call for node in graph if (call := module_call(node)) is not None}
    mains = _mains(graph, calls)
    taken = {node.name or "" for node in graph if node not in calls}
    wanted = {node: call.path if node in mains else _inner(call, node) for node, call in calls.items()}
    # Those that do a module's work first: theirs are the names people type.
    for node in sorted(calls, key=lambda node: node not in mains):
        name, count = wanted[node], 0
        while name in taken:
            count += 1
            name = f"{wanted[node]}_{count}"
        taken.add(name)
        rename(node, name)


def _inner(call: ModuleCall, node: ir.Node) -> str:
    return f"{call.path}/{node.op_type}" if call.path else node.op_type


def _mains(graph: ir.Graph, calls: Mapping[ir.Node, ModuleCall]) -> Collection[ir.Node]:
    """The nodes that do the work of modules without others in them."""
    paths = {call.path for call in calls.values()}
    parents = {path[:end] for path in paths for end in range(len(path)) if path[end] == "."}
    fixed = _fixed(graph)
    readers: dict[str, dict[str, ir.Node]] = {}
    lasts: dict[str, dict[str, ir.Node]] = {}
    kinds: dict[str, set[str]] = {}
    for node, call in calls.items():
        if not call.path or call.path in parents or node in fixed:
            continue
        kinds.setdefault(call.path, set()).add(call.kind)
        lasts.setdefault(call.path, {})[call.step] = node
        if any(_holds_parameter(value, fixed) for value in node.inputs):
            readers.setdefault(call.path, {}).setdefault(call.step, node)
    chosen: set[ir.Node] = set()
    for path, steps in lasts.items():
        chosen.update(readers[path].values() if path in readers else steps.values() if len(kinds[path]) == 1 else ())
    return chosen


def _fixed(graph: ir.Graph) -> dict[ir.Node, bool]:
    """Nodes on which no input of the graph has an influence, and whether they hold elements of a parameter."""
    found: dict[ir.Node, bool] = {}
    for node in graph:
        values = [value for value in node.inputs if value is not None]
        if all(value.is_initializer() or value.producer() in found for value in values):
            found[node] = node.op_type != "Shape" and any(_holds_parameter(value, found) for value in values)
    return found


def _holds_parameter(value: ir.Value | None, fixed: Mapping[ir.Node, bool]) -> bool:
    if value is None:
        return False
    producer = value.producer()
    return value.is_initializer() if producer is None else fixed.get(producer, False)
