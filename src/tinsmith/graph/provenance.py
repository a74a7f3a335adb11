"""Which of the user's nodes ended in which node of the canonical form.

Every node carries the names of the user's nodes it does the work of. `tinsmith.graph.edit` keeps this up to date while
rewrites run, so no rewrite cares: whatever one call of a rewrite removes is done afterwards by what that call inserted,
put in its place or changed. Where it did none of these, the node was not needed. What other libraries replace (version
conversion, folding) is found again by the names of nodes and of their results, which they keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import onnx_ir as ir

from tinsmith.graph import modules

Kind = Literal["kept", "rewritten", "absorbed", "constant", "removed"]

_SOURCES = "tinsmith.sources"
_USER = "tinsmith.user"
_ALIASES = "tinsmith.aliases"
_CHANGE = "tinsmith.change"
_LOOKS_AT_SHAPES = ("Shape", "Size")


@dataclass(frozen=True, slots=True)
class UserNode:
    """A node of the user's graph, cut and with its functions inlined.

    Attributes:
        name: Unique.
        op_type: Its operator there.
        outputs: Names of its results, and of all values in the graphs it carries.
        fixed: Whether constants and static shapes alone decide its results.
        aliases: Other names that users may call it by: those of modules (`tinsmith.graph.modules`).
    """

    name: str
    op_type: str
    outputs: tuple[str, ...]
    fixed: bool
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What became of a node of the user's graph.

    Attributes:
        node: Its name.
        op_type: Its operator in the user's graph.
        kind: ``kept``; ``rewritten`` as other nodes; ``absorbed`` by nodes that stand for other nodes of the user's as
            well; a ``constant`` of the model; or ``removed``, since the results are the same without it.
        into: Names of the canonical nodes that do its work, in order; one, mostly of its own name, where it is kept.
    """

    node: str
    op_type: str
    kind: Kind
    into: tuple[str, ...] = ()


@dataclass(slots=True)
class Change:
    """What one call of a rewrite did so far."""

    node: ir.Node
    touched: dict[ir.Node, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)


def remember(graph: ir.Graph, *, recorded: bool = False) -> tuple[UserNode, ...]:
    """Takes the nodes of a graph, whose names are unique, for the user's.

    Args:
        graph: Before any rewrite.
        recorded: Whether names of nodes hold modules, as those of PyTorch's older exporter do.
    """
    fixed: set[ir.Node] = set()
    found = []
    for node in graph:
        known = (value.is_initializer() or value.producer() in fixed for value in node.inputs if value is not None)
        if node.op_type in _LOOKS_AT_SHAPES or all(known):
            fixed.add(node)
        name = node.name or ""
        node.meta[_SOURCES] = (name,)
        made = (value.name or "" for step in (node, *inner_nodes(node)) for value in step.outputs)
        known_as = modules.aliases(node, recorded=recorded)
        found.append(UserNode(name, node.op_type, tuple(made), node in fixed, known_as))
    _note(graph, found)
    return tuple(found)


def _note(graph: ir.Graph, known: Sequence[UserNode]) -> None:
    graph.meta[_USER] = tuple(known)
    graph.meta[_ALIASES] = {user.name: user.aliases for user in known if user.aliases}


def remembered(graph: ir.Graph) -> tuple[UserNode, ...]:
    """The nodes that `remember` took for the user's."""
    found: tuple[UserNode, ...] = graph.meta.get(_USER, ())
    return found


def inner_nodes(node: ir.Node) -> Iterator[ir.Node]:
    """The nodes of the graphs that a node carries."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield from attribute.as_graph().all_nodes()
        elif attribute.type == ir.AttributeType.GRAPHS:
            for graph in attribute.as_graphs():
                yield from graph.all_nodes()


def recall(graph: ir.Graph, known: Sequence[UserNode]) -> None:
    """Finds the user's nodes again after other libraries changed the graph."""
    _note(graph, known)
    names = {user.name for user in known}
    makers = {output: user.name for user in known for output in user.outputs if output}
    for node in graph:
        if _SOURCES not in node.meta:
            makes = [makers[value.name] for value in node.outputs if value.name in makers]
            node.meta[_SOURCES] = (node.name,) if node.name in names else tuple(dict.fromkeys(makes))


def sources(node: ir.Node) -> tuple[str, ...]:
    """Names of the user's nodes that a node does the work of."""
    found: tuple[str, ...] = node.meta.get(_SOURCES, ())
    return found


def names(node: ir.Node) -> tuple[str, ...]:
    """By what names users may mean a node: those of their nodes that it does the work of, and the aliases of these."""
    known: Mapping[str, tuple[str, ...]] = {} if node.graph is None else node.graph.meta.get(_ALIASES, {})
    found = sources(node)
    return tuple(dict.fromkeys((*found, *(alias for name in found for alias in known.get(name, ())))))


@contextmanager
def change(graph: ir.Graph, node: ir.Node) -> Iterator[None]:
    """One call of a rewrite, which is offered ``node``."""
    under_way = graph.meta[_CHANGE] = Change(node)
    try:
        yield
    finally:
        graph.meta.pop(_CHANGE)
    if under_way.gone:
        alive = [other for other in under_way.touched if other.graph is graph]
        for other in alive or ([node] if node.graph is graph else []):
            _credit(other, under_way.gone)


def touch(graph: ir.Graph, node: ir.Node) -> None:
    """Notes that a rewrite inserted or changed a node."""
    under_way: Change | None = graph.meta.get(_CHANGE)
    if under_way is not None:
        under_way.touched[node] = None


def inserted(graph: ir.Graph, node: ir.Node) -> None:
    """Notes a new node: it does the work of the node that the rewrite was offered."""
    under_way: Change | None = graph.meta.get(_CHANGE)
    if under_way is not None:
        under_way.touched[node] = None
        _credit(node, sources(under_way.node))


def swapped(graph: ir.Graph, old: ir.Node, new: ir.Node) -> None:
    """Notes that one node takes the place of another."""
    _credit(new, sources(old))
    touch(graph, new)


def removed(graph: ir.Graph, node: ir.Node) -> None:
    """Notes that a node is gone."""
    under_way: Change | None = graph.meta.get(_CHANGE)
    if under_way is not None:
        under_way.gone.update(dict.fromkeys(sources(node)))


def replaced(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Notes, outside of calls to a rewrite, that one value stands for another: the same computed twice, for one."""
    before, after = old.producer(), new.producer()
    passed_on = before is not None and any(value is new for value in before.inputs)
    if _CHANGE not in graph.meta and before is not None and after is not None and not passed_on:
        _credit(after, sources(before))


def inherit(new: ir.Node, old: ir.Node) -> None:
    """Notes, where the graph is not in canonical form yet, that a node does the work of another, the user's or not."""
    _credit(new, sources(old) or (old.name or "",))


def _credit(node: ir.Node, names: Iterable[str]) -> None:
    node.meta[_SOURCES] = tuple(dict.fromkeys((*sources(node), *names)))


def origins(model: ir.Model) -> tuple[Origin, ...]:
    """What became of every node of the user's graph, in its order.

    Args:
        model: From `tinsmith.graph.canonicalize`.
    """
    user = remembered(model.graph)
    names = {node.name for node in user}
    holders: dict[str, list[ir.Node]] = {}
    for node in model.graph:
        for name in sources(node):
            holders.setdefault(name, []).append(node)
    return tuple(_origin(node, holders.get(node.name, []), names) for node in user)


def _origin(user: UserNode, holders: Sequence[ir.Node], names: set[str]) -> Origin:
    into = tuple(holder.name or "" for holder in holders)
    if not holders:
        return Origin(user.name, user.op_type, "constant" if user.fixed else "removed")
    own = user.name in into or any(name not in names for name in into)
    if own and len(holders) == 1 and holders[0].op_type == user.op_type:
        return Origin(user.name, user.op_type, "kept", into)
    if own:
        return Origin(user.name, user.op_type, "rewritten", into)
    return Origin(user.name, user.op_type, "absorbed", into)
