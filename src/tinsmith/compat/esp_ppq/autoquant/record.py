"""What a search leaves behind in its folder."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.autoquant.setting import Record, read_records
from tinsmith.errors import DataError
from tinsmith.files import write_all

SUMMARY, CANDIDATES, CONFIG, SETTING = "summary.json", "candidates.json", "config.json", "quant_setting.json"
RESERVED = frozenset({"score", "hash", "index", "folder", "files", "strategy", "params"})


class RunFolder:
    """A folder with everything that was tried.

    Args:
        path: The folder.
        resume: Whether to go on with what is there; else it is taken away first.

    Raises:
        FormatError: There is something to go on with that cannot be read.
    """

    def __init__(self, path: str | Path, *, resume: bool) -> None:
        self.path = Path(path)
        self.records: list[Record] = []
        if (self.path / SUMMARY).is_file():
            found = read_records(self.path / SUMMARY)
            if resume:
                self.records = [one for one in found if {"hash", "score", "index"} <= one.keys()]
            else:
                self._clear(found)

    def _clear(self, records: list[Record]) -> None:
        """Takes away the folders that the records are of, and no others."""
        for record in records:
            folder = self.path / f"{record.get('index'):04}" if isinstance(record.get("index"), int) else None
            if folder is not None and (folder / CONFIG).is_file():
                shutil.rmtree(folder)
        (self.path / SUMMARY).unlink()

    @property
    def scores(self) -> dict[str, float]:
        """What was found, by digest."""
        return {record["hash"]: record["score"] for record in self.records}

    def folder(self) -> tuple[int, Path]:
        """The number and the folder of the next one."""
        index = max((record["index"] for record in self.records), default=-1) + 1
        return index, self.path / f"{index:04d}"

    def add(self, record: Record, texts: Mapping[Path, str]) -> None:
        """Keeps one more, with files of its own."""
        self.records.append(record)
        summary = {self.path / SUMMARY: text_of(self.records).encode()}
        write_all({**{path: text.encode() for path, text in texts.items()}, **summary})

    def keep(self, candidates: list[Record]) -> None:
        """Writes the best ones."""
        write_all({self.path / CANDIDATES: text_of(candidates).encode()})


def judged(result: Any) -> tuple[float, dict[str, Any]]:
    """The score and the further numbers that `evaluate_fn` gave.

    Raises:
        DataError: It gave something else.
    """
    hint = "Return (score, {name: number})."
    if not isinstance(result, tuple) or len(result) != 2:
        raise DataError(f"returned {result!r:.80}.", subject="evaluate_fn", hint=hint)
    score, extras = result
    if isinstance(score, bool) or not isinstance(score, Real) or not math.isfinite(score):
        raise DataError(f"returned the score {score!r}, no finite number.", subject="evaluate_fn", hint=hint)
    if not isinstance(extras, Mapping):
        raise DataError(f"returned a {type(extras).__name__} beside the score.", subject="evaluate_fn", hint=hint)
    taken = sorted(RESERVED.intersection(extras))
    if taken:
        reason = f"returned {taken[0]!r}, which the search writes itself."
        raise DataError(reason, subject="evaluate_fn", hint="Rename it.")
    return float(score), dict(extras)


def as_json(value: Any) -> Any:
    """What JSON has, of what there is: numbers of numpy as numbers, everything else as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    return str(value)


def text_of(value: Any) -> str:
    """The text of a JSON file."""
    return json.dumps(as_json(value), indent=4, ensure_ascii=False) + "\n"
