"""What is refused before the first stage, and after the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinsmith.errors import DataError, ProgramError, RecipeError
from tinsmith.program import Program
from tinsmith.recipe import Recipe
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.ops.floatnode import Network
    from tinsmith.report.labels import Labels

_USUAL = ("mse", 100.0)


def refuse_idle(recipe: Recipe, data: Any, labels: Any) -> None:
    """Refuse options that nothing would heed.

    Raises:
        RecipeError: Names one.
    """
    if labels is not None and recipe.max_drop is None:
        reason = "labels are given, and nothing asks for them."
        raise RecipeError(reason, subject="labels", hint="They are for max_drop (--max-drop).")
    given = {"max_drop": recipe.max_drop, "int16_budget": recipe.int16_budget, "algorithms": recipe.algorithms or None}
    for option in (name for name, value in given.items() if data is None and value is not None):
        raise RecipeError("needs calibration data.", subject=option, hint="Give a few dozen samples (data=…, --data).")


def refuse_idle_scopes(network: Network, widths: Mapping[str, int], recipe: Recipe, target: Target) -> None:
    """Refuse scopes that say something of layers that have nothing of the kind.

    Raises:
        RecipeError: Names the scope.
    """
    from tinsmith.algorithms.groups import group
    from tinsmith.ops import operators
    from tinsmith.ops.ports import Kind
    from tinsmith.scopes import layers, ways

    if not recipe.scopes:
        return
    groups = group(network, widths, target)
    free = {name for name, index in groups.of.items() if index not in groups.pinned}
    weighted = {
        node.name
        for node in network.nodes
        for index, port in enumerate(operators()[node.op_type].ports(node, target).inputs)
        if port.kind is Kind.WEIGHT and node.const(index) is not None
    }
    for number, scope in enumerate(recipe.scopes, 1):
        subject = f"scope {number}"
        chosen = [name for name in ("calibration", "percentile", "exponent") if getattr(scope, name) is not None]
        if chosen and not free.intersection(ways(network, [scope], *_USUAL)):
            reason = f"{chosen[0]} has no effect: what its layers compute are floats, or their exponent is given."
            raise RecipeError(reason, subject=subject, hint="Leave it out, or name the layers before.")
        if scope.tune is not None and not weighted.intersection(layers(network, scope.layers, subject)):
            raise RecipeError("tune has no effect: none of its layers has weights.", subject=subject)


def refuse_unmeasurable(network: Network, recipe: Recipe, *, labelled: bool) -> None:
    """Refuse to choose layers by what they do to outputs that do not tell.

    Raises:
        RecipeError: No output is a float.
        DataError: There are labels, and none or several of the outputs have class scores.
    """
    from tinsmith.algorithms.drop import is_scores

    given = {"max_drop": recipe.max_drop, "int16_budget": recipe.int16_budget}
    floats = [operand for operand in network.outputs if operand.dtype.kind == "f"]
    for option in (name for name, value in given.items() if value is not None and not floats):
        names = ", ".join(repr(operand.name) for operand in network.outputs)
        hint = "End the model before, at values that are floats (outputs=…, --outputs)."
        raise RecipeError(f"cannot be measured: {names} are no floats.", subject=option, hint=hint)
    scores = [operand for operand in floats if is_scores((1, *operand.shape))]
    if labelled and len(scores) != 1:
        hint = "Leave the labels out: closeness to the float network is measured then."
        raise DataError(f"the model has {len(scores)} outputs with class scores.", subject="labels", hint=hint)


def refuse_labels(network: Network, labels: Labels | None) -> None:
    """Refuse labels that are no class of the model.

    Raises:
        DataError: Names the first one.
    """
    if labels is None:
        return
    from tinsmith.algorithms.drop import is_scores

    outputs = (operand for operand in network.outputs if operand.dtype.kind == "f")
    classes = max(int(np.prod(operand.shape)) for operand in outputs if is_scores((1, *operand.shape)))
    for index in np.flatnonzero(labels >= classes)[:1]:
        raise DataError(f"the label of sample {index} is {labels[index]}, of {classes} classes.", subject="labels")


def refuse_illegal(program: Program, target: Target) -> None:
    """Refuse what the chip would crash on or compute as garbage.

    Raises:
        ProgramError: A rule is broken; all of them, with their nodes.
    """
    from tinsmith.simulator.legality import violations

    broken = violations(program, target)
    if broken:
        raise ProgramError("\n  ".join([f"{target.name} would not run it:", *broken]), subject="program")
