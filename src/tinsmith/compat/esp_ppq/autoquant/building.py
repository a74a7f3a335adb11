"""From a candidate to a `QuantizationSetting`, and to what tinsmith makes of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting, QuantizationSettingFactory
from tinsmith.compat.esp_ppq.autoquant.search import Candidate
from tinsmith.compat.esp_ppq.platforms import platform_of
from tinsmith.errors import RecipeError
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph

RANKED = ("horizontal_layer_split", "mixed_precision")
"""Modules that take the layers whose error is largest."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The layers of a plainly quantized graph.

    Attributes:
        worst: Names, the largest error first.
        behind: The layers that read what each computes.
    """

    worst: tuple[str, ...] = ()
    behind: Mapping[str, tuple[str, ...]] | None = None

    @classmethod
    def of(cls, graph: BaseGraph, errors: Mapping[str, float]) -> Ranking:
        """The ranking of a graph by the error that each layer alone makes at the outputs."""
        worst = sorted(errors, key=lambda name: errors[name], reverse=True)
        behind = {
            name: tuple(dict.fromkeys(op.name for op in graph.get_downstream_operations(graph.operations[name])))
            for name in worst
            if name in graph.operations
        }
        return cls(tuple(worst), behind)

    def first(self, count: Any, module: str) -> tuple[str, ...]:
        """The worst ones.

        Raises:
            RecipeError: The count is no positive number.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            subject = f"param_space[{module!r}]['topk']"
            raise RecipeError(f"is {count!r}.", subject=subject, hint="Give numbers of layers, from 1 on.")
        return self.worst[:count]


def built(
    one: Candidate, target: Target, ranking: Ranking, base: QuantizationSetting | None
) -> tuple[QuantizationSetting, int, dict[str, Any]]:
    """What a candidate stands for.

    Args:
        one: The candidate.
        target: The chip.
        ranking: Of the layers, for modules that need it.
        base: The setting to start from.

    Returns:
        The setting, the width, and further arguments of `tinsmith.quantize`.

    Raises:
        RecipeError: An option has a value that cannot be had.
    """
    setting = QuantizationSettingFactory.espdl_setting() if base is None else copy.deepcopy(base)
    params = one.params
    for module, on in one.strategy.items():
        options = params[module]
        if on and options is not None:
            _apply(module, options, setting, target, ranking)
        elif not on:
            _leave(module, setting)
    bits = (params.get("num_of_bits") or {}).get("value", 8)
    more: dict[str, Any] = {}
    effort, budget = params.get("effort"), params.get("int16_budget")
    if effort and not _classic(setting):
        more["effort"] = effort["value"]
    if budget:
        more["int16_budget"] = budget["share"]
    return setting, bits, more


def _classic(setting: QuantizationSetting) -> bool:
    """Whether the setting names algorithms, which leave the effort nothing to choose."""
    from tinsmith.compat.esp_ppq.api.setting import EqualizationSetting

    return setting.equalization and bool(setting.equalization_setting.changed(EqualizationSetting()))


def _leave(module: str, setting: QuantizationSetting) -> None:
    switches = {
        "weight_equalization": "equalization",
        "horizontal_layer_split": "weight_split",
        "bias_correction": "bias_correct",
        "tqt": "tqt_optimization",
        "blockwise_reconstruction": "blockwise_reconstruction",
    }
    if module in switches:
        setattr(setting, switches[module], False)


def _apply(
    module: str, options: Mapping[str, Any], setting: QuantizationSetting, target: Target, ranking: Ranking
) -> None:
    match module:
        case "calib_algorithm":
            setting.quantize_activation_setting.calib_algorithm = options["method"]
        case "weight_equalization":
            setting.equalization = True
            _set(setting.equalization_setting, options)
        case "horizontal_layer_split":
            setting.weight_split = True
            layers = ranking.first(options["topk"], module)
            _set(setting.weight_split_setting, {"interested_layers": list(layers)})
            _set(setting.weight_split_setting, {"value_threshold": options["value_threshold"]})
        case "bias_correction":
            setting.bias_correct = True
        case "mixed_precision":
            for name in _with_readers(ranking, ranking.first(options["topk"], module)):
                setting.dispatching_table.append(name, platform_of(target, 16))
        case "tqt":
            setting.tqt_optimization = True
        case "blockwise_reconstruction":
            setting.blockwise_reconstruction = True
        case _:
            """num_of_bits, effort and int16_budget are no part of a setting; fusion_alignment changes nothing."""


def _set(part: Any, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        setattr(part, name, value)


def _with_readers(ranking: Ranking, names: Sequence[str]) -> list[str]:
    """Layers, and those that read what they compute: between two widths a value is rounded to the narrower one."""
    behind = ranking.behind or {}
    return list(dict.fromkeys([*names, *(reader for name in names for reader in behind.get(name, ()))]))
