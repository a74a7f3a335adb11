"""Which tensor of one side is which of the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinsmith.algorithms.layer_names import meant
from tinsmith.errors import DataError
from tinsmith.report.compare.sides import Side


def common(ours: Side, theirs: Side) -> dict[str, str]:
    """The second's name of each tensor that both hold, by the first's, in the order of execution.

    Raises:
        DataError: There is none.
    """
    found = {**paired(list(ours.inputs), list(theirs.inputs)), **matched(ours.names(), theirs.names())}
    if len(ours.outputs) == len(theirs.outputs):
        taken = set(found.values())
        pairs = zip(ours.outputs, theirs.outputs, strict=True)
        found.update({mine: other for mine, other in pairs if mine not in found and other not in taken})
    if not found:
        few = [", ".join(map(repr, side.names()[:3])) for side in (ours, theirs)]
        hint = f"The first has {few[0]} …; the second {few[1]} …"
        raise DataError("have no tensor of the same name.", subject=f"{ours.label} and {theirs.label}", hint=hint)
    back = {other: mine for mine, other in found.items()}
    dumped = bool(theirs.steps) and not ours.steps
    order = [back[name] for name in theirs.names() if name in back] if dumped else ours.names()
    return {name: found[name] for name in order if name in found}


def chosen(names: dict[str, str], ours: Side, theirs: Side, only: Sequence[str]) -> dict[str, str]:
    """The tensors that the user asks for, by their own names or by those of the nodes that compute them.

    Raises:
        RecipeError: A name means nothing.
    """
    if not only:
        return names
    known: dict[str, list[str]] = {}
    for mine, other in names.items():
        for name in {mine, other}:
            known.setdefault(name, []).append(mine)
    back = {other: mine for mine, other in names.items()}
    for side, own in ((ours, {name: name for name in names}), (theirs, back)):
        for node, _, _, outputs in side.steps:
            known.setdefault(node, []).extend(own[name] for name in outputs if name in own)
    keys = {key for pattern in only for key in meant(pattern, known, "tensor or node", "only")}
    wanted = {name for key in keys for name in known[key]}
    return {mine: other for mine, other in names.items() if mine in wanted}


def paired(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """By name, else by order where there are as many."""
    found = matched(mine, theirs)
    return dict(zip(mine, theirs, strict=True)) if len(found) < len(mine) == len(theirs) else found


def matched(mine: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """The other side's name of each tensor: the same one, or one that differs in signs only, where that is unique."""
    mine, others = list(mine), list(theirs)
    plain: dict[str, list[str]] = {}
    for name in others:
        plain.setdefault(_plain(name), []).append(name)
    ours: dict[str, list[str]] = {}
    for name in mine:
        ours.setdefault(_plain(name), []).append(name)
    known = set(others)
    return {
        name: name if name in known else plain[_plain(name)][0]
        for name in mine
        if name in known or len(plain.get(_plain(name), ())) == len(ours[_plain(name)]) == 1
    }


def _plain(name: str) -> str:
    """A name as files and other tools write it: signs other than letters and digits count as one."""
    return "_".join("".join(sign if sign.isalnum() else " " for sign in name).split()).casefold()
