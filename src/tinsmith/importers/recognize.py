"""What a file is that is not an ONNX model: by its first bytes, whatever it is called, or by the end of its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Kind:
    """A file format.

    Attributes:
        kind: What it is, with an article.
        way_out: How it becomes an ONNX model, a sentence.
    """

    kind: str
    way_out: str


_TORCH = "Give it a name that ends in .pt2 (torch.export.save) or .pt (TorchScript)."
_KERAS = "Give it a name that ends in .keras, or in .h5 for HDF5."
_TFLITE = "Give it a name that ends in .tflite."
_GRAPH = "Give it a name that ends in .pb."
_SAVED_MODEL = "Give the folder it is in, by its path."

_UNPACK = "Unpack it and give the model in it."
_STARTS: Mapping[bytes, Kind] = MappingProxyType(
    {
        b"version https://git-lfs": Kind(
            "a pointer that Git LFS leaves in the place of a large file",
            "Fetch the file itself: git lfs pull.",
        ),
        b"<!doctype html": Kind("a web page", "The download went wrong: fetch the file itself, not the page about it."),
        b"<html": Kind("a web page", "The download went wrong: fetch the file itself, not the page about it."),
        b"\x89hdf\r\n": Kind("an HDF5 file, as Keras writes them", _KERAS),
        b"\x80\x02": Kind("a Python pickle, as PyTorch writes them", _TORCH),
        b"\x80\x04": Kind("a Python pickle, as PyTorch writes them", _TORCH),
        b"edl1": Kind("an .espdl file: quantized already", "tinsmith simulate and tinsmith inspect read it."),
        b"edl2": Kind("an .espdl file: quantized already", "tinsmith simulate and tinsmith inspect read it."),
        b"\x1f\x8b": Kind("a gzip archive", _UNPACK),
        b"7z\xbc\xaf": Kind("a 7z archive", _UNPACK),
        b"rar!": Kind("a RAR archive", _UNPACK),
        b"<?xml": Kind("an XML file", "Export the model to ONNX."),
        b"\x93numpy": Kind("a NumPy file", "Give the model, and data with --data."),
    }
)
"""By what they begin with, in small letters."""
_HEAD = 4096


def recognize(data: bytes) -> Kind | None:
    """The format of a file that is no ONNX model; None where it cannot be told.

    Args:
        data: The whole file.
    """
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, kind in _STARTS.items():
        if start.startswith(signature):
            return kind
    if start.startswith(b"pk\x03\x04"):
        return _archive(data)
    if data[4:8] == b"TFL3":
        return Kind("a TensorFlow Lite model", _TFLITE)
    if data[4:8] == b"ORTM":
        return Kind("a model in ONNX Runtime's own format", "Give the .onnx file it was made from.")
    tensorflow = tensorflow_kind(data)
    if tensorflow is not None:
        frozen = tensorflow == "graph"
        what = "a frozen TensorFlow graph" if frozen else "the graph of a TensorFlow SavedModel"
        return Kind(what, _GRAPH if frozen else _SAVED_MODEL)
    return _text(start, data[:_HEAD])


def tensorflow_kind(data: bytes) -> Literal["graph", "saved model"] | None:
    """Which of TensorFlow's protobufs a file is; None for others, such as ONNX models.

    A `GraphDef` begins with a node, which begins with its name; a `SavedModel` with its version, 1, and a graph, which
    begins with what it is. An ONNX model begins with a number, and goes on with texts.

    Args:
        data: The file, or its first bytes.
    """
    if data[:1] == b"\n":
        node = _inside(data, 1)
        return "graph" if node is not None and data[node : node + 1] == b"\n" and _is_named(data, node) else None
    if data[:3] == b"\x08\x01\x12":
        graph = _inside(data, 3)
        return "saved model" if graph is not None and data[graph : graph + 1] == b"\n" else None
    return None


def _inside(data: bytes, at: int) -> int | None:
    """Where a protobuf message begins whose length stands at a place; None where there is none."""
    for end in range(at, min(at + 5, len(data))):
        if data[end] < 0x80:
            return end + 1
    return None


def _is_named(data: bytes, node: int) -> bool:
    """Whether a name and an operation follow, both short texts."""
    name = _inside(data, node + 1)
    if name is None or name != node + 2:
        return False
    end = name + data[name - 1]
    return data[name:end].isascii() and data[end : end + 1] == b"\x12"


def _archive(data: bytes) -> Kind:
    head, tail = data[:_HEAD], data[-(1 << 16) :]
    if b"data.pkl" in head or b"/data.pkl" in tail:
        return Kind("a PyTorch file", _TORCH)
    if b"model.weights.h5" in tail:
        return Kind("a Keras model", _KERAS)
    return Kind("a zip archive", _UNPACK)


def _text(start: bytes, head: bytes) -> Kind | None:
    if start.startswith((b"ir_version:", b"<ir_version")) or (start.startswith(b"<") and b"ir_version" in head):
        kind = "a model in text form"
        return Kind(kind, "Give it a name that ends in .textproto, or in .onnxtxt where it begins with '<'.")
    if start.startswith(b"{") and b'"irVersion"' in head:
        return Kind("a model as JSON", "Give it a name that ends in .json.")
    return None
