"""The flows of the tutorials: the scripts in examples/, what they write, and the data they are measured on."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ROOTS = (
    (re.compile(r"^( *)(from|import) (esp_)?ppq(?=[. ]|$)", re.MULTILINE), r"\1\2 tinsmith.compat.esp_ppq"),
    (re.compile(r"^from (optimizer|calibrator|evaluator) ", re.MULTILINE), r"from tinsmith.compat.v1.\1 "),
)
"""Import roots of existing scripts, and ours."""


def substituted(source: str) -> str:
    """A script with its import roots changed, and nothing else."""
    for pattern, ours in ROOTS:
        source = pattern.sub(ours, source)
    return source


@dataclass(frozen=True)
class Row:
    """One file that a flow writes.

    Attributes:
        name: What the script calls it.
        file: The `.espdl` below the flow's folder.
        claim: Finds the printed figure, its first group.
    """

    name: str
    file: str
    claim: str


@dataclass(frozen=True, eq=False)
class Flow:
    """One script with its arguments.

    Attributes:
        name: In the table.
        folder: Of the example.
        script: The file that quantizes.
        rows: What it writes.
        held: Reads samples as the model takes them, (N, …) float32, and labels or expected values.
        figure: The figure the script prints, as text, from the chip's real outputs and the expected ones.
        model: The float network, absolute or below the flow's folder.
        arguments: Of the script.
        before: A script that has to run first, with its arguments; its time is not the flow's.
        peer: Whether the other tool still exists.
    """

    name: str
    folder: str
    script: str
    rows: tuple[Row, ...]
    held: Callable[[], tuple[Array, Array]]
    figure: Callable[[Array, Array], str]
    model: str
    arguments: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    peer: bool = True


def module(folder: str, name: str) -> ModuleType:
    """A module of an example."""
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", EXAMPLES / folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no {name}.py in {EXAMPLES / folder}")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def top1(scores: Array, labels: Array) -> str:
    """Percent right."""
    return f"{100 * int((scores.reshape(len(scores), -1).argmax(1) == labels).sum()) / len(labels):.2f}"


def top1_and_5(scores: Array, labels: Array) -> str:
    """Percent right with the best answer, and with five; of equal scores the first is best."""
    order = np.argsort(-scores.reshape(len(scores), -1), axis=1, kind="stable")[:, :5]
    return f"{top1(scores, labels)} {100 * int((order == labels[:, None]).any(1).sum()) / len(labels):.2f}"


def largest_error(values: Array, expected: Array) -> str:
    """The largest distance."""
    return f"{np.abs(values.reshape(expected.shape).astype(np.float32) - expected).max():.4f}"


def sines() -> tuple[Array, Array]:
    """The angles of examples/esp_ppq_sin/sine.py, and their sines."""
    import torch

    angles = torch.linspace(0, 2 * torch.pi, 1000)[:, None]
    return angles.numpy(), torch.sin(angles).numpy()


def gestures(file: Path | None = None, first_test: int | None = None, most: int | None = None) -> tuple[Array, Array]:
    """The test set of the gesture flow."""
    _, test = module("esp_ppq_gesture", "data").load(file, first_test)
    return test.images[:most], test.labels[:most]


def pictures(calibration: int, test: int, images: Path | None = None) -> tuple[Array, Array]:
    """The test set of the MobileNetV2 flow."""
    data = module("esp_ppq_mobilenet", "data")
    found = data.folder(images, images / "labels.csv", 224) if images is not None else data.digits()
    _, held = data.parts(found, calibration, test)
    return held.images, held.labels


def mnist(test: int) -> tuple[Array, Array]:
    """The test set of the v1 flow."""
    images, labels = module("esp_dl_v1_mnist", "data").load()
    return (images / 255)[:test], labels[:test]


GESTURES = tuple(
    Row(name, f"gesture_model_{name}/gesture_model.espdl", rf"^{name}: accuracy ([\d.]+) %")
    for name in ("int8", "mixed", "balanced")
)
METHODS = tuple(
    Row(name, f"{name}/mobilenet_v2.espdl", rf"^{name}: top-1 ([\d.]+) %, top-5 ([\d.]+) %")
    for name in ("default", "mixed", "equalized")
)


def flows(data: Path | None, pictures_at: Path | None, few: bool) -> list[Flow]:
    """All flows.

    Args:
        data: The folder of networks and data that README.md describes, for the flows on real networks.
        pictures_at: `imagenet500.zip` of that folder, unpacked.
        few: Fewer samples, for a first look.
    """
    calibration, held = (16, 96) if few else (64, 397)
    small = ("--calibration", str(calibration), "--test", str(held))
    found = [
        *(
            Flow(
                f"sine from {name}, int{bits}",
                "esp_ppq_sin",
                f"{script}.py",
                (Row(name, f"sin_{script}.espdl", rf"^from {name}: largest error ([\d.]+)"),),
                sines,
                largest_error,
                f"{model}.onnx",
                ("--bits", str(bits)),
            )
            for script, name, model in (("from_onnx", "ONNX", "sin"), ("from_torch", "PyTorch", "sin_from_torch"))
            for bits in (8, 16)
        ),
        Flow(
            "gesture net, digits",
            "esp_ppq_gesture",
            "quantize.py",
            GESTURES,
            lambda: gestures(most=held),
            top1,
            "gesture_model.onnx",
            small,
            ("train.py",),
        ),
        Flow(
            "MobileNetV2, digits",
            "esp_ppq_mobilenet",
            "quantize.py",
            METHODS,
            lambda: pictures(calibration, held),
            top1_and_5,
            "mobilenet_v2.onnx",
            small,
            ("train.py",),
        ),
        *(
            Flow(
                f"v1 MNIST, {bits}",
                "esp_dl_v1_mnist",
                "example.py",
                (Row(bits, "mnist_coefficient.espdl", r"^accuracy of the \w+ model on \w+: ([\d.]+) %"),),
                lambda: mnist(600),
                top1,
                "mnist.onnx",
                ("--bits", bits),
                peer=False,
            )
            for bits in ("int8", "int16")
        ),
    ]
    return found + (real(data, pictures_at, few) if data is not None else [])


def real(data: Path, pictures_at: Path | None, few: bool) -> list[Flow]:
    """The flows on the networks that README.md describes."""
    file, model = data / "signdigits96.npz", data / "models/lightgesturenet_signdigits.onnx"
    calibration, held = (16, 96) if few else (64, 462)
    options = ("--model", str(model), "--data", str(file), "--first-test", "1600")
    found = [
        Flow(
            "gesture net, sign digits",
            "esp_ppq_gesture",
            "quantize.py",
            GESTURES,
            lambda: gestures(file, 1600, held),
            top1,
            str(model),
            (*options, "--calibration", str(calibration), "--test", str(held)),
        )
    ]
    if pictures_at is None:
        return found
    samples, held_pictures = (8, 16) if few else (32, 200)
    where = ("--images", str(pictures_at), "--labels", str(pictures_at / "labels.csv"))
    counts = ("--calibration", str(samples), "--test", str(held_pictures))
    imagenet = Flow(
        "MobileNetV2, ImageNet",
        "esp_ppq_mobilenet",
        "quantize.py",
        METHODS,
        lambda: pictures(samples, held_pictures, pictures_at),
        top1_and_5,
        str(data / "models/mobilenetv2.onnx"),
        ("--model", str(data / "models/mobilenetv2.onnx"), *where, "--int16", "Conv_2", "Clip_3", *counts),
    )
    return [*found, imagenet]
