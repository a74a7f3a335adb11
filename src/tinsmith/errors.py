"""Every error tinsmith raises on purpose.

::

    TinsmithError
    ├── ModelError          the float model: unreadable, invalid, or not what was asked for
    │   └── UnsupportedError    an operator, shape or attribute the chip cannot run
    ├── DataError           calibration or evaluation data, and inputs of a simulation
    ├── FormatError         an .espdl, .json or pack that is truncated, corrupt or hostile
    ├── QuantizationError   no integer format satisfies the chip's rules
    ├── ProgramError        a program that cannot be run, lowered or saved as a twin
    ├── RecipeError         options, recipes and command lines
    └── MissingExtraError   an optional dependency that is not installed

Each carries the *subject* (a node, a file, a sample, an option), the *reason* and, where there is one,
the *way out*; ``str(error)`` joins them in that order.
"""

from __future__ import annotations


class TinsmithError(Exception):
    """Base of the tree.

    Args:
        reason: What is wrong, one sentence.
        subject: The node, file, sample or option concerned; empty where there is none.
        hint: What the user can do about it; empty where nothing is known.
    """

    def __init__(self, reason: str, *, subject: str = "", hint: str = "") -> None:
        self.reason = reason
        self.subject = subject
        self.hint = hint
        message = f"{subject}: {reason}" if subject else reason
        super().__init__(f"{message} {hint}" if hint else message)


class ModelError(TinsmithError):
    """The float model cannot be read, is invalid, or lacks what was asked for."""


class UnsupportedError(ModelError):
    """The chip's runtime cannot run this node, or would compute it wrongly."""


class DataError(TinsmithError):
    """Calibration data, evaluation data or simulation inputs are unusable."""


class FormatError(TinsmithError):
    """A file is not what its format promises."""


class QuantizationError(TinsmithError):
    """No choice of integer formats satisfies the rules of the target."""


class ProgramError(TinsmithError):
    """A program cannot be run, lowered, or expressed as asked."""


class RecipeError(TinsmithError):
    """An option, recipe or argument is unknown or contradictory."""


class MissingExtraError(TinsmithError):
    """An optional dependency is needed and absent."""
