"""What `check_model` of the toolkit says."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from tinsmith.compat.v1.options import Options
from tinsmith.errors import TinsmithError
from tinsmith.targets import Target

SUPPORTED, NOT_SUPPORTED = 0, -1


def check(model: Any, targets: Iterable[Target], options: Options) -> int:
    """Whether one of the chips runs the model: 0, or -1 with a warning that says why not."""
    from tinsmith.verdict.deciding import check as decide

    reasons: list[str] = []
    for target in targets:
        try:
            verdict = decide(model, options.serving(target), bits=options.bits)
        except TinsmithError as error:
            reasons.append(str(error))
            continue
        if verdict.deployable:
            return SUPPORTED
        refused = (f"{row.node!r} ({row.operator}): {' '.join(row.reasons)}" for row in verdict.refused)
        reasons.append("\n  ".join([f"{target.name} does not run the model:", *verdict.problems, *refused]))
    warnings.warn(reasons[0] if reasons else "no chip was given.", stacklevel=3)
    return NOT_SUPPORTED
