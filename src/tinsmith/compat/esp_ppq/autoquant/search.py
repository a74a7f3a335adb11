"""The order in which candidates are tried."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinsmith.compat.esp_ppq.autoquant.candidates import better
from tinsmith.compat.esp_ppq.autoquant.setting import AutoQuantSearchSetting
from tinsmith.errors import RecipeError

Strategy = Mapping[str, bool]
Params = Mapping[str, Mapping[str, Any] | None]
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to quantize.

    Attributes:
        strategy: By module, whether it is on.
        params: By module, its options; None where it is off.
    """

    strategy: Strategy
    params: Params


Try = Callable[[Candidate], float | None]
"""Gives the score of a candidate; None for one that cannot be had."""


def candidates(setting: AutoQuantSearchSetting) -> Iterator[Candidate]:
    """All combinations.

    Raises:
        RecipeError: A module is unknown, or has values that cannot be gone through.
    """
    for strategy in strategies(setting):
        for params in _products({name: _options(setting, name) if on else None for name, on in strategy.items()}):
            yield Candidate(strategy, params)


def strategies(setting: AutoQuantSearchSetting) -> list[dict[str, bool]]:
    """All combinations of modules that are on and off.

    Raises:
        RecipeError: A module is unknown, or neither on nor off.
    """
    known = AutoQuantSearchSetting().strategy_space
    for name, values in setting.strategy_space.items():
        if name not in known:
            hint = f"Modules: {', '.join(known)}."
            raise RecipeError("there is no such module.", subject=f"strategy_space[{name!r}]", hint=hint)
        given: Any = values
        if not isinstance(given, (list, tuple)) or not given or not all(isinstance(one, bool) for one in given):
            raise RecipeError(
                f"is {values!r}.", subject=f"strategy_space[{name!r}]", hint="Give [True], [False] or both."
            )
    names = list(setting.strategy_space)
    return [dict(zip(names, on, strict=True)) for on in itertools.product(*setting.strategy_space.values())]


def search(setting: AutoQuantSearchSetting, attempt: Try, direction: str) -> None:
    """Try candidates in the order that the setting says.

    Args:
        setting: What is searched, and how.
        attempt: Called for each.
        direction: ``maximize`` or ``minimize``.
    """
    if setting.search_mode == "exhaustive":
        for one in candidates(setting):
            attempt(one)
        return
    found: list[tuple[float, dict[str, bool], Params]] = []
    for strategy in strategies(setting):
        scored = [(attempt(Candidate(strategy, params)), params) for params in _first(setting, strategy)]
        known = [(score, params) for score, params in scored if score is not None]
        if known:
            top, chosen = min(known, key=lambda pair: pair[0] * (-1 if direction == "maximize" else 1))
            found.append((top, strategy, chosen))
    found.sort(key=lambda one: one[0] * (-1 if direction == "maximize" else 1))
    for score, strategy, params in found[: setting.top_strategy]:
        _refine(setting, strategy, params, score, attempt, direction)


def _refine(
    setting: AutoQuantSearchSetting, strategy: Strategy, start: Params, score: float, attempt: Try, direction: str
) -> None:
    """The other options of a strategy, until nothing gets better."""
    patience = setting.early_stop_patience
    grids: dict[str, list[dict[str, Any]] | None] = {}
    for name, on in strategy.items():
        fixed = {knob: (start[name] or {}).get(knob) for knob in setting.structural_knobs.get(name, ())}
        choices = _options(setting, name) if on else None
        grids[name] = choices and [one for one in choices if all(one.get(k) == v for k, v in fixed.items())]
    left = patience
    for params in _products(grids):
        if params == start:
            continue
        found = attempt(Candidate(strategy, params))
        if found is not None and better(found, score, direction):
            score, left = found, patience
        else:
            left -= 1
        if not left:
            return


def _first(setting: AutoQuantSearchSetting, strategy: Strategy) -> Iterator[dict[str, dict[str, Any] | None]]:
    """The structural options of a strategy, all others at their first value."""
    grids: dict[str, list[dict[str, Any]] | None] = {}
    for name, on in strategy.items():
        choices = _options(setting, name) if on else None
        if choices:
            free = setting.structural_knobs.get(name, ())
            rest = {knob: value for knob, value in choices[0].items() if knob not in free}
            choices = [one for one in choices if all(one[knob] == value for knob, value in rest.items())]
        grids[name] = choices
    return _products(grids)


def _products(grids: Mapping[str, Sequence[dict[str, Any]] | None]) -> Iterator[dict[str, dict[str, Any] | None]]:
    names = list(grids)
    for values in itertools.product(*([None] if grid is None else grid for grid in grids.values())):
        yield dict(zip(names, values, strict=True))


def _options(setting: AutoQuantSearchSetting, name: str) -> list[dict[str, Any]]:
    """All combinations of a module's options."""
    space = setting.param_space.get(name, {})
    known = AutoQuantSearchSetting().param_space[name]
    for option in (option for option in space if option not in known):
        hint = f"Options: {', '.join(known)}."
        raise RecipeError("there is no such option.", subject=f"param_space[{name!r}][{option!r}]", hint=hint)
    values = [_values(space[option], f"param_space[{name!r}][{option!r}]") for option in space]
    return [dict(zip(space, combination, strict=True)) for combination in itertools.product(*values)]


def _values(given: Any, subject: str) -> list[Any]:
    """A list, or the numbers from a first to a last one."""
    if isinstance(given, list) and given:
        return given
    if isinstance(given, tuple) and len(given) == 3 and all(_number(one) for one in given) and given[2] > 0:
        first, last, step = given
        count = int((last - first) / step + 1e-9) + 1
        return [round(first + index * step, _DIGITS) for index in range(max(count, 0))]
    raise RecipeError(f"is {given!r}.", subject=subject, hint="Give a list of values, or (first, last, step).")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
