"""Which module of PyTorch a node comes from: PyTorch's exporters leave that in the ONNX file."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_ALIAS = "tinsmith.alias"
_REPEATED = re.compile(r"@\d+")


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """What a node does in the program it comes from.

    Attributes:
        path: Of the module, such as ``features.1.conv.0.0``; empty for the model itself.
        step: The operation in the captured program that the node is part of, unique. The older exporter only says which
            call of the module.
        kind: What that operation is, where it is known.
    """

    path: str
    step: str
    kind: str


def module_call(node: ir.Node, *, recorded: bool = False) -> ModuleCall | None:
    """The module that a node comes from; None where the file does not say.

    Args:
        node: Of a graph as it was exported.
        recorded: Whether PyTorch's older exporter wrote the file: it puts modules into names of nodes.
    """
    scopes = scopes_of(node)
    if len(scopes) > 1:
        classes = _texts(node.metadata_props.get(_CLASSES, ""))
        return ModuleCall(_REPEATED.sub("", scopes[-2]), scopes[-1], classes[-1] if classes else scopes[-1])
    name = node.name or ""
    if recorded and name.startswith("/"):
        scope = name.rpartition("/")[0]
        return ModuleCall(_joined(scope[1:].split("/")), scope, "")
    return None


def scopes_of(node: ir.Node) -> list[str]:
    """What a node is in, as the newer exporter says: modules from the outermost in, then the operation itself."""
    return _texts(node.metadata_props.get(_SCOPES, ""))


def aliases(node: ir.Node, *, recorded: bool = False) -> tuple[str, ...]:
    """Other names by which users may call a node: its module, and the modules that one is in."""
    call = module_call(node, recorded=recorded)
    parts = call.path.split(".") if call is not None and call.path else []
    paths = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    before = node.metadata_props.get(_ALIAS)
    return (*([before] if before else []), *paths)


def rename(node: ir.Node, name: str) -> None:
    """Gives a node another name; its old one is an alias."""
    if node.name and node.name != name:
        node.metadata_props[_ALIAS] = node.name
    node.name = name


def assign(node: ir.Node, call: ModuleCall) -> None:
    """Says of a node where it comes from, as the newer exporter does."""
    parts = call.path.split(".") if call.path else []
    paths = [".".join(parts[:count]) for count in range(len(parts) + 1)]
    node.metadata_props[_SCOPES] = repr([*paths, call.step])
    node.metadata_props[_CLASSES] = repr([call.kind])


def _joined(modules: list[str]) -> str:
    """A path from the older exporter's scopes, in which containers repeat the names of what they are in."""
    path, scope = "", ""
    for module in modules:
        inner = module.removeprefix(f"{scope}.") if scope else module
        path, scope = f"{path}.{inner}" if path else inner, module
    return path


def _texts(listed: str) -> list[str]:
    """A list of strings as Python writes it."""
    try:
        found = ast.literal_eval(listed) if listed else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
