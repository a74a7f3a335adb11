"""Names that are there so that imports succeed, and say what to use instead as soon as they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinsmith.compat.lazy import exports
from tinsmith.errors import RecipeError

_PACKAGE = "tinsmith.compat.esp_ppq"

RUNTIMES = "belongs to another runtime than ESP-DL, for which alone tinsmith makes files."
GRADIENTS = "needs gradients, which tinsmith has not yet."
REWRITES = "changes a graph in place; tinsmith brings the whole model into the chip's form by itself when it quantizes."
OBSERVERS = "watches single tensors; tinsmith observes all values in one pass of the float model."
FORMATS = "sets formats by hand; tinsmith chooses them all together, by the chip's rules."
STORING = "stores live objects, which run code when they are loaded; tinsmith's files are data."
KERNELS = "is a kernel of esp-ppq's own simulation; tinsmith runs the chip's arithmetic."
LOWERING = "is a step of esp-ppq's exporter; tinsmith writes files from a frozen program."
STATE = "is for models that keep state between frames, which are not made yet."
OLDER = "is an older way to quantize, for other runtimes."
FOLDERS = "reads and writes folders of tensors, of which tinsmith has its own ways."

HINTS = {
    RUNTIMES: "Use TargetPlatform.ESPDL_INT8, ESPDL_S3_INT8 or ESPDL_C_INT8, or their INT16.",
    GRADIENTS: "Leave it out: weights are rounded for the data all the same; see QuantizationSetting.",
    REWRITES: "Leave it out, or change the ONNX model before it is loaded.",
    OBSERVERS: "Choose setting.quantize_activation_setting.calib_algorithm.",
    FORMATS: "Use setting.dispatching_table, and calib_algorithm for how exponents are chosen.",
    STORING: "Use NativeExporter, or espdl_quantize_onnx, and load_native_graph.",
    KERNELS: "TorchExecutor computes what the chip does; tinsmith.simulate does so without torch.",
    LOWERING: "Use PFL.Exporter(platform).export(file_path, graph).",
    STATE: "Leave it out: the whole window is computed each time.",
    OLDER: "Use espdl_quantize_onnx with QuantizationSettingFactory.espdl_setting().",
    FOLDERS: "Give arrays or a DataLoader as data, and use numpy.save for what is to be kept.",
}


class StandIn:
    """What all of them have in common: they can be imported, compared and derived from, but not used.

    Raises:
        RecipeError: When one is called, as a class or a function, with what to use instead.
    """

    sentence = ""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        raise refusal(type(self))


def refusal(kind: type[StandIn]) -> RecipeError:
    """Why a name, or what is derived from it, cannot be used."""
    own = next(base for base in kind.__mro__ if base.__module__.startswith(_PACKAGE))
    name = f"{own.__module__.removeprefix('tinsmith.compat.')}.{own.__qualname__}"
    return RecipeError(kind.sentence, subject=name, hint=HINTS.get(kind.sentence, ""))


def names(
    module: str, homes: Mapping[str, str] | None = None, absent: Mapping[str, Sequence[str]] | None = None
) -> tuple[Callable[[str], Any], list[str]]:
    """A module's ``__getattr__`` and ``__all__``.

    Args:
        module: Its ``__name__``.
        homes: By name, the module below `tinsmith.compat.esp_ppq` that defines it.
        absent: By sentence, the names that are stand-ins.
    """
    known = dict(homes or {})
    sentences = {name: sentence for sentence, those in (absent or {}).items() for name in those}
    made: dict[str, type[StandIn]] = {}
    defined = exports(module, known, sentences)

    def load(name: str) -> Any:
        if name in known or name not in sentences:
            return defined(name)
        if name not in made:
            facts = {"sentence": sentences[name], "__module__": module, "__doc__": sentences[name]}
            made[name] = type(name, (StandIn,), facts)
        return made[name]

    return load, [*known, *sentences]
