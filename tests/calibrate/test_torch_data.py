"""Calibration data as PyTorch's programs hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset  # noqa: E402

from tinsmith.calibrate.inputs import InputSpec  # noqa: E402
from tinsmith.calibrate.peek import first_samples  # noqa: E402
from tinsmith.calibrate.sources import open_data  # noqa: E402
from tinsmith.errors import DataError  # noqa: E402

SPECS = (InputSpec("x", (1, 2, 3)),)
TWO = (*SPECS, InputSpec("y", (1, 4)))
X = torch.arange(24, dtype=torch.float32).reshape(4, 2, 3)
Y = torch.arange(16, dtype=torch.float32).reshape(4, 4)
LABELS = torch.tensor([0, 1, 1, 0])


class Items(Dataset[Any]):
    """A dataset with labels and no `__iter__`."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return X[index], int(LABELS[index])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(X)


ONE_INPUT = {
    "tensor": X,
    "with gradient": X.clone().requires_grad_(),
    "not contiguous": X.permute(2, 1, 0).contiguous().permute(2, 1, 0),
    "double": X.double(),
    "half": X.half(),
    "bfloat16": X.bfloat16(),
    "int64": X.long(),
    "uint8": X.to(torch.uint8),
    "without batches": list(X),
    "ones": [sample[None] for sample in X],
    "batches": [X[:3], X[3:]],
    "lists of numbers": X.tolist(),
    "labels": [(sample, 1) for sample in X],
    "batches with labels": [(X[:3], LABELS[:3]), (X[3:], LABELS[3:])],
    "dataset": Items(),
    "tensor dataset": TensorDataset(X, LABELS),
    "tensor dataset without labels": TensorDataset(X),
    "loader": DataLoader(Items(), batch_size=3),
    "loader of tensors": DataLoader(TensorDataset(X), batch_size=3),
    "loader of one": DataLoader(Items()),
    "loader without batches": DataLoader(TensorDataset(X, LABELS), batch_size=None),
    "loader of a stream": DataLoader(Stream(), batch_size=2),
    "loader of dicts": DataLoader([{"x": sample} for sample in X], batch_size=2),
}


@pytest.mark.parametrize("data", ONE_INPUT.values(), ids=ONE_INPUT)
def test_one_input(data: Any) -> None:
    found = list(open_data(data, SPECS))
    assert len(found) == 4
    assert all(sample["x"].dtype == np.float32 and sample["x"].shape == (1, 2, 3) for sample in found)
    # Whole numbers below 256 are the same in every one of these types.
    assert np.array_equal(np.concatenate([sample["x"] for sample in found]), X.numpy())


@pytest.mark.parametrize(
    "data",
    [
        {"x": X, "y": Y},
        TensorDataset(X, Y),
        TensorDataset(X, Y, LABELS),
        DataLoader(TensorDataset(X, Y, LABELS), batch_size=3),
        [((x, y), 1) for x, y in zip(X, Y, strict=True)],
        DataLoader([{"x": x, "y": y} for x, y in zip(X, Y, strict=True)], batch_size=2),
    ],
    ids=["dict", "dataset", "labels", "loader", "pairs in pairs", "dicts"],
)
def test_two_inputs(data: Any) -> None:
    found = list(open_data(data, TWO))
    assert np.array_equal(np.concatenate([sample["x"] for sample in found]), X.numpy())
    assert np.array_equal(np.concatenate([sample["y"] for sample in found]), Y.numpy())


def test_gradients_and_data_are_left_alone() -> None:
    data = X.clone().requires_grad_()
    for sample in open_data(data, SPECS):
        sample["x"][:] = 0
    assert torch.equal(data, X)
    assert data.requires_grad


def test_a_tensor_that_is_no_array() -> None:
    with pytest.raises(DataError, match="Tensor cannot be read as an array"):
        list(open_data(X.to_sparse(), SPECS))


def test_looking_uses_nothing_up() -> None:
    data = DataLoader(Items(), batch_size=2)
    assert first_samples(data)[0][0].shape == (1, 2, 3)
    assert len(list(open_data(data, SPECS))) == 4
