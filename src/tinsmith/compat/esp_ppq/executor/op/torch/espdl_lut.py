"""How esp-ppq simulates tables. Here they are always computed as the chip does."""

from __future__ import annotations

import warnings
from enum import Enum


class SimulationMode(Enum):
    """What esp-ppq can simulate."""

    SIMULATION = 1
    IDEAL_MATH = 2


def set_simulation_mode(mode: SimulationMode) -> None:
    """Nothing, with a warning for what is not the chip's arithmetic.

    Args:
        mode: What is asked for.
    """
    if mode is not SimulationMode.SIMULATION:
        warnings.warn(f"{mode}: tables are computed as the chip does, always.", stacklevel=2)


def register_lut_op_handler(verbose: bool = False) -> None:
    """Nothing: tables are there."""


LUTSimulationMode = SimulationMode
set_lut_simulation_mode = set_simulation_mode

__all__ = [
    "LUTSimulationMode",
    "SimulationMode",
    "register_lut_op_handler",
    "set_lut_simulation_mode",
    "set_simulation_mode",
]
