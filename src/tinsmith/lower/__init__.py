"""From a float network and chosen formats to the `Program` the chip gets."""

from tinsmith.lower.lowerer import lower

__all__ = ["lower"]
