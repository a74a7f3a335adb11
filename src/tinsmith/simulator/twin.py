"""`save_twin`: a program as an ordinary ONNX file that computes exactly what the chip computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.files import write_all
from tinsmith.ops.emit import FLOAT32, FLOAT64, Builder, NotExpressible
from tinsmith.ops.layouts import inverse
from tinsmith.program import DType, Program, Value
from tinsmith.quant.rounding import Rounding, qrange
from tinsmith.simulator.compiled import Emitter
from tinsmith.simulator.graphs import refusals, session, to_model
from tinsmith.simulator.inputs import Original, layouts_of
from tinsmith.simulator.run import target_of
from tinsmith.targets import Target

if TYPE_CHECKING:
    import onnx


def save_twin(program: Program, path: str | Path, target: str | Target | None = None) -> Path:
    """Write the compiled form as an ONNX model for anyone's evaluation script.

    Its inputs are the float tensors the original model takes, in the original layout; its outputs the chip's outputs as
    real numbers, under the original names and in the original layout. The integers inside are the simulator's, with one
    exception: the saturating accumulators of the ESP32-S3 are not emulated, only computed exactly (what `simulate` with
    ``assume_no_saturation`` does). The batch dimension is free where the operators allow it.

    Args:
        program: What the chip would load.
        path: Where to write; replaced in one step.
        target: The chip, for files that do not name theirs.

    Returns:
        The path.

    Raises:
        ProgramError: Nodes have no exact ONNX form; all of them by name, with the reason.
    """
    chip = target_of(program, target)
    model = twin(program, chip, free_batch=True)
    if not _runs_batches(model, program):
        model = twin(program, chip, free_batch=False)
    destination = Path(path)
    write_all({destination: model.SerializeToString()})
    return destination


def twin(program: Program, target: Target, *, free_batch: bool) -> onnx.ModelProto:
    """The ONNX model `save_twin` writes."""
    emitter = Emitter(program, target, checked=False)
    builder = Builder()
    originals = layouts_of(program)
    for value in program.inputs:
        _take(builder, value, originals.get(value.name), target)
    refused: list[str] = []
    for node in program.nodes:
        try:
            emitter.emit(node, builder)
        except NotExpressible as reason:
            refused.append(f"{node.subject}: {reason}")
            for name in node.outputs:
                builder.place(name, name, "file", emitter.zeros[name].ndim)
    if refused:
        raise ProgramError(
            "\n  ".join(["these nodes have no exact ONNX form:", *refused]),
            subject="twin",
            hint="\n  The simulator runs them: use tinsmith.simulate.",
        )
    outputs = [_give(builder, v, originals.get(v.name), emitter.zeros[v.name].shape) for v in program.outputs]
    inputs = [(v.name, _real(v), _shape(v.shape, originals.get(v.name), free_batch)) for v in program.inputs]
    results = [
        (v.name, _real(v), _shape(emitter.zeros[v.name].shape, originals.get(v.name), free_batch))
        for v in program.outputs
    ]
    for tensor, value in zip(outputs, program.outputs, strict=True):
        builder.rename(tensor, value.name)
    return to_model(builder, inputs, results, program.name or "twin")


def _real(value: Value) -> DType:
    return DType.FLOAT if value.dtype.quantized else value.dtype


def _shape(shape: tuple[int, ...], original: Original | None, free_batch: bool) -> list[int | str]:
    found: list[int | str] = list(original.shape if original is not None else shape)
    if free_batch and found and found[0] == 1:
        found[0] = "N"
    return found


def _take(builder: Builder, value: Value, original: Original | None, target: Target) -> None:
    """A float graph input, quantized as `simulate` does (in double precision) and laid out as the file has it."""
    tensor = value.name
    if value.dtype.quantized:
        low, high = qrange(value.dtype.bits)
        wide = builder.op("Cast", tensor, to=FLOAT64)
        scaled = builder.op("Mul", wide, builder.constant(np.float64(2.0**-value.exponent)))
        if target.rounding is Rounding.HALF_UP:
            rounded = builder.op("Floor", builder.op("Add", scaled, builder.constant(np.float64(0.5))))
        else:
            rounded = builder.op("Round", scaled)
        clipped = builder.op("Clip", rounded, builder.constant(np.float64(low)), builder.constant(np.float64(high)))
        tensor = builder.op("Cast", clipped, to=FLOAT32)
    if original is not None and original.perm != tuple(range(len(original.perm))):
        tensor = builder.op("Transpose", tensor, perm=original.perm)
    builder.place(value.name, tensor, "file", len(value.shape))


def _give(builder: Builder, value: Value, original: Original | None, shape: tuple[int, ...]) -> str:
    tensor = builder.find(value.name, "file")
    if value.dtype.quantized:
        tensor = builder.op("Mul", tensor, builder.constant(np.float32(2.0**value.exponent)))
    perm = tuple(range(len(shape))) if original is None else inverse(original.perm)
    return str(builder.op("Transpose", tensor, perm=perm) if len(shape) > 1 else builder.op("Identity", tensor))


def _runs_batches(model: onnx.ModelProto, program: Program) -> bool:
    """Whether the model gives for two samples at once what it gives for each alone."""
    with refusals("twin"):
        runner = session(model.SerializeToString(), 1).runs
    rng = np.random.default_rng(0)
    pair: Mapping[str, np.ndarray] = {
        i.name: rng.standard_normal([2 if d == "N" else d for d in i.shape]).astype(np.float32)
        for i in runner.get_inputs()
    }
    if any(i.type != "tensor(float)" or not i.shape or i.shape[0] != "N" for i in runner.get_inputs()):
        return False
    try:
        both = runner.run(None, dict(pair))
        for index in range(2):
            alone = runner.run(None, {name: array[index : index + 1] for name, array in pair.items()})
            if any(not np.array_equal(b[index : index + 1], a) for b, a in zip(both, alone, strict=True)):
                return False
    except Exception:  # ONNX Runtime raises its own types, none of them public, for shapes that do not fit
        return False
    return True
