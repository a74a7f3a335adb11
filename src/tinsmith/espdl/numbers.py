"""Arrays as text: numpy's layout in linear time.

numpy's own printing of a whole array is quadratic in its size; a network has millions of integers, of few values.
"""

from __future__ import annotations

import numpy as np

from tinsmith.program import Array

_WIDTH = 75
_OPEN = "array(["
_BREAK = "\n" + " " * len(_OPEN)
_UNNAMED = (np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_))
_WORTH = 0.5  # spell every number of the range once where elements are at least twice as many


def array_text(data: Array) -> str:
    """All elements, flattened, as ``array([1, 2, 3], dtype=int8)`` in lines of at most 75 characters.

    Integers come out exactly as numpy prints them; each fractional number has as many digits as it needs.
    """
    flat = np.ascontiguousarray(data).reshape(-1)
    named = not flat.size or flat.dtype not in _UNNAMED
    body = f"{_OPEN}{_body(flat)}]"
    if not named:
        return f"{body})"
    kind = f"dtype={flat.dtype.name})"
    last_line = len(body) - (body.rfind("\n") + 1)
    gap = "\n" + " " * len("array(") if last_line + 1 + len(kind) + 1 > _WIDTH else " "
    return f"{body},{gap}{kind}"


def _body(flat: Array) -> str:
    if not flat.size:
        return ""
    if flat.dtype.kind in "iu":
        low, high = int(flat.min()), int(flat.max())
        width = max(len(str(low)), len(str(high)))
        if high - low < flat.size * _WORTH:
            return _looked_up(flat, low, high, width)
        return _joined([str(number) for number in flat.tolist()], width)
    words = [str(number) for number in (flat if flat.dtype.kind == "f" else flat.tolist())]
    return _joined(words, max(map(len, words)))


def _per_line(width: int) -> int:
    """How many elements of that width, each with its comma and space, share a line."""
    return max(1, (_WIDTH - len(_OPEN)) // (width + 2))


def _joined(words: list[str], width: int) -> str:
    count = _per_line(width)
    cells = [word.rjust(width) for word in words]
    return f",{_BREAK}".join(", ".join(cells[start : start + count]) for start in range(0, len(cells), count))


def _looked_up(flat: Array, low: int, high: int, width: int) -> str:
    """The same as `_joined`, each number spelled once and the lines laid out as one matrix of bytes."""
    table = np.array([f"{number:{width}d}, ".encode() for number in range(low, high + 1)])
    steps = flat.astype(np.uint64) - np.uint64(low % (1 << 64))  # modulo 2**64, so that no type's range is in the way
    cells = table[steps.astype(np.intp)].view(np.uint8).reshape(-1, width + 2)
    count = _per_line(width)
    lines = (len(cells) - 1) // count
    page = np.empty((lines, count * (width + 2) - 1 + len(_BREAK)), np.uint8)
    page[:, : -len(_BREAK)] = cells[: lines * count].reshape(lines, count * (width + 2))[:, :-1]
    page[:, -len(_BREAK) :] = np.frombuffer(_BREAK.encode(), np.uint8)
    return (page.tobytes() + cells[lines * count :].tobytes()[:-2]).decode("ascii")
