"""Messages and decorators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tinsmith.compat.esp_ppq.log.logger import NaiveLogger

Function = TypeVar("Function", bound=Callable[..., Any])


class SingletonMeta(type):
    """Makes classes of which there is one object."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        cls._one: Any = None

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        """The one object."""
        if cls._one is None:
            cls._one = super().__call__(*arguments, **options)
        return cls._one


def ppq_warning(info: str) -> None:
    """Prints what may be wrong."""
    NaiveLogger.get_logger("ppq").warning(info)


def ppq_info(info: str) -> None:
    """Prints what happens."""
    NaiveLogger.get_logger("ppq").info(info)


def empty_ppq_cache(func: Function) -> Function:
    """The function: there is no cache."""
    return func


def ppq_debug_function(func: Function) -> Function:
    """The function."""
    return func


def ppq_file_io(func: Function) -> Function:
    """The function."""
    return func


def ppq_quant_param_computing_function(func: Function) -> Function:
    """The function."""
    return func


def ppq_legacy(func: str, version: str, adapt_to: str | None = None) -> None:
    """Prints that something is old."""
    ppq_warning(f"{func} is as it was in {version}." + (f" Use {adapt_to}." if adapt_to else ""))
