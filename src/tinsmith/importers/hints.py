"""What a model's source does not say by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """What a user adds to a model.

    Attributes:
        example_input: What a model in a framework is called with: an array or tensor with its batch axis, or a tuple of
            them, or a dict by the name of the argument. None where it is not known.
        input_shapes: Shapes of inputs by name, batch axis included.
    """

    example_input: Any = None
    input_shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
