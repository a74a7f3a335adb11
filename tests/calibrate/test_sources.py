from __future__ import annotations

import tracemalloc
from collections import UserDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calibrate.nets import conv_net, graph
from tinsmith.calibrate import InputSpec, input_specs, open_data
from tinsmith.errors import DataError, ModelError, RecipeError

ONE = [InputSpec("x", (1, 3, 4, 5))]
TWO = [InputSpec("a", (1, 2)), InputSpec("b", (1, 3))]


def rows(count: int = 6) -> np.ndarray:
    return np.arange(count * 60, dtype=np.float32).reshape(count, 3, 4, 5)


def collect(data: Any, specs: list[InputSpec] = ONE, **options: Any) -> list[dict[str, np.ndarray]]:
    return list(open_data(data, specs, **options))


def check(samples: list[dict[str, np.ndarray]], expected: np.ndarray) -> None:
    assert len(samples) == len(expected)
    for sample, row in zip(samples, expected, strict=True):
        assert set(sample) == {"x"}
        assert sample["x"].shape == (1, *row.shape)
        assert sample["x"].dtype == np.float32
        assert sample["x"].flags.c_contiguous
        assert np.array_equal(sample["x"][0], row)


class Tensor:
    """What a tensor on another device looks like from here."""

    def __init__(self, array: np.ndarray, ready: bool = False) -> None:
        self.array, self.ready = array, ready

    def detach(self) -> Tensor:
        return Tensor(self.array, self.ready)

    def cpu(self) -> Tensor:
        return Tensor(self.array, ready=True)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if not self.ready:
            raise RuntimeError("call cpu() first")
        return self.array


class Dataset:
    """Indexable, not iterable, and without an IndexError."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return rows()[index % 6], index


class Loader:
    """Batches of two, as data loaders make them."""

    def __iter__(self) -> Iterator[list[Tensor]]:
        for i in range(0, 6, 2):
            yield [Tensor(rows()[i : i + 2]), Tensor(np.arange(2))]


def batches() -> Iterator[np.ndarray]:
    yield rows()[:4]
    yield rows()[4:]


KINDS: dict[str, Callable[[], Any]] = {
    "array": rows,
    "array of batches of one": lambda: rows()[:, None],
    "integers": lambda: rows().astype(np.int32),
    "float64": lambda: rows().astype(np.float64),
    "tensor": lambda: Tensor(rows()),
    "dict of arrays": lambda: {"x": rows()},
    "user dict": lambda: UserDict(x=rows()),
    "list of samples": lambda: list(rows()),
    "list of batches of one": lambda: list(rows()[:, None]),
    "list of nested lists": lambda: rows().tolist(),
    "tuples with labels": lambda: [(row, 3) for row in rows()],
    "lists with labels": lambda: [[row, np.int64(3)] for row in rows()],
    "tuples alone": lambda: [(row,) for row in rows()],
    "dicts": lambda: [{"x": row} for row in rows()],
    "dicts with labels": lambda: [({"x": row}, 3) for row in rows()],
    "nested tuples with labels": lambda: [((row,), 3) for row in rows()],
    "loader": Loader,
    "dataset": Dataset,
    "generator": lambda: batches(),
    "function": lambda: batches,
    "uneven batches": lambda: [rows()[:1], rows()[1:5], rows()[5]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_data(kind: str) -> None:
    check(collect(KINDS[kind]()), rows())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "generator"])
def test_walking_again(kind: str) -> None:
    source = open_data(KINDS[kind](), ONE)
    assert len(list(source)) == len(list(source)) == 6


def test_a_generator_is_walked_over_once() -> None:
    source = open_data(batches(), ONE)
    check(list(source), rows())
    with pytest.raises(DataError, match=r"generator, read once: a generator can be walked over only once\. .*function"):
        list(source)


def test_lengths() -> None:
    assert len(open_data(rows(), ONE)) == open_data(rows(), ONE).length == 6
    assert len(open_data(rows(), ONE, limit=4)) == 4
    assert len(open_data(rows()[0], ONE)) == 1
    unknown = open_data(batches, ONE)
    assert unknown.length is None
    with pytest.raises(TypeError, match="not known"):
        len(unknown)


@given(st.integers(1, 9))
def test_limit(limit: int) -> None:
    check(collect(rows(), limit=limit), rows()[:limit])
    check(collect(batches, limit=limit), rows()[:limit])


def test_no_more_than_the_limit_is_read() -> None:
    def samples() -> Iterator[np.ndarray]:
        yield from rows()[:2]
        raise AssertionError("read too far")

    assert len(collect(samples, limit=1)) == 1


def test_descriptions() -> None:
    described = open_data(rows(), ONE, mean=127.5, std=(1, 2, 3), layout="nchw", limit=5).describe()
    assert described == "arrays: x (6, 3, 4, 5); x: layout NCHW, mean 127.5, std (1, 2, 3); at most 5"
    assert open_data(batches, ONE).describe() == "samples from batches()"


def test_delivered_samples_are_copies() -> None:
    data = rows()
    (first, *_) = collect(data)
    first["x"][:] = -1
    assert np.array_equal(data, rows())


def test_a_loader_that_reuses_its_buffer() -> None:
    def samples() -> Iterator[np.ndarray]:
        buffer = np.empty((3, 4, 5), np.float32)
        for row in rows():
            buffer[:] = row
            yield buffer

    check(collect(samples), rows())


# Several inputs.


def test_several_inputs_by_name_and_in_order() -> None:
    a, b = np.arange(8.0).reshape(4, 2), np.arange(12.0).reshape(4, 3)
    labels = np.arange(4)
    for data in (
        {"a": a, "b": b},
        {"a": a, "labels": labels, "b": b},
        [{"b": y, "a": x} for x, y in zip(a, b, strict=True)],
        [{"b": y, "label": 1, "a": x} for x, y in zip(a, b, strict=True)],
        list(zip(a, b, strict=True)),
        list(zip(a, b, labels, strict=True)),
        [((x, y), 1) for x, y in zip(a, b, strict=True)],
        [[[x, y], 1] for x, y in zip(a, b, strict=True)],
        [(a[:3], b[:3]), (a[3:], b[3:])],
    ):
        samples = collect(data, TWO)
        assert [s["a"].tolist() for s in samples] == a[:, None].tolist()
        assert [s["b"].tolist() for s in samples] == b[:, None].tolist()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"a": np.zeros((4, 2))}, r"data: lacks \['b'\]; the model's inputs are \['a', 'b'\]"),
        ({"a": np.zeros((4, 2)), "c": np.zeros(4)}, r"lacks \['b'\] and has unknown \['c'\]"),
        ([{"a": np.zeros(2), "c": 0}], r"sample 0 \(item 0\): lacks \['b'\] and has unknown \['c'\]"),
        (np.zeros((4, 2)), r"is one array, the model has 2 inputs: \['a', 'b'\]. Give samples as dicts"),
        ([(np.zeros(2),)], "has 1 parts, the model 2 inputs"),
        ([(np.zeros(2), np.zeros(3), 0, 1)], "has 4 parts, the model 2 inputs"),
        ({"a": np.zeros((4, 2)), "b": np.zeros((3, 3))}, "different numbers of samples: 'a' 4, 'b' 3"),
        ({"a": np.zeros((4, 2)), "b": np.zeros(3)}, "different numbers of samples: 'a' 4, 'b' one"),
        ([(np.zeros(2), 7)], r"sample 0 \(item 0\): input 'b' has shape \(\), the model takes \(1, 3\)"),
    ],
)
def test_inputs_that_do_not_match(data: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        collect(data, TWO)


# Shapes, layouts, types, values.


def test_layouts() -> None:
    last = np.moveaxis(rows(), 1, -1)
    check(collect(last, layout="NHWC"), rows())
    check(collect(list(last), layout="nhwc"), rows())
    check(collect(rows(), layout="NHWC"), rows())  # already the model's
    keeps_last = [InputSpec("x", (1, 4, 5, 3))]
    check(collect(rows(), keeps_last, layout="NCHW"), last)
    check(collect(last, keeps_last, layout="NHWC"), last)
    sequence = [InputSpec("x", (1, 6, 3))]
    check(
        collect(np.arange(36.0).reshape(2, 3, 6), sequence, layout="NWC"),
        np.arange(36.0).reshape(2, 3, 6).swapaxes(1, 2),
    )


def test_layout_decides_where_both_orders_fit() -> None:
    cube = np.arange(27.0).reshape(1, 3, 3, 3)
    spec = [InputSpec("x", (1, 3, 3, 3))]
    check(collect(cube, spec, layout="NCHW"), cube)
    check(collect(cube, spec, layout="NHWC"), np.moveaxis(cube, -1, 1))


def test_layout_is_for_inputs_of_its_rank() -> None:
    specs = [*ONE, InputSpec("flag", (1, 1))]
    data = {"x": np.moveaxis(rows(), 1, -1), "flag": np.ones((6, 1))}
    assert np.array_equal(collect(data, specs, layout="NHWC")[2]["x"][0], rows()[2])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            np.zeros((6, 4, 5, 3)),
            r"sample 0: input 'x' has shape \(4, 5, 3\), the model takes \(1, 3, 4, 5\).*NHWC.*layout=",
        ),
        (np.zeros((6, 3, 5, 4)), r"sample 0: input 'x' has shape \(3, 5, 4\), the model takes \(1, 3, 4, 5\)\.$"),
        (np.zeros((6, 60)), r"data: input 'x' has shape \(6, 60\).*Give one array per sample"),
        ([rows()[0], rows()[1, :2]], r"sample 1 \(item 1\): input 'x' has shape \(2, 4, 5\)"),
        ([rows()[:2], rows()[:2, :2]], r"sample 2 \(item 1, row 0\): input 'x' has shape \(2, 4, 5\)"),
        ([rows()[:2], rows()[0], np.zeros(3)], r"sample 3 \(item 2\): input 'x' has shape \(3,\)"),
    ],
)
def test_wrong_shapes(data: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        collect(data)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (np.full((3, 4, 5), "a"), "holds <U1, not numbers"),
        (np.full((3, 4, 5), None), "holds object, not numbers"),
        (np.zeros((3, 4, 5), complex), "holds complex128"),
        (np.zeros((3, 4, 5), "M8[s]"), "holds datetime64"),
        ("picture.png", r"holds <U11, not numbers \(a str\)"),
        ([[1, 2], [3]], "a list cannot be read as an array|list cannot be read as an array"),
        (None, r"holds object, not numbers \(a NoneType\)"),
    ],
)
def test_wrong_types(item: Any, reason: str) -> None:
    with pytest.raises(DataError, match=rf"sample 1 \(item 1\): .*({reason})"):
        collect([rows()[0], item])


@pytest.mark.parametrize(("value", "text"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e300, "1e\\+300")])
def test_values_that_are_no_numbers(value: float, text: str) -> None:
    data = rows().astype(np.float64)
    data[4, 2, 1, 3] = value
    with pytest.raises(DataError, match=rf"^sample 4: input 'x' holds {text} at \(0, 2, 1, 3\)"):
        collect(data)


def test_integer_inputs_take_integers_only() -> None:
    spec = [InputSpec("x", (1, 2), np.int64)]
    assert collect(np.array([[1.0, 2.0]]), spec)[0]["x"].dtype == np.int64
    with pytest.raises(DataError, match="sample 0: input 'x' takes int64, which does not hold the data"):
        collect(np.array([[1.5, 2.0]]), spec)
    with pytest.raises(RecipeError, match="mean: input 'x' holds integers"):
        collect(np.array([[1, 2]]), spec, mean=1.0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "list: there are no samples"),
        (np.zeros((0, 3, 4, 5)), "there are no samples"),
        (lambda: iter(()), "there are no samples"),
        ([np.zeros((0, 3, 4, 5))], "there are no samples"),
        (lambda: 5, r"<lambda>\(\): returned a int, not an iterable"),
        (5, "a int holds no samples.*Give a .npy"),
    ],
)
def test_nothing_to_walk_over(data: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        collect(data)


# Scaling.


def test_mean_and_std() -> None:
    pixels = (rows() % 256).astype(np.uint8)
    wide = pixels.astype(np.float32)
    check(collect(pixels, mean=127.5, std=127.5), (wide - np.float32(127.5)) / np.float32(127.5))
    per_channel = np.array([1, 2, 4], np.float32).reshape(3, 1, 1)
    check(collect(pixels, mean=(1, 2, 4)), wide - per_channel)
    check(collect(np.moveaxis(pixels, 1, -1), std=[1, 2, 4], layout="NHWC"), wide / per_channel)
    keeps_last = [InputSpec("x", (1, 4, 5, 3))]
    check(collect(np.moveaxis(pixels, 1, -1), keeps_last, mean=(1, 2, 4)), np.moveaxis(wide - per_channel, 1, -1))
    check(collect(np.ones((2, 3)), [InputSpec("x", (1, 3))], mean=(1, 2, 3)), np.array([[0, -1, -2]] * 2))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mean": (1, 2)}, r"mean: has 2 entries; input 'x' is \(1, 3, 4, 5\). Give one number, or one per channel."),
        ({"mean": np.nan}, "mean: must be a finite number"),
        ({"std": 0}, "std: must be positive"),
        ({"std": (1, -1, 1)}, "std: must be positive"),
        ({"layout": "HWCN"}, r"layout: 'HWCN' does not describe inputs of \[\(1, 3, 4, 5\)\].*NCHW"),
        ({"layout": "NWC"}, "layout: 'NWC' does not describe"),
        ({"limit": 0}, "limit: is 0"),
        ({"size": 4}, "size: applies to folders of images only"),
        ({"color": "RGB"}, "color: applies to folders of images only"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        open_data(rows(), ONE, **options)


# Models.


def test_specs_of_a_model(rng: np.random.Generator) -> None:
    (spec,) = input_specs(conv_net(rng))
    assert (spec.name, spec.shape, np.dtype(spec.dtype)) == ("x", (1, 3, 12, 12), np.float32)
    dynamic = graph([("Relu", ["x"], ["y"], {})], {"x": ("n", 3)}, ["y"])
    with pytest.raises(ModelError, match="input 'x': has no static shape"):
        input_specs(dynamic)
    with pytest.raises(DataError, match="no inputs"):
        open_data(rows(), [])


def test_inputs_without_a_batch_axis() -> None:
    spec = [InputSpec("x", (3, 4))]
    stacked = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    assert [s["x"].tolist() for s in collect(stacked, spec)] == stacked.tolist()
    assert [s["x"].tolist() for s in collect(list(stacked), spec)] == stacked.tolist()
    scalar = [InputSpec("x", ())]
    assert [float(s["x"]) for s in collect(np.array([1.0, 2.0]), scalar)] == [1.0, 2.0]


def test_memory_does_not_grow() -> None:
    spec = [InputSpec("x", (1, 3, 64, 64))]

    def samples(count: int) -> Callable[[], Iterator[np.ndarray]]:
        return lambda: (np.zeros((3, 64, 64), np.float32) for _ in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in open_data(samples(count), spec)) == count
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)
    sample = 4 * 3 * 64 * 64
    # Other threads of the test runner allocate a little meanwhile; samples kept would be 190 times this.
    assert peak(200) <= peak(10) + 2 * sample
