from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared import shared_files
from tinsmith.ops.packing import file_dims, layout_doc, pack, pack_matrices, unpack, unpack_matrices, vector_filters

KERNELS = [p for p in shared_files("golden/kernels/*/*.npz") if str(np.load(p)["op"]) in ("conv", "gemm")]
BLOCKS = st.sampled_from([1, 8, 16])


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), BLOCKS, st.booleans())
def test_unpack_undoes_pack(n: int, c: int, h: int, w: int, block: int, depthwise: bool) -> None:
    weights = np.arange(n * c * h * w).reshape(n, c, h, w)
    packed = pack(weights, block, depthwise=depthwise)
    assert sorted(packed.tolist()) == weights.reshape(-1).tolist()
    assert unpack(packed, (n, c, h, w), block, depthwise=depthwise).tolist() == weights.tolist()


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), BLOCKS, st.booleans())
def test_order_of_elements(n: int, c: int, h: int, w: int, block: int, depthwise: bool) -> None:
    weights = np.arange(n * c * h * w).reshape(n, c, h, w)
    split = n // block * block if block > 1 else 0
    order = [
        weights[base + lane, k, i, j]
        for base in range(0, split, block)
        for i in range(h)
        for j in range(w)
        for k in range(c)
        for lane in range(block)
    ]
    if depthwise:
        order += [weights[f, k, i, j] for k in range(c) for i in range(h) for j in range(w) for f in range(split, n)]
    else:
        order += [weights[f, k, i, j] for f in range(split, n) for i in range(h) for j in range(w) for k in range(c)]
    assert pack(weights, block, depthwise=depthwise).tolist() == order


@given(st.lists(st.integers(1, 3), max_size=2), st.integers(1, 6), st.integers(1, 40), BLOCKS)
def test_matrices(batch: list[int], channels: int, filters: int, block: int) -> None:
    matrices = np.arange(int(np.prod(batch)) * channels * filters).reshape(*batch, channels, filters)
    packed = pack_matrices(matrices, block)
    assert packed.shape == matrices.shape
    assert unpack_matrices(packed, block).tolist() == matrices.tolist()
    last = matrices.reshape(-1, channels, filters)[-1]
    as_gemm = pack(last.T[:, :, None, None], block, depthwise=False)
    assert packed.reshape(-1)[-channels * filters :].tolist() == as_gemm.tolist()


@pytest.mark.skipif(not KERNELS, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", KERNELS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_bytes_of_the_kernels(path: Path) -> None:
    data = np.load(path)
    depthwise = "group" in data and int(data["group"]) != 1
    block = 16 if int(data["bits"]) == 8 else 8
    assert pack(data["w"], block, depthwise=depthwise).tolist() == data["w_packed"].tolist()


def test_wrong_number_of_elements() -> None:
    with pytest.raises(ValueError, match="12 weights do not fill"):
        unpack(np.zeros(12), (3, 1, 2, 3), 16, depthwise=False)


def test_dims_and_names() -> None:
    assert file_dims((32, 3, 5, 7), depthwise=False) == (5, 7, 3, 32)
    assert file_dims((32, 1, 5, 7), depthwise=True) == (5, 7, 32, 1)
    assert file_dims((32, 3, 5), depthwise=False) == (5, 3, 32)
    assert file_dims((32, 1, 5), depthwise=True) == (5, 32, 1)
    assert layout_doc(32, 16, depthwise=False) == "layout ==> (N/16)HWC16"
    assert layout_doc(33, 16, depthwise=True) == "layout ==> (N/16)HWC16_UNALIGNED"
    assert layout_doc(8, 8, depthwise=False, spatial=1) == "layout ==> (N/8)WC8"
    assert layout_doc(7, 1, depthwise=False) == "layout ==> NHWC"
    assert layout_doc(7, 1, depthwise=True) == "layout ==> HWCN"
    assert layout_doc(7, 1, depthwise=False, spatial=1) == "layout ==> NWC"
    assert layout_doc(7, 1, depthwise=True, spatial=1) == "layout ==> WCN"
    assert [vector_filters(n, b) for n, b in ((33, 16), (15, 16), (9, 8), (5, 1))] == [32, 0, 8, 0]
