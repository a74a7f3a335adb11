"""`EMARecorder`."""

from __future__ import annotations


class EMARecorder:
    """The exponentially weighted mean of numbers, corrected for its start.

    Args:
        beta: The weight of what was before.
    """

    def __init__(self, beta: float = 0.98) -> None:
        self.beta = beta
        self._sum, self._count = 0.0, 0

    def push(self, value: float) -> None:
        """One more number."""
        self._sum = self.beta * self._sum + (1 - self.beta) * value
        self._count += 1

    def pop(self) -> float:
        """The mean so far; 0 where there is no number."""
        return self._sum / (1 - self.beta**self._count) if self._count else 0.0
