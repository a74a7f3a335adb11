"""TensorFlow's files are recognized by what is in them, without TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.shell import error
from tests.graph.models import model, node
from tinsmith.errors import MissingExtraError, ModelError
from tinsmith.importers import load
from tinsmith.importers.recognize import recognize, tensorflow_kind

ONNX = model([node("Relu", "x", "y")], {"x": (1, 3)}, "y").SerializeToString()


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in a protobuf message."""
    return bytes([number << 3 | 2, len(content)]) + content


GRAPH = b"".join(field(1, field(1, name) + field(2, kind)) for name, kind in [(b"x", b"Placeholder"), (b"y", b"Relu")])
SAVED = b"\x08\x01" + field(2, field(1, b"\x2a\x05serve") + field(2, GRAPH))


def hide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)


def test_kinds() -> None:
    assert tensorflow_kind(GRAPH) == "graph"
    assert tensorflow_kind(SAVED) == "saved model"
    for other in (ONNX, b"", b"\n", b"\n\n\n", b"\n\x02ir_version: 8", b"\x08\x01\x12\x04text", b"\nname: 'x'"):
        assert tensorflow_kind(other) is None


def test_a_pb_file_may_be_onnx(tmp_path: Path) -> None:
    (tmp_path / "model.pb").write_bytes(ONNX)
    assert load(tmp_path / "model.pb").graph[0].op_type == "Relu"


@pytest.mark.parametrize("name", ["frozen.pb", "frozen.PB"])
def test_frozen_graphs_need_the_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    (tmp_path / name).write_bytes(GRAPH)
    with pytest.raises(MissingExtraError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == (
        "reading TensorFlow models: needs tensorflow, which is not installed. "
        "Install it: pip install 'tinsmith[tensorflow]'."
    )


def test_saved_models_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    (tmp_path / "saved_model.pb").write_bytes(SAVED)
    for source in (tmp_path, tmp_path / "saved_model.pb"):
        with pytest.raises(MissingExtraError, match=r"pip install 'tinsmith\[tensorflow\]'"):
            load(source)


def test_a_renamed_graph_of_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "model.pb").write_bytes(SAVED)
    with pytest.raises(ModelError, match=r"model\.pb: .*under another name\. Give the folder"):
        load(tmp_path / "model.pb")


def test_other_names_and_bytes_say_what_it_is(tmp_path: Path) -> None:
    for data, kind in ((GRAPH, "a frozen TensorFlow graph"), (SAVED, "the graph of a TensorFlow SavedModel")):
        found = recognize(data)
        assert found is not None
        assert found.kind == kind
        (tmp_path / "model.onnx").write_bytes(data)
        for source in (tmp_path / "model.onnx", data):
            with pytest.raises(ModelError, match=f"this is {kind}, not an ONNX model"):
                load(source)


def test_folders_that_are_no_saved_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no saved_model\.pb.*Give the path of the model's file"):
        load(tmp_path)
    (tmp_path / "net.keras").write_bytes(b"")
    with pytest.raises(ModelError, match=r"Did you mean .*net\.keras\?"):
        load(tmp_path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1/saved_model.pb").write_bytes(SAVED)
    with pytest.raises(ModelError, match=r"Did you mean .*/1\?"):
        load(tmp_path)


def test_commands_take_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    (tmp_path / "net").mkdir()
    for command in (("check",), ("quantize", "-o", tmp_path / "out"), ("calibration", "--data", tmp_path)):
        assert "holds no saved_model.pb" in error(command[0], tmp_path / "net", *command[1:])
    (tmp_path / "net/saved_model.pb").write_bytes(SAVED)
    assert "pip install 'tinsmith[tensorflow]'" in " ".join(error("check", tmp_path / "net").split())
