"""What a model's source does not say by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """What a user adds to a model.

    Attributes:
        example_input: What a model in a framework is called with: an array or tensor with its batch axis, or a tuple of
            them, or a dict by the name of the argument. None where it is not known.
        input_shapes: Shapes of inputs by name, batch axis included.
        first_sample: Looks at the calibration data where neither of these is there, and gives what a first sample may
            be: arguments of the model, labels behind them, the likeliest first (`tinsmith.calibrate.peek`). Raises
            DataError where looking would use the data up. None without data.
    """

    example_input: Any = None
    input_shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    first_sample: Callable[[], Sequence[Any]] | None = None
