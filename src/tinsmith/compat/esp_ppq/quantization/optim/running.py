"""How passes become a quantization."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.api.arguments import Arguments
from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting, QuantizationSettingFactory
from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.platforms import bits_of, known, target_of
from tinsmith.compat.esp_ppq.quantization.optim.base import QuantizationOptimizationPass
from tinsmith.errors import DataError, RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph

_KEY = "tinsmith.passes"
Calibration = tuple[Any, int, Callable[[Any], Any] | None]


@dataclass(frozen=True, slots=True)
class History:
    """What has been said of a graph so far.

    Attributes:
        model: The float model it was.
        platform: The chip, and the width of layers nothing else is said about.
        platforms: Of single operators, by name.
        passes: Those of esp-ppq.
        calibration: The data of the last calibration.
        base: What to start from; the defaults where it is None.
    """

    model: Any
    platform: TargetPlatform | None = None
    platforms: Mapping[str, TargetPlatform] = field(default_factory=dict)
    passes: tuple[QuantizationOptimizationPass, ...] = ()
    calibration: Calibration | None = None
    base: QuantizationSetting | None = None


def history(graph: BaseGraph) -> History:
    """What has been said of a graph so far.

    Raises:
        RecipeError: It has been quantized in one go, so that the steps are not known.
    """
    found = graph.extension_attrib.get(_KEY)
    if isinstance(found, History):
        return found
    if graph.quantized is not None or graph.model is None:
        reason = "was not made step by step: what its formats were chosen by is one whole."
        hint = "Set the option in the setting of espdl_quantize_onnx, or start from load_onnx_graph."
        raise RecipeError(reason, subject="graph", hint=hint)
    return History(graph.model)


def remember(graph: BaseGraph, **facts: Any) -> None:
    """Say something more of a graph."""
    graph.extension_attrib[_KEY] = replace(history(graph), **facts)


def run(
    graph: BaseGraph,
    passes: Sequence[QuantizationOptimizationPass],
    calibration: Calibration,
    executor: Any = None,
    *,
    verbose: bool = False,
    options: Mapping[str, Any] | None = None,
) -> None:
    """See `QuantizationOptimizationPipeline.optimize`."""
    own = [one for one in passes if _is_own(one)]
    known_passes = [one for one in passes if not _is_own(one)]
    refuse(known_passes, graph)
    before = history(graph)
    data = calibration if calibration[0] is not None else before.calibration
    after = replace(before, passes=(*before.passes, *known_passes), calibration=data)
    if known_passes and (graph.quantized is not None or any(one.calibrates for one in after.passes)):
        after = replace(after, platforms=_dispatched(graph, after))
        _quantize(graph, after, verbose)
    graph.extension_attrib[_KEY] = after
    if executor is not None:
        executor.load_graph(graph)
    for one in own:
        warnings.warn(
            f"{one}: runs on the quantized graph; what it changes there does not reach the chip.", stacklevel=4
        )
        facts = {"dataloader": calibration[0], "calib_steps": calibration[1], "collate_fn": calibration[2]}
        one.optimize(graph=graph, executor=executor, **facts, **(options or {}))


def setting_of(
    passes: Sequence[QuantizationOptimizationPass], base: QuantizationSetting | None = None
) -> QuantizationSetting:
    """The setting that passes stand for."""
    setting = QuantizationSettingFactory.espdl_setting()
    if base is not None:
        setting.take(base.plain())
        setting.mark(base.all_given())
    for one in passes:
        one.choose(setting)
    return setting


def refuse(passes: Sequence[QuantizationOptimizationPass], graph: BaseGraph) -> None:
    """Refuse passes that stand for something that cannot be had.

    Raises:
        RecipeError: Says why.
    """
    from tinsmith.compat.esp_ppq.layer_names import LayerNames
    from tinsmith.compat.esp_ppq.mapping import choices_of

    said = graph.extension_attrib.get(_KEY)
    operators = _names(said.model) if isinstance(said, History) else tuple(graph.operations)
    choices_of(setting_of(passes), LayerNames(operators), 8)


def _quantize(graph: BaseGraph, said: History, verbose: bool) -> None:
    from tinsmith.compat.esp_ppq.api.run import quantized_graph
    from tinsmith.compat.esp_ppq.console import say

    if said.platform is None:
        hint = "Make a quantizer for it first: PFL.Quantizer(platform=TargetPlatform.ESPDL_S3_INT8, graph=graph)."
        raise RecipeError("nobody has said for which chip.", subject="pipeline", hint=hint)
    if said.calibration is None:
        hint = "Give pipeline.optimize(…, dataloader=…)."
        raise DataError("there are no data to calibrate with.", subject="dataloader", hint=hint)
    target, bits = target_of(said.platform)
    arguments = Arguments(target, bits, setting_of(said.passes, said.base))
    arguments.dispatched(said.platforms, "allin")
    loader, steps, collate_fn = said.calibration
    found, notes = quantized_graph(said.model, arguments, loader, steps, collate_fn)
    kept = graph.extension_attrib
    vars(graph).update(vars(found))
    graph.extension_attrib = kept
    if verbose:
        say(notes)


def _dispatched(graph: BaseGraph, said: History) -> dict[str, TargetPlatform]:
    """Platforms of operators that say a width, as they were before the graph was quantized."""
    if graph.quantized is not None:
        return dict(said.platforms)
    named = {name: known(op.platform, name) for name, op in graph.operations.items()}
    found = {name: one for name, one in named.items() if bits_of(one, f"platform of {name!r}") is not None}
    return {**found, **said.platforms}


def _names(model: Any) -> tuple[str, ...]:
    return tuple(node.name or "" for node in model.graph)


def _is_own(one: QuantizationOptimizationPass) -> bool:
    """Whether a pass is a script's own."""
    return type(one).optimize is not QuantizationOptimizationPass.optimize
