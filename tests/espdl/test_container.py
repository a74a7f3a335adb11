"""Headers and packs."""

from __future__ import annotations

import hashlib
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.fuzz_espdl import mutate

from tests.espdl.programs import sample
from tinsmith.errors import FormatError, ProgramError
from tinsmith.espdl import decode, encode
from tinsmith.espdl.container import is_pack, pack, unpack, unwrap, wrap


def test_header() -> None:
    assert wrap(b"payload") == b"EDL2" + struct.pack("<III", 0, 7, 0) + b"payload"
    assert unwrap(wrap(b"payload")) == b"payload"


def test_the_older_header_is_read() -> None:
    payload = unwrap(encode(sample()))
    assert decode(b"EDL1" + struct.pack("<II", 0, len(payload)) + payload) == sample()


def test_bytes_after_the_payload_are_ignored() -> None:
    assert unwrap(wrap(b"payload") + b"more") == b"payload"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"f: is no \.espdl file: it starts with b''"),
        (b"\x08\x07onnx", r"is no \.espdl file.*Known starts: EDL1, EDL2, PDL1, PDL2, PDL3"),
        (b"EDL2\0\0\0\0", r"f: is truncated within its header"),
        (wrap(b"payload")[:-1], r"promises 7 bytes, 6 are there"),
        (b"EDL2" + struct.pack("<III", 2, 0, 0), r"encryption mode 2"),
        (b"EDL2" + struct.pack("<III", 1, 0, 0), r"is encrypted\. Give its 16-byte key"),
        (pack({"m": wrap(b"")}), r"is a pack of models\. Read it with `read_pack`"),
    ],
)
def test_not_a_single_file(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unwrap(data, source="f")


@pytest.mark.parametrize("version", [None, "", "1.2.3", "fifteen chars.."])
def test_packs_come_back(version: str | None) -> None:
    models = {"first.espdl": wrap(b"one"), "zweites ü": wrap(b"and two" * 9)}
    data = pack(models, version=version)
    assert is_pack(data)
    assert unpack(data) == models
    assert len(data) % 16 == 0
    assert all(data.index(blob) % 16 == 0 for blob in models.values())


def test_pack_layout() -> None:
    data = pack({"a": wrap(b"x"), "bc": wrap(b"y")})
    names = 8 + 2 * 12
    assert struct.unpack_from("<4sI6I", data) == (b"PDL2", 2, 48, names, 1, 80, names + 1, 2)
    assert data[names : names + 3] == b"abc"


def test_pack_with_version_layout() -> None:
    data = pack({"a": wrap(b"x")}, version="0.1")
    magic, version, size, digest, count = struct.unpack_from("<4s16sI32sI", data)
    assert (magic, version.rstrip(b"\0"), size, count) == (b"PDL3", b"0.1", len(data), 1)
    assert struct.unpack_from("<3I", data, 60) == (80, 72, 1)
    assert digest == hashlib.sha256(data[:24] + bytes(32) + data[56:]).digest()
    assert unpack(data + b"flash beyond the pack") == unpack(data)


def test_pdl1_holds_edl1() -> None:
    blob = b"EDL1" + struct.pack("<II", 0, 3) + b"one"
    data = b"PDL1" + struct.pack("<I3I", 1, 21, 20, 1) + b"m" + blob
    assert unpack(data) == {"m": blob}


def test_a_single_file_is_a_pack_of_one() -> None:
    assert unpack(wrap(b"x")) == {"": wrap(b"x")}


GOOD = pack({"m": wrap(b"one"), "n": wrap(b"two")})
VERSIONED = pack({"m": wrap(b"one")}, version="1")


def patched(data: bytes, position: int, *words: int) -> bytes:
    return data[:position] + struct.pack(f"<{len(words)}I", *words) + data[position + 4 * len(words) :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"nothing", r"f: is no pack of models"),
        (GOOD[:7], r"truncated within its list"),
        (GOOD[:20], r"truncated within its list"),
        (patched(GOOD, 4, 0xFFFFFFFF), r"truncated within its list"),
        (patched(GOOD, 8, 0xFFFFFF), r"model 0 lies outside the pack"),
        (patched(GOOD, 12, 0xFFFFFF), r"model 0 lies outside the pack"),
        (patched(GOOD, 16, 0xFFFFFFF0), r"model 0 lies outside the pack"),
        (patched(GOOD, 8, 0), r"model 'm' is no \.espdl file"),
        (patched(GOOD, 48 + 8, 0xFFFF), r"model 'm' is truncated"),
        (patched(GOOD, 20, 48, 32, 1), r"names two models 'm'"),
        (GOOD[:32] + b"\xff\xff" + GOOD[34:], r"name of model 0 is not valid UTF-8"),
        (VERSIONED[:40], r"truncated within its header"),
        (VERSIONED[:-1], r"is truncated: it promises 112 bytes, 111 are there"),
        (patched(VERSIONED, 20, 16), r"is truncated: it promises 16 bytes"),
        (VERSIONED[:-20] + b"\1" + VERSIONED[-19:], r"SHA-256 does not match"),
    ],
)
def test_damaged_pack(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpack(data, source="f")


def test_models_of_a_pack_may_not_share_bytes() -> None:
    count, blob = 1000, wrap(bytes(100_000))
    names = 8 + count * 12
    data = names + 2 * count
    entries = b"".join(struct.pack("<III", data, names + 2 * index, 2) for index in range(count))
    texts = b"".join(bytes([65 + index // 64, 48 + index % 64]) for index in range(count))
    with pytest.raises(FormatError, match="the models overlap"):
        unpack(b"PDL2" + struct.pack("<I", count) + entries + texts + blob)


def test_names_of_a_pack_may_not_share_bytes() -> None:
    count = 100
    names = 8 + count * 12
    entries = b"".join(struct.pack("<III", names + 1000, names, 1000 - index) for index in range(count))
    with pytest.raises(FormatError, match="names overlap"):
        unpack(b"PDL2" + struct.pack("<I", count) + entries + b"x" * 1000 + wrap(b""))


@given(st.integers(0, 2**63), st.sampled_from([GOOD, VERSIONED]))
def test_damaged_packs(seed: int, data: bytes) -> None:
    dice = random.Random(seed)
    for _ in range(20):
        damaged = bytearray(mutate(bytes(16) + data, dice)[16:])
        damaged[:4] = data[:4]
        try:
            models = unpack(bytes(damaged))
        except FormatError:
            continue
        assert sum(map(len, models.values())) <= len(damaged)


@pytest.mark.parametrize("version", ["sixteen chars...", "ü", "a\0b"])
def test_version_that_does_not_fit(version: str) -> None:
    with pytest.raises(ProgramError, match="is not ASCII of at most 15 characters"):
        pack({"m": wrap(b"x")}, version=version)


def test_empty_pack() -> None:
    with pytest.raises(ProgramError, match="at least one model"):
        pack({})
