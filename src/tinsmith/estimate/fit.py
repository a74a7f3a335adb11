"""Whether a model fits on a board: yes, or what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinsmith.estimate.boards import Board
from tinsmith.estimate.memory import MemoryPlan
from tinsmith.units import KIB, MIB, size

BEFORE_APPLICATION = 64 * KIB
"""Flash before the first application: bootloader, partition table, settings (ESP-IDF's default layout)."""


@dataclass(frozen=True, slots=True)
class Application:
    """What the application needs besides the model.

    Attributes:
        flash: Bytes; by default the application's partition in ESP-IDF's default layout, which an example that runs a
            model fills in good part. Twice as much where updates over the air keep two.
        psram: Bytes, such as a camera's frame buffers.
        internal: Bytes beyond what `tinsmith.estimate.boards` leaves for it anyway.
    """

    flash: int = MIB
    psram: int = 0
    internal: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """One kind of memory: how much is needed, how much is there.

    Attributes:
        question: What it is about: ``flash`` or ``memory``.
        where: The kind of memory.
        model: Bytes for the model.
        application: Bytes for everything else.
        available: Bytes on the board.
    """

    question: Literal["flash", "memory"]
    where: Literal["flash", "PSRAM", "internal RAM"]
    model: int
    application: int
    available: int

    @property
    def missing(self) -> int:
        """Bytes that are missing; 0 where it fits."""
        return max(0, self.model + self.application - self.available)

    def __str__(self) -> str:
        head = "flash" if self.question == "flash" else f"memory ({self.where})"
        total = size(self.model + self.application)
        short = f", {size(self.missing)} missing" if self.missing else ""
        return f"{head}: {total} needed, {size(self.available)} there{short}"


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits on a board.

    Attributes:
        board: The board.
        needs: Each kind of memory that is needed.
        copied: Whether the parameters are copied to RAM.
        remedy: What would make it fit; empty where it fits or nothing simple is known.
    """

    board: Board
    needs: tuple[Need, ...]
    copied: bool
    remedy: str = ""

    @property
    def fits(self) -> bool:
        """Yes or no."""
        return not any(need.missing for need in self.needs)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is missing, a sentence each, which begins with the question: ``flash`` or ``memory``."""
        return tuple(str(need) for need in self.needs if need.missing)


def fit(
    file_bytes: int,
    plan: MemoryPlan,
    parameters: int,
    board: Board,
    *,
    copy: bool = True,
    application: Application | None = None,
) -> Fit:
    """Whether a model fits on a board.

    Tensors and copied parameters go to PSRAM where the board has some, but for the internal RAM that the plan was
    allowed; without PSRAM everything goes to internal RAM, whatever the plan was allowed.

    Args:
        file_bytes: Size of the ``.espdl`` file, which lies in flash.
        plan: Its memory plan.
        parameters: Bytes of its parameters (`tinsmith.estimate.parameters.parameter_bytes`).
        board: The board.
        copy: Whether ESP-DL copies the parameters to RAM when it loads the model: its ``param_copy``, on by default.
            Off: they are read from flash, more slowly.
        application: What the application needs; by default `Application`.
    """
    other = application or Application()
    needs = _needs(file_bytes, plan, parameters if copy else 0, board, other)
    remedy = ""
    if copy and any(need.missing for need in needs):
        without = _needs(file_bytes, plan, 0, board, other)
        if not any(need.missing for need in without):
            remedy = "Leave the parameters in flash: pass param_copy = false to dl::Model. Inference becomes slower."
    return Fit(board, needs, copy, remedy)


def _needs(file_bytes: int, plan: MemoryPlan, copied: int, board: Board, other: Application) -> tuple[Need, ...]:
    flash = Need("flash", "flash", file_bytes, other.flash + BEFORE_APPLICATION, board.flash)
    if not board.psram:
        return flash, Need("memory", "internal RAM", plan.peak + copied, other.internal, board.internal)
    psram = Need("memory", "PSRAM", plan.external_peak + copied, other.psram, board.psram)
    internal = Need("memory", "internal RAM", plan.internal, other.internal, board.internal)
    return (flash, psram, internal) if plan.internal or other.internal else (flash, psram)
