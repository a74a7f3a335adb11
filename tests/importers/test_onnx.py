from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import model, node
from tinsmith.errors import ModelError, TinsmithError
from tinsmith.graph import Runner, canonicalize, network
from tinsmith.importers import load

W = np.random.default_rng(12).normal(size=(64, 64)).astype(np.float32)
ORIGINAL = model([node("MatMul", "x w", "h"), node("Relu", "h", "y")], {"x": ("N", 64)}, "y", {"w": W})
X = np.ones((1, 64), np.float32)


def saved(folder: Path, name: str = "m.onnx", *, external: bool = False) -> Path:
    path, copy = folder / name, onnx.ModelProto()
    copy.CopyFrom(ORIGINAL)  # saving moves the data out of it
    onnx.save_model(copy, path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    return path


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "bytearray", "proto", "ir"])
def test_sources(kind: str, tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = path.read_bytes()
    sources: dict[str, Any] = {
        "path": path, "text": str(path), "bytes": data, "bytearray": bytearray(data), "proto": ORIGINAL,
        "ir": ir.from_proto(ORIGINAL),
    }  # fmt: skip
    expected = Runner(ir.from_proto(ORIGINAL))({"x": X})["y"]
    assert np.array_equal(Runner(load(sources[kind]))({"x": X})["y"], expected)


@pytest.mark.parametrize(
    "name", ["m.onnxtxt", "m.json", "m.textproto", "m.pbtxt", "m.pb", "model", "模型 ü.onnx", "m.ONNX"]
)
def test_names_of_files(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "каталог с пробелами"
    folder.mkdir()
    path = folder / name
    if name.endswith(("txt", "json", "textproto")):
        onnx.save(ORIGINAL, path)
    else:
        path.write_bytes(ORIGINAL.SerializeToString())
    assert len(load(path).graph) == 2


def test_external_data_is_mapped(tmp_path: Path) -> None:
    loaded = load(saved(tmp_path, external=True))
    tensor = loaded.graph.initializers["w"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    constant = network(canonicalize(loaded)).nodes[0].const(1)
    assert constant is not None
    assert np.shares_memory(constant, tensor.numpy())
    assert np.array_equal(constant, W)


def test_external_data_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, external=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Runner(canonicalize(load("../m.onnx")))({"x": X})["y"].shape == (1, 64)
    monkeypatch.chdir(tmp_path)
    assert Runner(canonicalize(load("m.onnx")))({"x": X})["y"].shape == (1, 64)


def test_files_and_models_are_not_modified(tmp_path: Path) -> None:
    path = saved(tmp_path, external=True)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    canonicalize(load(path))
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    proto = ORIGINAL.SerializeToString()
    source = ir.from_proto(ORIGINAL)
    for kind in (ORIGINAL, source):
        canonicalize(load(kind))
    assert ORIGINAL.SerializeToString() == proto
    assert ir.to_proto(source).SerializeToString() == ir.to_proto(ir.from_proto(ORIGINAL)).SerializeToString()


def test_absent_external_data_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, external=True)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"m\.onnx: the data of 'w' cannot be read from weights\.bin"):
        load(path)


def test_external_data_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, external=True)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=r"the data of 'w' cannot be read from weights\.bin"):
        load(path)


def test_external_data_needs_a_path(tmp_path: Path) -> None:
    path = saved(tmp_path, external=True)
    with pytest.raises(ModelError, match=r"is in another file \(weights\.bin\)\. Load the model by its path"):
        load(path.read_bytes())


def test_external_data_stays_in_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = saved(inside, external=True)
    (inside / "weights.bin").rename(tmp_path / "weights.bin")
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].external_data[0].value = "../weights.bin"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=r"the data of 'w' is outside the model's folder \(\.\./weights\.bin\)"):
        load(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.onnx", b"", r"a\.onnx: the file is empty"),
        (
            "a.onnx",
            b"version https://git-lfs.github.com/spec/v1\n",
            r"a\.onnx: this is a pointer.*Git LFS.*git lfs pull",
        ),
        ("a.onnx", b"\n <!DOCTYPE html>\n<html>", r"this is a web page, not an ONNX model\. The download went wrong"),
        ("a.onnx", b"<HTML>" + bytes(200), "this is a web page"),
        ("a.onnx", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99), r"a PyTorch file.*\.pt2"),
        ("a.onnx", b"PK\x03\x04" + bytes(99) + b"model.weights.h5" + bytes(9), r"a Keras model.*\.h5"),
        ("a.onnx", b"PK\x03\x04" + bytes(99), r"a zip archive.*Unpack it"),
        ("a.onnx", b"\x80\x02}q\x00.", r"a Python pickle, as PyTorch writes them.*\.pt2"),
        ("a.onnx", b"\x89HDF\r\n\x1a\n" + bytes(99), r"an HDF5 file, as Keras writes them.*\.h5"),
        ("a.onnx", b"\x1c\0\0\0TFL3" + bytes(99), r"a TensorFlow Lite model.*\.tflite"),
        ("a.onnx", b"\x1c\0\0\0ORTM" + bytes(99), "ONNX Runtime's own format.*it was made from"),
        ("a.onnx", b"EDL2" + bytes(99), r"an \.espdl file: quantized already"),
        ("a.onnx", b"\x1f\x8b" + bytes(99), r"a gzip archive.*Unpack it"),
        ("a.onnx", b"ir_version: 8\ngraph {", r"a model in text form.*\.textproto"),
        ("a.onnx", b'<\n  ir_version: 8,\n  opset_import: ["" : 17]\n>', r"a model in text form.*\.onnxtxt"),
        ("a.onnx", b'{"irVersion": "8"}', r"a model as JSON.*\.json"),
        ("a.onnx", b"\x08\x0a", "this is not an ONNX model"),
        ("a.onnx", bytes(range(256)), "this is not an ONNX model"),
        ("a.onnx", ORIGINAL.SerializeToString()[:200], "this is not an ONNX model"),
        ("a.json", b"{]", "this is not an ONNX model"),
    ],
)
def test_what_is_not_onnx(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load(path)


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.onnx: the file does not exist"):
        load(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match=r"holds no saved_model\.pb: it is not a SavedModel"):
        load(tmp_path)


@pytest.mark.parametrize("source", [3, None, [ORIGINAL], object()])
def test_what_is_no_model(source: Any) -> None:
    with pytest.raises(ModelError, match=r"is not a model\. Accepted: the path of an \.onnx, \.pt2"):
        load(source)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (model([], {"x": (1,)}, "y"), "the graph has no nodes"),
        (model([node("Nonsense", "x", "y")], {"x": (1,)}, "y"), "No Op registered for Nonsense"),
        (model([node("Relu", "x", "y", wrong=1)], {"x": (1,)}, "y"), "Unrecognized attribute: wrong"),
        (model([node("Relu", "x x", "y")], {"x": (1,)}, "y"), "Relu"),
        (model([node("Relu", "x", "h"), node("Exp", "x", "h"), node("Add", "h x", "y")], {"x": (1,)}, "y"), "invalid"),
        (model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Exp", "b", "y")], {"x": (1,)}, "y"), "a cycle"),
        (model([node("Relu", "absent", "y")], {"x": (1,)}, "y"), "invalid"),
        (model([node("Relu", "x", "h")], {"x": (1,)}, "y"), "invalid"),
    ],
)
def test_models_that_are_invalid(broken: onnx.ModelProto, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        canonicalize(load(broken))


def test_data_that_does_not_fit_its_shape_is_named() -> None:
    broken = model([node("Add", "x w", "y")], {"x": (4,)}, "y", {"w": np.ones(4, np.float32)})
    broken.graph.initializer[0].dims[0] = 1 << 40
    with pytest.raises(ModelError, match="'w'"):
        canonicalize(load(broken))


@given(cuts=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4), end=st.integers(0, 400))
def test_damaged_bytes_end_in_our_errors(cuts: list[tuple[int, int]], end: int) -> None:
    small = model([node("Gemm", "x w", "h"), node("Relu", "h", "y")], {"x": ("N", 4)}, "y", {"w": W[:4, :4]})
    data = bytearray(small.SerializeToString())
    for position, byte in cuts:
        data[position % len(data)] = byte
    with suppress(TinsmithError):
        canonicalize(load(bytes(data[: len(data) - end if 200 < end < len(data) else len(data)])))


@pytest.mark.slow
def test_memory_of_large_models(tmp_path: Path) -> None:
    """A model with 1 GiB of weights in another file: nothing is copied until ONNX Runtime runs it."""
    import subprocess

    count, size = 8, 5792
    nodes = [node("MatMul", f"v{i} w{i}", f"v{i + 1}") for i in range(count)]
    proto = model(nodes, {"v0": ("N", size)}, f"v{count}")
    with (tmp_path / "w.bin").open("wb") as file:
        for index in range(count):
            tensor = proto.graph.initializer.add(name=f"w{index}", data_type=1, dims=[size, size], data_location=1)
            length = size * size * 4
            for key, text in (("location", "w.bin"), ("offset", file.tell()), ("length", length)):
                tensor.external_data.add(key=key, value=str(text))
            file.write(np.full(size * size, 1e-4, np.float32).tobytes())
    onnx.save(proto, tmp_path / "m.onnx")
    script = (
        "import sys; from tinsmith.importers import load; from tinsmith.graph import canonicalize, network\n"
        "net = network(canonicalize(load(sys.argv[1]))); assert len(net.nodes) == 8\n"
        "text = open('/proc/self/status').read(); print(text.split('RssAnon:')[1].split()[0])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "m.onnx")], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 300_000


def test_what_is_given_by_mistake() -> None:
    class Net:
        pass

    with pytest.raises(ModelError, match=r"Net is a class, not a model\. Give an instance: Net"):
        load(Net)
    with pytest.raises(ModelError, match=r"a dict may hold weights, and is not a model\. Build the model, load"):
        load({"weight": np.zeros(3)})
