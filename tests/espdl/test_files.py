"""Files on disk, whole or not at all; keys."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests.espdl.programs import sample
from tinsmith.errors import FormatError, MissingExtraError, ProgramError, TinsmithError
from tinsmith.espdl import c_array, encode, read, read_key, read_pack, write, write_encrypted, write_pack
from tinsmith.espdl.encryption import crypt, new_key, write_key


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "model.espdl"
    write(sample(), path)
    assert read(path) == sample()
    assert read(str(path)) == sample()
    assert [file.name for file in path.parent.iterdir()] == ["model.espdl"]


def test_an_inconsistent_program_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.espdl"
    write(sample(), path)
    before = path.read_bytes()
    with pytest.raises(ProgramError):
        write(sample().with_tests({"nothing": sample().constants["lut"].data}, {}), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TinsmithError, match="cannot be written"):
        write(sample(), tmp_path / "file" / "model.espdl")
    (tmp_path / "folder.espdl").mkdir()
    with pytest.raises(TinsmithError, match="cannot be written"):
        write(sample(), tmp_path / "folder.espdl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.espdl"]


def test_packs(tmp_path: Path) -> None:
    for version in (None, "1.0"):
        write_pack({"a": sample(), "b": sample(1)}, tmp_path / "two.espdl", version=version)
        assert read_pack(tmp_path / "two.espdl") == {"a": sample(), "b": sample(1)}
        with pytest.raises(FormatError, match=r"two\.espdl: is a pack of 2 models \('a', 'b'\)\. Read .* `read_pack`"):
            read(tmp_path / "two.espdl")
        write_pack({"only": sample()}, tmp_path / "one.espdl", version=version)
        assert read(tmp_path / "one.espdl") == sample()
    write(sample(), tmp_path / "single.espdl")
    assert read_pack(tmp_path / "single.espdl") == {"single": sample()}


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nothing\.espdl: cannot be read: No such file"):
        read(tmp_path / "nothing.espdl")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.espdl"
    path.write_bytes(encode(sample())[:-16])
    with pytest.raises(FormatError, match=r"damaged\.espdl: is truncated"):
        read(path)


def test_keys(tmp_path: Path) -> None:
    key = new_key()
    assert len(key) == 16
    assert key != new_key()
    path = tmp_path / "keys" / "model.key"
    write_key(key, path)
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FormatError, match="exists already"):
        write_key(new_key(), path)
    assert read_key(path) == key


def test_key_as_the_firmware_wants_it() -> None:
    assert c_array(bytes([0, 171])) == "static const uint8_t model_key[2] = {0x00, 0xab};\n"


@pytest.mark.parametrize("text", ["", "00", "zz" * 16, "00" * 17])
def test_not_a_key_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(FormatError, match="is no key file"):
        read_key(tmp_path / "key")


def test_key_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_key(tmp_path / "key")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FormatError, match="cannot be written"):
        write_key(new_key(), tmp_path / "file" / "key")


def test_key_of_another_length() -> None:
    with pytest.raises(FormatError, match="has 5 bytes, AES-128 takes 16"):
        crypt(b"payload", b"short")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinsmith\[crypto\]'"):
        crypt(b"payload", bytes(16))


def test_the_counter_is_the_runtimes() -> None:
    """AES-128 of the counter block 16 … 31 under the key 0 … 15, and of the next block."""
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers", reason="needs cryptography")
    key = bytes(range(16))
    blocks = bytes(range(16, 32)) + bytes(range(16, 31)) + bytes([32])
    stream = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.ECB()).encryptor().update(blocks)
    assert crypt(bytes(32), key) == stream


def test_encrypted_files(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="needs cryptography")
    path, key_path = tmp_path / "model.espdl", tmp_path / "secrets" / "model.key"
    key = write_encrypted(sample(), path, key_path)
    assert read_key(key_path) == key
    assert read(path, key=key) == sample()
    assert b"Conv" not in path.read_bytes()
    with pytest.raises(FormatError, match="is encrypted"):
        read(path)
    with pytest.raises(FormatError, match="Is this the right key"):
        read(path, key=new_key())
    with pytest.raises(FormatError, match="exists already"):
        write_encrypted(sample(), path, key_path)
    with pytest.raises(TinsmithError, match="cannot be written"):
        write_encrypted(sample(), path / "impossible", tmp_path / "other.key")
    assert not (tmp_path / "other.key").exists()
