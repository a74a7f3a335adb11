"""The import roots `esp_ppq` and `ppq` themselves, for scripts that are to run as they are."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from tinsmith.errors import TinsmithError

ROOTS = ("esp_ppq", "ppq")
_PACKAGE = "tinsmith.compat.esp_ppq"


class _Roots(MetaPathFinder, Loader):
    """Finds `esp_ppq.…` and `ppq.…` below `tinsmith.compat.esp_ppq`: the same modules under other names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, rest = fullname.partition(".")
        if root not in ROOTS:
            return None
        found = importlib.util.find_spec(f"{_PACKAGE}.{rest}" if rest else _PACKAGE)
        if found is None:
            return None
        return ModuleSpec(fullname, self, is_package=found.submodule_search_locations is not None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_PACKAGE + spec.name[len(spec.name.partition(".")[0]) :])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run under its own name, whose specification it keeps."""
        alias = module.__spec__
        if alias is not None and alias.loader_state is not None:
            module.__spec__ = alias.loader_state


def install() -> None:
    """Makes ``import esp_ppq`` and ``import ppq`` find `tinsmith.compat.esp_ppq`; a second time changes nothing.

    Raises:
        TinsmithError: A package of one of these names is installed, or has been imported; nothing is changed.
    """
    if any(isinstance(finder, _Roots) for finder in sys.meta_path):
        return
    for root in ROOTS:
        place = _place(root)
        if place is not None:
            hint = f"Uninstall it (pip uninstall {root.replace('_', '-')}), or import tinsmith.compat.esp_ppq."
            raise TinsmithError(f"a package of this name is there: {place}.", subject=root, hint=hint)
    sys.meta_path.insert(0, _Roots())


def uninstall() -> None:
    """Takes the roots back, with what was imported through them."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Roots)]
    for name in [name for name in sys.modules if name.partition(".")[0] in ROOTS]:
        del sys.modules[name]


def _place(root: str) -> str | None:
    """Where a package of that name is; None where there is none, or a folder of that name without code."""
    if root in sys.modules:
        return str(getattr(sys.modules[root], "__file__", None) or "already imported")
    found = importlib.util.find_spec(root)
    return None if found is None or found.origin is None else found.origin
