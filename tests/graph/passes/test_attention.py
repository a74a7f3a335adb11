"""Attention in all its forms, against the definition in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import Array, feeds_for, model, node, op_types, value
from tinsmith.graph import Runner, canonicalize
from tinsmith.importers import load

RNG = np.random.default_rng(10)
ROWS, KEYS, DEPTH = 5, 6, 4


def attention(q: Array, k: Array, v: Array, mask: Any = 0.0, scale: float | None = None, cap: float = 0.0) -> Array:
    """Heads apart; ``mask`` is added."""
    k, v = (np.repeat(a, q.shape[1] // a.shape[1], axis=1) for a in (k, v))
    scores = q.astype(np.float64) @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = cap * np.tanh(scores / cap) if cap else scores
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores + mask - np.max(scores + mask, axis=-1, keepdims=True))
    weights = np.nan_to_num(powers / powers.sum(axis=-1, keepdims=True))
    return np.asarray(weights @ v)


def run(
    inputs: dict[str, tuple[int, ...]], names: str, constants: dict[str, Any] | None = None, **attributes: Any
) -> Any:
    """The canonical form's operators, its inputs, and its outputs."""
    outputs = attributes.pop("outputs", "y")
    declared = [value(name, shape) for name, shape in inputs.items()]
    layer = node("Attention", names, outputs, **attributes)
    kept = " ".join(part for part in outputs.split() if part != "_")
    canonical = canonicalize(load(model([layer], declared, kept, constants)))
    feeds = feeds_for(canonical)
    return op_types(canonical), feeds, Runner(canonical)(feeds)


def close(found: Array, wanted: Array, tolerance: float = 1e-5) -> bool:
    return bool(np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max())


APART = {"q": (1, 2, ROWS, DEPTH), "k": (1, 2, KEYS, DEPTH), "v": (1, 2, KEYS, 3)}
CAUSAL = np.where(np.arange(KEYS) > np.arange(ROWS)[:, None], -np.inf, 0)


def test_heads_apart() -> None:
    ops, feeds, found = run(APART, "q k v")
    assert sorted(ops) == ["MatMul", "MatMul", "Mul", "Softmax", "Transpose"]
    assert close(found["y"], attention(**feeds))


def test_heads_side_by_side() -> None:
    shapes = {"q": (1, ROWS, 8), "k": (1, KEYS, 8), "v": (1, KEYS, 6)}
    _, feeds, found = run(shapes, "q k v", q_num_heads=2, kv_num_heads=2, scale=0.3)
    apart = {name: array.reshape(1, -1, 2, array.shape[-1] // 2).swapaxes(1, 2) for name, array in feeds.items()}
    wanted = attention(**apart, scale=0.3).swapaxes(1, 2).reshape(1, ROWS, 6)
    assert close(found["y"], wanted)


def test_several_heads_share_keys() -> None:
    shapes = {"q": (1, 6, ROWS, DEPTH), "k": (1, 2, KEYS, DEPTH), "v": (1, 2, KEYS, 3)}
    _, feeds, found = run(shapes, "q k v", softcap=1.5)
    assert close(found["y"], attention(**feeds, cap=1.5))


@pytest.mark.parametrize("mask", ["float", "bool", "short", "computed", "computed short"])
def test_masks(mask: str) -> None:
    bias = RNG.normal(size=(ROWS, KEYS)).astype(np.float32)
    seen = np.abs(bias) < 1
    seen[:, 0] = True
    given = {"float": bias, "bool": seen, "short": seen[:, :4]}.get(mask)
    columns = 4 if mask == "computed short" else KEYS
    inputs = {**APART, "m": (ROWS, columns)} if given is None else APART
    ops, feeds, found = run(inputs, "q k v m", None if given is None else {"m": given})
    added = feeds.pop("m") if given is None else bias
    if mask == "computed short":
        added = np.pad(added, ((0, 0), (0, KEYS - columns)), constant_values=-np.inf)
    if mask in ("bool", "short"):
        added = np.where(seen & (np.arange(KEYS) < given.shape[1]), 0, -np.inf)
    assert "Add" in ops
    assert close(found["y"], attention(**feeds, mask=added))


def test_keys_that_are_constants() -> None:
    keys = RNG.normal(size=APART["k"]).astype(np.float32)
    ops, feeds, found = run({name: APART[name] for name in "qv"}, "q k v", {"k": keys})
    assert "Transpose" not in ops
    assert close(found["y"], attention(feeds["q"], keys, feeds["v"]))


def test_causal() -> None:
    _, feeds, found = run(APART, "q k v", is_causal=1)
    assert close(found["y"], attention(**feeds, mask=CAUSAL))


def test_keys_from_before() -> None:
    inputs = {**APART, "pk": (1, 2, 3, DEPTH), "pv": (1, 2, 3, 3)}
    _, feeds, found = run(inputs, "q k v _ pk pv", is_causal=1, outputs="y key value")
    key, values = (np.concatenate([feeds[a], feeds[b]], axis=2) for a, b in (("pk", "k"), ("pv", "v")))
    assert np.array_equal(found["key"], key)
    assert np.array_equal(found["value"], values)
    later = np.arange(KEYS + 3) > np.arange(ROWS)[:, None] + 3
    assert close(found["y"], attention(feeds["q"], key, values, np.where(later, -np.inf, 0)))


def test_a_known_number_of_keys() -> None:
    _, feeds, found = run(APART, "q k v _ _ _ n", {"n": [4]})
    assert close(found["y"], attention(**feeds, mask=np.where(np.arange(KEYS) < 4, 0, -np.inf)))


def test_rows_that_see_nothing() -> None:
    seen = np.ones((ROWS, KEYS), bool)
    seen[2] = False
    _, feeds, found = run(APART, "q k v m", {"m": seen})
    assert not found["y"][:, :, 2].any()
    assert close(found["y"], attention(**feeds, mask=np.where(seen, 0, -np.inf)))


@pytest.mark.parametrize("mode", range(4))
def test_scores(mode: int) -> None:
    bias = RNG.normal(size=(ROWS, KEYS)).astype(np.float32)
    options = {"qk_matmul_output_mode": mode, "softcap": 2.0, "outputs": "y _ _ s"}
    _, feeds, found = run(APART, "q k v m", {"m": bias}, **options)
    scores = feeds["q"] @ feeds["k"].swapaxes(-1, -2) / 2
    capped = 2 * np.tanh(scores / 2)
    powers = np.exp(capped + bias)
    shown = (scores, capped, capped + bias, powers / powers.sum(axis=-1, keepdims=True))[mode]
    assert close(found["s"], shown)


def test_masks_computed_from_truth_values_stay() -> None:
    declared = [value(name, shape) for name, shape in APART.items()]
    declared.append(value("m", (ROWS, KEYS), np.bool_))
    canonical = canonicalize(load(model([node("Attention", "q k v m", "y")], declared, "y")))
    assert op_types(canonical) == ["Attention"]
