"""Integer formats and the single definition of rounding."""
