"""Messages."""

from tinsmith.compat.esp_ppq.log.logger import NaiveLogger

__all__ = ["NaiveLogger"]
