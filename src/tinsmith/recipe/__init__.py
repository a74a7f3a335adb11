"""What a user may choose, in one place: strict, and the same as TOML."""

from tinsmith.recipe.parts import Algorithm, Calibration, Equalization, Preprocessing, Scope, Split
from tinsmith.recipe.whole import Effort, Recipe

__all__ = ["Algorithm", "Calibration", "Effort", "Equalization", "Preprocessing", "Recipe", "Scope", "Split"]
