"""What a board prints, as it comes over the wire."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.report.compare.nets import log_of
from tinsmith.errors import DataError
from tinsmith.program import DType, Program, Value
from tinsmith.report.compare.board_log import read_log

NAMES = st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters="@"), min_size=1)


def program_of(name: str, dtype: np.dtype[np.generic], exponent: int) -> Program:
    return Program((), (), (), {name: Value(name, DType.of(dtype), (), (exponent,))}, {})


@given(
    NAMES,
    st.sampled_from(["int8", "int16", "float32", "int64", "bool"]),
    arrays.array_shapes(max_dims=4, max_side=5),
    st.integers(-20, 5),
    st.integers(1, 70),
    st.data(),
)
def test_what_is_printed_is_read(
    name: str, kind: str, shape: tuple[int, ...], exponent: int, line: int, data: st.DataObject
) -> None:
    array = data.draw(arrays.arrays(kind, shape))
    text = log_of(program_of(name, array.dtype, exponent), {name: array}, line)
    noisy = "\r\n".join(f"\x1b[0;32mI (4711) wifi: up\x1b[0m\r\n2026-01-01 12:00:00 {row}" for row in text.splitlines())
    for log in (text, noisy):
        ((found, (elements, power)),) = read_log(log, "log").items()
        assert (found, power, elements.dtype, elements.shape) == (name, exponent, array.dtype, array.shape)
        assert elements.tobytes() == array.tobytes()


GOOD = "@tensor x int8 -5 2,2\n@data 00ff\n@data 7f80\n@end\n"


def test_the_checksum_may_be_left_out() -> None:
    ((array, exponent),) = read_log(GOOD, "log").values()
    assert (array.tolist(), exponent) == ([[0, -1], [127, -128]], -5)
    assert list(read_log("@tensor a b int8 0 1\n@data 01\n@end", "log")) == ["a b"]


def test_colors_and_what_stands_before_the_mark_are_skipped() -> None:
    lines = "".join(
        f"\x1b[0;32mI (12) me@board: {line}\x1b[0m\r\nW (13) wifi: a @data b@c\r\n" for line in GOOD.splitlines()
    )
    assert read_log(lines.replace("@data b", "@database"), "log")["x"][0].tolist() == [[0, -1], [127, -128]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no tensor"),
        ("hello @ world", "holds no tensor"),
        (GOOD + GOOD, "'x' twice"),
        (GOOD.replace("7f80", "7f"), r"line 1: holds 3 bytes, its shape \[2, 2\] takes 4.*Lines were lost"),
        (GOOD.replace("7f80", "7f801"), "line 3: holds no hexadecimal digits"),
        (GOOD.replace("7f80", "7fzz"), "line 3: holds no hexadecimal digits"),
        (GOOD.replace("@end", "@end 12345678"), "line 1: its bytes do not match its checksum"),
        (GOOD.replace("@end", "@end spam"), "'spam' is no checksum"),
        (GOOD.replace("@end\n", ""), "'x' has no end.*cut off"),
        (GOOD.replace("@end", "@tensor y int8 0 1"), "line 1: 'x' has no end"),
        ("@data 00\n", "line 1: there is @data without @tensor"),
        ("@end\n", "line 1: there is @end without @tensor"),
        (GOOD.replace("int8", "int7"), "describes no tensor"),
        (GOOD.replace(" 2,2", ""), "describes no tensor"),
        (GOOD.replace("-5", "five"), "'five' is no exponent"),
        (GOOD.replace("2,2", "2,b"), "'b' is no shape"),
        (GOOD.replace("2,2", "0,2"), "'0,2' is no shape"),
    ],
)
def test_damaged_logs(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_log(text, "log")
