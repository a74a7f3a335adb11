"""What a PyTorch model is called with: given, made of shapes, or taken from the data; always one sample."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from tests.importers import torch_nets as nets  # noqa: E402
from tinsmith.calibrate.peek import first_samples  # noqa: E402
from tinsmith.errors import DataError, ModelError, TinsmithError  # noqa: E402
from tinsmith.importers.hints import Hints  # noqa: E402
from tinsmith.importers.torch.example import find_example  # noqa: E402

PICTURES = nets.numbers(5, 3, 12, 12)
LABELS = torch.arange(5)


def called(module: Any, **hints: Any) -> dict[str, tuple[int, ...]]:
    """The shapes that a module is exported with."""
    if "data" in hints:
        hints["first_sample"] = partial(first_samples, hints.pop("data"), hints.pop("layout", None))
    call = find_example(torch, module.eval(), Hints(**hints), "Net").call
    return {name: tuple(leaf.shape) for name, leaf in call.named_leaves().items()}


CNN, GRU = nets.seeded(nets.Cnn), nets.seeded(nets.Recurrent, torch.nn.GRU, batch_first=True)
ONE = {"image": (1, 3, 12, 12)}


@pytest.mark.parametrize(
    "example",
    [
        PICTURES[:1],
        PICTURES,
        PICTURES.numpy().astype(np.float64),
        (PICTURES,),
        [PICTURES],
        {"image": PICTURES},
        PICTURES[0],
    ],
    ids=["one", "batch", "doubles of NumPy", "tuple", "list", "dict", "no batch axis"],
)
def test_given(example: Any) -> None:
    # A convolution takes a picture without a batch axis; what comes behind it here does not.
    if isinstance(example, torch.Tensor) and example.ndim == 3:
        with pytest.raises(ModelError, match="does not run on the example input"):
            called(CNN, example_input=example)
    else:
        assert called(CNN, example_input=example) == ONE


def test_the_first_axis_is_not_always_the_batch() -> None:
    steps_first = nets.seeded(nets.Recurrent, torch.nn.GRU)
    assert called(steps_first, example_input=nets.numbers(9, 1, 6)) == {"x": (9, 1, 6)}
    assert called(GRU, example_input=nets.numbers(4, 9, 6)) == {"x": (1, 9, 6)}
    assert called(torch.nn.Conv1d(4, 2, 3), example_input=nets.numbers(4, 20)) == {"input": (4, 20)}


def test_several_arguments() -> None:
    module, a, b = nets.Several(), nets.numbers(2, 4), nets.numbers(2, 6)
    two = {"left": (1, 4), "right": (1, 6)}
    assert called(module, example_input=(a, b)) == two
    assert called(module, example_input={"right": b, "left": a}) == two
    assert called(module, example_input=(a, b, a)) == {**two, "scale": (1, 4)}
    assert called(module, input_shapes={"right": (1, 6), "left": (1, 4)}) == two
    assert called(module, data=[(a[0], b[0], 3)]) == two
    assert called(module, data=[((a, b), LABELS[:2])]) == two
    assert called(module, data={"left": a, "right": b}) == two
    assert called(module, data=DataLoader(TensorDataset(a, b, LABELS[:2]), batch_size=2)) == two


def test_shapes_of_integers() -> None:
    assert called(nets.Embedded(), input_shapes={"tokens": (1, 7)}) == {"tokens": (1, 7)}


@pytest.mark.parametrize(
    "data",
    [
        PICTURES,
        PICTURES.numpy(),
        PICTURES.double().requires_grad_(),
        (PICTURES * 50).to(torch.uint8),
        PICTURES.bfloat16(),
        PICTURES[0],
        list(PICTURES),
        [PICTURES[:1], PICTURES[1:2]],
        [PICTURES[:2], PICTURES[2:]],
        [(PICTURES[0], 1), (PICTURES[1], 0)],
        TensorDataset(PICTURES, LABELS),
        DataLoader(TensorDataset(PICTURES, LABELS), batch_size=2),
        DataLoader(TensorDataset(PICTURES), batch_size=None),
        DataLoader([{"image": picture} for picture in PICTURES], batch_size=2),
        lambda: iter(PICTURES),
        {"image": PICTURES},
        DataLoader([{"label": 1, "image": picture} for picture in PICTURES], batch_size=2),
    ],
    ids=[
        "tensor", "array", "double with gradient", "bytes", "bfloat16", "one", "list", "list of ones",
        "list of batches", "list with labels", "dataset", "loader", "loader without batches", "loader of dicts",
        "function", "dict", "loader of dicts with labels",
    ],
)  # fmt: skip
def test_of_data(data: Any) -> None:
    assert called(CNN, data=data) == ONE


def test_of_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", PICTURES.numpy())
    np.savez(tmp_path / "x.npz", image=PICTURES.numpy())
    np.savez(tmp_path / "more.npz", image=PICTURES.numpy(), labels=LABELS.numpy())
    for name in ("x.npy", "x.npz", "more.npz:image"):
        assert called(CNN, data=str(tmp_path / name)) == ONE


def test_sequences_are_not_cut_to_their_first_step() -> None:
    sequences = nets.numbers(4, 9, 6)
    one = {"x": (1, 9, 6)}
    for data in (sequences, list(sequences), [sequences], TensorDataset(sequences), [sequences[:1]]):
        assert called(GRU, data=data) == one
    attention = nets.seeded(nets.Attention)
    assert called(attention, data=list(nets.numbers(4, 7, 16))) == {"x": (1, 7, 16)}


def test_pictures_of_one_channel() -> None:
    gray = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())
    for data in (TensorDataset(nets.numbers(4, 1, 8, 8)), list(nets.numbers(4, 1, 8, 8)), nets.numbers(4, 1, 8, 8)):
        assert called(gray, data=data) == {"input": (1, 1, 8, 8)}


def test_rows_of_numbers() -> None:
    layer = torch.nn.Linear(4, 2)
    for data in (nets.numbers(3, 4), [[1.0, 2, 3, 4], [4, 5, 6, 7]], [nets.numbers(1, 4)], list(nets.numbers(3, 4))):
        assert called(layer, data=data) == {"input": (1, 4)}


def test_data_in_another_layout() -> None:
    pictures = PICTURES.permute(0, 2, 3, 1)
    assert called(CNN, data=pictures, layout="NHWC") == ONE
    assert called(CNN, data=list(pictures), layout="nhwc") == ONE
    assert called(CNN, data=PICTURES, layout="NHWC") == ONE
    sequences = nets.numbers(4, 9, 6)
    assert called(torch.nn.Conv1d(6, 2, 3), data=sequences, layout="NWC") == {"input": (1, 6, 9)}


def test_arguments_that_only_names_reach() -> None:
    class Keyword(torch.nn.Module):
        def forward(self, x: Any, *, gain: Any) -> Any:
            return x * gain

    x = nets.numbers(1, 3)
    assert called(Keyword(), example_input={"x": x, "gain": x}) == {"x": (1, 3), "gain": (1, 3)}


def test_any_number_of_arguments() -> None:
    class Sum(torch.nn.Module):
        def forward(self, *parts: Any) -> Any:
            return sum(parts)

    x = nets.numbers(1, 3)
    assert called(Sum(), example_input=(x, x)) == {"parts_0": (1, 3), "parts_1": (1, 3)}


def test_a_dict_that_is_an_argument() -> None:
    class Of(torch.nn.Module):
        def forward(self, batch: dict[str, Any]) -> Any:
            return batch["a"] + batch["b"]

    x = nets.numbers(2, 3)
    given = {"batch": OrderedDict(a=x, b=x)}
    assert called(Of(), example_input=given) == {"batch_a": (1, 3), "batch_b": (1, 3)}


@pytest.mark.parametrize(
    ("module", "hints", "error", "message"),
    [
        (CNN, {}, ModelError, "Net: what it takes is not known. Give example_input: a tensor or array"),
        (CNN, {"example_input": nets.numbers(1, 4, 12, 12)}, ModelError, r"example input \(image \(1, 4, 12, 12\)\): "),
        (CNN, {"example_input": (PICTURES, PICTURES)}, ModelError, "too many positional arguments. It takes image."),
        (CNN, {"example_input": {"images": PICTURES}}, ModelError, "no argument 'images'. Did you mean 'image'?"),
        (CNN, {"input_shapes": {"x": (1, 3, 12, 12)}}, ModelError, "no argument 'x'. It takes image."),
        (nets.Several(), {"example_input": PICTURES}, ModelError, "missing a required argument: 'right'"),
        (CNN, {"input_shapes": {"image": (1, 5, 12, 12)}}, ModelError, "inputs of the given shapes .image .1, 5"),
        (CNN, {"data": nets.numbers(5, 7)}, ModelError, "does not run on the first calibration sample"),
        (nets.Several(), {"data": nets.numbers(5, 4)}, ModelError, "it fits none of the arguments"),
        (CNN, {"data": [{"picture": PICTURES[0]}]}, ModelError, r"it fits none of the arguments \(image\)"),
        (CNN, {"data": iter(PICTURES)}, DataError, "a generator can be walked over only once"),
        (CNN, {"data": []}, DataError, "there are no samples"),
        (CNN, {"data": DataLoader(TensorDataset(PICTURES[:0]))}, DataError, "there are no samples"),
        (CNN, {"data": 3}, DataError, "a int holds no samples"),
        (CNN, {"data": "/nowhere/x.npy"}, DataError, "/nowhere/x.npy: cannot be read"),
        (CNN, {"data": str(Path(__file__).parent)}, DataError, "pictures do not say what size the model takes"),
    ],
)  # fmt: skip
def test_one_clear_error(module: Any, hints: dict[str, Any], error: type[TinsmithError], message: str) -> None:
    with pytest.raises(error, match=message) as failure:
        called(module, **hints)
    assert "\n" not in str(failure.value)
