"""`NaiveLogger`: esp-ppq's logger, over Python's own."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TextIO

from tinsmith.errors import RecipeError

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FORMAT = "[%(levelname)s][%(name)s][%(asctime)s]: %(message)s"


class _Stdout(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stdout` is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


class NaiveLogger:
    """A logger that writes to the terminal, and to files if asked.

    Use `get_logger`; there is one for each name.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"tinsmith.compat.{name}")
        self._logger.propagate = False
        self._files: dict[str, logging.Handler] = {}

    @classmethod
    def get_logger(cls, name: str, level: str | int = logging.INFO, file_name: str | None = None) -> NaiveLogger:
        """The logger of that name.

        Args:
            name: Shown in each line.
            level: ``debug``, ``info``, ``warning`` or ``error``: what is less is left out.
            file_name: Write there, too.

        Raises:
            RecipeError: There is no such level.
        """
        found = cls(name)
        if not found._logger.handlers:
            handler = _Stdout()
            handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))
            found._logger.addHandler(handler)
            found.set_level(level)
        if file_name is not None:
            found.register_handler(file_name)
        return found

    def set_level(self, level: str | int) -> None:
        """Leaves out what is less.

        Raises:
            RecipeError: There is no such level.
        """
        self._logger.setLevel(_level(level))

    def register_handler(self, file_name: str, level: str | int = logging.INFO) -> None:
        """Writes to a file, too, from a level on."""
        handler = logging.FileHandler(Path(file_name), encoding="utf-8")
        handler.setLevel(_level(level))
        self._files[file_name] = handler
        self._logger.addHandler(handler)

    def remove_handler(self, file_name: str) -> None:
        """Writes to a file no more."""
        handler = self._files.pop(file_name, None)
        if handler is not None:
            self._logger.removeHandler(handler)
            handler.close()

    def debug(self, msg: str) -> None:
        """A line for the author of a script."""
        self._logger.debug(msg)

    def info(self, msg: str) -> None:
        """What happens."""
        self._logger.info(msg)

    def warning(self, msg: str) -> None:
        """What may be wrong."""
        self._logger.warning(msg)

    def error(self, msg: str) -> None:
        """What is wrong."""
        self._logger.error(msg)


def _level(level: str | int) -> int:
    if isinstance(level, int):
        return level
    if level.lower() not in LEVELS:
        raise RecipeError(f"there is no {level!r}.", subject="level", hint=f"Choose one of {', '.join(LEVELS)}.")
    return LEVELS[level.lower()]
