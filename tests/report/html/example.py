"""Insights to draw: one as large as MobileNetV2's, one with nothing in it, one with hostile names."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

from tinsmith.report.insight.schema import (
    Action,
    BoardFit,
    Buffer,
    Cause,
    Channels,
    Finding,
    Histogram,
    Insight,
    Layer,
    Memory,
    Noise,
    Output,
    Slow,
    Speed,
)

_STAGES = (
    (1, 16, 1, 112),
    (6, 24, 2, 56),
    (6, 32, 3, 28),
    (6, 64, 4, 14),
    (6, 96, 3, 14),
    (6, 160, 3, 7),
    (6, 320, 1, 7),
)

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a&b&amp;c \"double\" 'single' `back`",
    "two\nlines\tand a tab",
    "x" * 500,
    "🦔 hedgehog 🧪",
    "שלום/עולם \u202e reversed",
    "nul\x00 bell\x07 lone \ud800 surrogate",
    "{{ 31337 * 3 }} {% raw %} {# no #}",
    "--> <!-- ]]>",
    "",
)
"""Names that a network may bear."""


def noise(ratio: float) -> Noise:
    from math import log10

    return Noise(ratio, -10 * log10(ratio) if ratio else None, 1 - ratio / 2, ratio * 1.7)


def histogram(tensor: str, seed: int, bits: int = 8) -> Histogram:
    """An activation's, with a peak at zero and a tail beyond the format."""
    chance = random.Random(seed)
    exponent = chance.randint(-7, -3)
    exponent -= bits - 8
    highest = (2 ** (bits - 1) - 1) * 2.0**exponent
    end = highest * chance.choice((0.4, 0.9, 1.3))
    counts = [int(1e6 * 0.85**index * chance.uniform(0.7, 1.3)) + index % 3 for index in range(64)]
    clipped = sum(counts[index] for index in range(64) if end * index / 64 > highest) / sum(counts)
    unused = 0.4 if end < highest else -0.4
    lowest = -(2 ** (bits - 1)) * 2.0**exponent
    return Histogram(tensor, bits, exponent, lowest, highest, 0.0, end, clipped, unused, 0.0, end / 64, tuple(counts))


def channels(tensor: str, count: int, seed: int) -> Channels:
    chance = random.Random(seed)
    largest = tuple(2 ** chance.gauss(-3, 1.2) for _ in range(count))
    return Channels(tensor, (-8,), largest, 2.5)


def _layer(step: int, operator: str, kind: str, block: int, inputs: tuple[str, ...], shape: tuple[int, ...]) -> Layer:
    chance = random.Random(step)
    name = f"/features/features.{block}/{kind}/{operator}"
    weights = operator in ("Conv", "Gemm")
    elements = shape[1] * shape[2] * shape[3] if len(shape) == 4 else shape[-1]
    single = elements * chance.uniform(2e-5, 9e-5)
    return Layer(
        name=name,
        operator=operator,
        precision="int16" if step in (3, 4) else "int8",
        activation="Relu" if kind in ("expand", "depthwise") else "",
        sources=(name, f"{name}/BatchNormalization", f"{name}/Clip") if weights else (name,),
        inputs=inputs,
        outputs=(f"{name}_output_0",),
        shape=shape,
        macs=elements * 96 if weights else 0,
        parameter_bytes=shape[-1] * 100 if weights else 0,
        output_bytes=elements,
        single_ms=single,
        dual_ms=single * 0.56,
        accumulated=None if operator == "Transpose" else noise(0.0004 * 1.05**step * chance.uniform(0.8, 1.25)),
        alone=noise(10 ** chance.uniform(-6, -2.2)),
        histogram=histogram(f"{name}_output_0", step, 16 if step in (3, 4) else 8),
        channels=channels(f"{name}.weight", shape[-1], step) if weights else None,
        why="its name matches 'features.1'" if step in (3, 4) else "",
    )


def _chain() -> list[Layer]:
    layers: list[Layer] = []
    last = "input"

    def add(operator: str, kind: str, block: int, shape: tuple[int, ...], *more: str) -> str:
        layers.append(_layer(len(layers), operator, kind, block, (last, *more), shape))
        return layers[-1].outputs[0]

    last = add("Transpose", "layout", 0, (1, 224, 224, 3))
    last = add("Conv", "stem", 0, (1, 112, 112, 32))
    block, channel = 0, 32
    for factor, width, repeats, side in _STAGES:
        for repeat in range(repeats):
            block += 1
            start = last
            if factor > 1:
                last = add("Conv", "expand", block, (1, side, side, channel * factor))
            last = add("Conv", "depthwise", block, (1, side, side, channel * factor))
            last = add("Conv", "project", block, (1, side, side, width))
            if repeat:
                last = add("Add", "residual", block, (1, side, side, width), start)
            channel = width
    last = add("Conv", "head", 18, (1, 7, 7, 1280))
    last = add("GlobalAveragePool", "pool", 18, (1, 1, 1, 1280))
    add("Gemm", "classifier", 19, (1, 1000))
    return layers


_WIDEN = Action(
    "Run three layers in int16",
    "Their outputs have outliers that leave the other values few bits.",
    "tinsmith quantize mobilenet_v2.onnx --target esp32s3 --data images/ --int16 'features\\.(2|3)/.*' --output build",
    "measured: top-1 agreement 91.4 % → 95.3 %, + 41 ms",
    ("/features/features.2/expand/Conv", "/features/features.3/depthwise/Conv"),
)
_EQUALIZE = Action(
    "Equalize the ranges of the channels",
    "One exponent for all channels leaves small ones few bits.",
    "tinsmith quantize mobilenet_v2.onnx --target esp32s3 --data images/ --effort high",
    "estimated: 3 dB at the outputs",
)
_KINDS = (
    ("outliers", "0.02 % of the values are larger than 40 % of the range and cost 1.3 bits.", _WIDEN),
    ("channel imbalance", "The range of the largest channel is 11 times the median one's: 3.5 bits.", _EQUALIZE),
    ("mean shift", "The mean of channel 17 is off by 0.21 of a standard deviation.", _EQUALIZE),
)


_RECIPE = """effort = "standard"
target = "esp32s3"

[calibration]
method = "mse"
samples = 32

[precision]
int16 = ["features.2"]
"""


def _with_hints(layers: list[Layer]) -> list[Layer]:
    for index, (kind, evidence, action) in enumerate(_KINDS):
        step = 4 + 3 * index
        cause = Cause(kind, evidence, action)  # type: ignore[arg-type]
        layers[step] = replace(layers[step], causes=(cause,), alone=noise(0.012 / (index + 1)))
    why = Slow("Channels are not a multiple of 16, so the kernel falls back to scalar code.", "Use 32 channels.", 12.4)
    layers[7] = replace(layers[7], slow=why)
    layers[0] = replace(
        layers[0], slow=Slow("The user's layout is not the chip's.", "Give the input channels last.", 1.9)
    )
    return layers


def _memory(layers: list[Layer], internal: int) -> Memory:
    """Every output until its last reader, first fit."""
    ends = {value: step for step, layer in enumerate(layers) for value in layer.inputs}
    buffers: list[Buffer] = [Buffer(("input",), 0, ends["input"], 0, layers[0].output_bytes, False)]
    for step, layer in enumerate(layers):
        (value,) = layer.outputs
        inside = layer.output_bytes <= internal // 4
        taken = sorted((b.offset, b.offset + b.size) for b in buffers if b.end >= step and b.internal is inside)
        offset = 0
        for low, high in taken:
            if offset + layer.output_bytes <= low:
                break
            offset = max(offset, high)
        buffers.append(Buffer((value,), step, ends.get(value, step), offset, layer.output_bytes, inside))
    live = tuple(sum(b.size for b in buffers if b.start <= step <= b.end) for step in range(len(layers)))
    tops = {kind: max((b.offset + b.size for b in buffers if b.internal is kind), default=0) for kind in (True, False)}
    return Memory(3_614_208, 3_541_120, sum(tops.values()), tops[True], tops[False], live, tuple(buffers))


def mobilenet(internal: int = 0) -> Insight:
    """As large as MobileNetV2's: 66 steps with everything that is known of them."""
    layers = _with_hints(_chain())
    speed = Speed(sum(x.single_ms or 0 for x in layers), sum(x.dual_ms or 0 for x in layers), 0.11, 0.34)
    return Insight(
        model="mobilenet_v2",
        target="esp32s3",
        esp_dl="3.2.0",
        made_with="tinsmith 0.1.0",
        effort="standard",
        recipe=_RECIPE,
        precisions={"int8": len(layers) - 2, "int16": 2},
        samples=32,
        outputs=(Output("logits", noise(0.0081), 0.9375),),
        findings=(
            Finding("flash", "good", "3.45 MiB of 16 MiB", "The file and nothing else."),
            Finding("memory", "warning", "3.29 MiB of PSRAM", "Fits in 8 MiB of PSRAM, not into internal RAM."),
            Finding("speed", "bad", "About 412 ms", "Two cores: 2.4 inferences a second; one core takes 736 ms."),
            Finding("accuracy", "unknown", "20.9 dB at the outputs", "93.8 % of 32 samples get the same answer."),
        ),
        layers=tuple(layers),
        memory=_memory(layers, internal),
        speed=speed,
        board="esp32-s3-korvo-2",
        boards=(
            BoardFit("esp32-s3-korvo-2", True),
            BoardFit(
                "esp32-s3-devkitc-1-n8", False, ("memory (PSRAM): it has none",), "Leave the parameters in flash."
            ),
        ),
        actions=(
            _WIDEN,
            _EQUALIZE,
            Action("Give the input channels last", "Saves a Transpose.", "", "estimated: 1.9 ms"),
        ),
        reported_by="tinsmith 0.2.0",
        notes=("The input is expected in int8 with exponent −6.", "Softmax was cut off: logits are the output."),
    )


def bare() -> Insight:
    """A file of another tool: no data, no recipe, no model of the chip's speed."""
    full = mobilenet()
    layers = tuple(
        replace(x, single_ms=None, dual_ms=None, accumulated=None, alone=None, causes=(), slow=None, histogram=None)
        for x in full.layers
    )
    findings = tuple(Finding(x.question, "unknown", "Not known", "") for x in full.findings)
    return replace(
        full,
        effort="",
        recipe="",
        samples=0,
        outputs=(),
        findings=findings,
        layers=layers,
        speed=None,
        board="",
        boards=(),
        actions=(),
        notes=(),
    )


def empty() -> Insight:
    """Nothing at all."""
    return replace(bare(), layers=(), precisions={}, findings=(), memory=Memory(0, 0, 0, 0, 0, (), ()))


def hostile() -> Insight:
    """Every text is one of those that break pages."""
    full = mobilenet()
    texts = [HOSTILE[index % len(HOSTILE)] for index in range(len(full.layers) + 1)]
    action = Action(HOSTILE[0], HOSTILE[1], HOSTILE[0], HOSTILE[2], (HOSTILE[0], HOSTILE[5]))
    layers = tuple(
        replace(
            layer,
            name=after,
            operator=HOSTILE[0],
            sources=HOSTILE,
            inputs=(before,),
            outputs=(after,),
            causes=(Cause("outliers", HOSTILE[1], action),),
            slow=Slow(HOSTILE[1], HOSTILE[0], float("inf")),
            why=HOSTILE[2],
            alone=Noise(float("inf"), float("-inf"), float("nan"), 1e300),
        )
        for layer, (before, after) in zip(full.layers, pairwise(texts), strict=True)
    )
    return replace(
        full,
        model=HOSTILE[0],
        recipe=HOSTILE[0],
        board=HOSTILE[1],
        effort=HOSTILE[2],
        layers=layers,
        actions=(action,),
        boards=(BoardFit(HOSTILE[1], False, HOSTILE),),
        notes=HOSTILE,
        findings=tuple(replace(x, headline=HOSTILE[0], detail=HOSTILE[4]) for x in full.findings),
    )
