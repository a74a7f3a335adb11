"""Arrays of numpy as tensors of torch, which is imported when the first one is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinsmith.extras import require


def tensor(array: Any) -> Any:
    """A torch tensor with the elements of an array, which it does not share.

    Raises:
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", "torch", "tensors in tinsmith.compat.esp_ppq")
    return torch.from_numpy(np.array(array, order="C"))
