"""One operator each: a file, its inputs, and what comes out by a formula of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.importers.tflite_files import Graph, Op, T, write
from tests.importers.tflite_formulas import (
    SAME,
    VALID,
    conv,
    depthwise,
    erf_gelu,
    pool,
    resized,
    sigmoid,
    softmax,
    transposed,
)

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(7)
X = RNG.normal(size=(1, 4, 6)).astype(np.float32)
Y = RNG.normal(size=(1, 4, 6)).astype(np.float32)
P = RNG.uniform(0.5, 3, size=(1, 4, 6)).astype(np.float32)
PICTURE = RNG.normal(size=(1, 6, 8, 4)).astype(np.float32)
ODD = RNG.normal(size=(1, 5, 7, 3)).astype(np.float32)
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = range(5)


@dataclass(frozen=True)
class Case:
    """A file of one operator, or few."""

    name: str
    data: bytes
    inputs: Mapping[str, Array]
    expected: Sequence[Array]


def case(
    kind: str,
    operands: Sequence[Array | T | str],
    expected: Array | Sequence[Array],
    options: str = "",
    name: str = "",
    version: int = 1,
    **fields: Any,
) -> Case:
    """A file of one operator: arrays are inputs of the model, ``T`` are constants, "" is an absent input."""
    results = [expected] if isinstance(expected, np.ndarray) else list(expected)
    tensors: list[T] = []
    inputs: dict[str, Array] = {}
    names: list[str] = []
    for index, operand in enumerate(operands):
        if isinstance(operand, str):
            names.append("")
        elif isinstance(operand, T):
            tensors.append(operand)
            names.append(operand.name)
        else:
            inputs[f"in{index}"] = operand
            tensors.append(T(f"in{index}", operand.shape, type=T("", data=operand).type_name()))
            names.append(f"in{index}")
    outputs = [f"out{index}" for index in range(len(results))]
    tensors += [
        T(label, result.shape, type=T("", data=result).type_name())
        for label, result in zip(outputs, results, strict=True)
    ]
    graph = Graph(tensors, [Op(kind, names, outputs, options, fields, version=version)], list(inputs), outputs)
    return Case(name or kind, write(graph), inputs, results)


def ints(*numbers: int, name: str = "ints") -> T:
    """A constant list of integers."""
    return T(name, data=np.array(numbers, np.int32))


def _f(x: Array) -> Array:
    return np.asarray(x, np.float32)


def unary() -> list[Case]:
    """Functions of one operand."""
    functions: dict[str, Callable[[Array], Array]] = {
        "RELU": lambda x: np.maximum(x, 0),
        "RELU6": lambda x: np.clip(x, 0, 6),
        "RELU_N1_TO_1": lambda x: np.clip(x, -1, 1),
        "RELU_0_TO_1": lambda x: np.clip(x, 0, 1),
        "ELU": lambda x: np.where(x > 0, x, np.expm1(x)),
        "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
        "LOGISTIC": sigmoid,
        "TANH": np.tanh,
        "LOG_SOFTMAX": lambda x: np.log(softmax(x)),
        "L2_NORMALIZATION": lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True)),
        "EXP": np.exp,
        "ABS": np.abs,
        "NEG": np.negative,
        "SQUARE": np.square,
        "SIN": np.sin,
        "COS": np.cos,
        "FLOOR": np.floor,
        "CEIL": np.ceil,
        "ROUND": np.rint,
        "SIGN": np.sign,
    }
    positive: dict[str, Callable[[Array], Array]] = {
        "SQRT": np.sqrt,
        "RSQRT": lambda x: 1 / np.sqrt(x),
        "LOG": np.log,
    }
    found = [case(kind, [3 * X], _f(function(3 * X))) for kind, function in functions.items()]
    found += [case(kind, [P], _f(function(P))) for kind, function in positive.items()]
    slopes = T("slopes", data=RNG.uniform(0.1, 0.5, size=(1, 1, 6)).astype(np.float32))
    return [
        *found,
        case("LEAKY_RELU", [X], _f(np.where(X > 0, X, 0.2 * X)), "LeakyReluOptions", Alpha=0.2),
        case("PRELU", [X, slopes], _f(np.where(X > 0, X, slopes.data * X))),
        case("GELU", [X], _f(erf_gelu(X)), "GeluOptions", Approximate=False),
        case(
            "GELU",
            [X],
            _f(X / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)))),
            "GeluOptions",
            "GELU by tanh",
            Approximate=True,
        ),
        case("SOFTMAX", [X], _f(softmax(X)), "SoftmaxOptions", Beta=1.0),
        case("SOFTMAX", [X], _f(softmax(0.5 * X)), "SoftmaxOptions", "SOFTMAX with beta", Beta=0.5),
        case("CAST", [3 * X], (3 * X).astype(np.int32)),
    ]


def binary() -> list[Case]:
    """Functions of two operands and more."""
    row = T("row", data=RNG.normal(size=6).astype(np.float32))
    test = T("test", data=np.array([[True, False] * 3]))
    return [
        case("ADD", [X, Y], X + Y, "AddOptions"),
        case("ADD", [X, row], np.maximum(X + row.data, 0), "AddOptions", "ADD, RELU", FusedActivationFunction=RELU),
        case("SUB", [X, Y], np.clip(X - Y, -1, 1), "SubOptions", FusedActivationFunction=RELU_N1_TO_1),
        case("MUL", [9 * X, Y], np.clip(9 * X * Y, 0, 6), "MulOptions", FusedActivationFunction=RELU6),
        case("DIV", [X, P], _f(X / P), "DivOptions"),
        case("POW", [P, X], _f(P**X)),
        case("MAXIMUM", [X, Y], np.maximum(X, Y)),
        case("MINIMUM", [X, row], np.minimum(X, row.data)),
        case("SQUARED_DIFFERENCE", [X, Y], (X - Y) ** 2),
        case("FLOOR_DIV", [X, P], np.floor(X / P)),
        case("FLOOR_MOD", [9 * X, P], _f(np.mod(9 * X, P))),
        case("ADD_N", [X, Y, P], _f(X + Y + P)),
        case("SELECT_V2", [test, X, Y], np.where(test.data, X, Y)),
        case("CUMSUM", [X, ints(1)], np.cumsum(X, 1), "CumsumOptions"),
    ]


def windowed() -> list[Case]:
    """Windows over pictures."""
    w = T("w", data=RNG.normal(size=(5, 3, 3, 3)).astype(np.float32))
    grouped = T("w", data=RNG.normal(size=(6, 3, 3, 2)).astype(np.float32))
    bias = T("bias", data=RNG.normal(size=5).astype(np.float32))
    six = T("bias", data=RNG.normal(size=6).astype(np.float32))
    dw = T("w", data=RNG.normal(size=(1, 3, 2, 6)).astype(np.float32))
    up = T("w", data=RNG.normal(size=(4, 3, 4, 3)).astype(np.float32))
    strided = {"StrideH": 2, "StrideW": 1}
    conv_options = {"StrideH": 1, "StrideW": 1}
    filter_ = {"FilterHeight": 3, "FilterWidth": 2, "StrideH": 2, "StrideW": 2}
    in_groups = [
        conv(PICTURE[..., 2 * g : 2 * g + 2], grouped.data[3 * g : 3 * g + 3], 0, (1, 1), SAME) for g in (0, 1)
    ]
    root = lambda found, axis: np.sqrt(np.nanmean(found**2, axis=axis))  # noqa: E731
    return [
        case("CONV_2D", [ODD, w, bias], conv(ODD, w.data, bias.data, (2, 1), SAME), "Conv2DOptions", **strided),
        case(
            "CONV_2D",
            [ODD, w, bias],
            np.maximum(conv(ODD, w.data, bias.data, (1, 1), VALID, 2), 0),
            "Conv2DOptions",
            "CONV_2D, dilated, RELU",
            Padding=VALID,
            DilationHFactor=2,
            DilationWFactor=2,
            FusedActivationFunction=RELU,
            **conv_options,
        ),
        case(
            "CONV_2D",
            [PICTURE, grouped, six],
            np.concatenate(in_groups, -1) + six.data,
            "Conv2DOptions",
            "CONV_2D in groups",
            **conv_options,
        ),
        case(
            "DEPTHWISE_CONV_2D",
            [ODD, dw, six],
            np.clip(depthwise(ODD, dw.data, six.data, (2, 2), SAME), 0, 6),
            "DepthwiseConv2DOptions",
            StrideH=2,
            StrideW=2,
            DepthMultiplier=2,
            FusedActivationFunction=RELU6,
        ),
        *(
            case(
                "TRANSPOSE_CONV",
                [ints(1, *out, 4), up, ODD],
                transposed(ODD, up.data, out, 2),
                "TransposeConvOptions",
                f"TRANSPOSE_CONV to {out}",
                Padding=padding,
                StrideH=2,
                StrideW=2,
            )
            for out, padding in (((10, 14), SAME), ((11, 16), VALID), ((9, 13), SAME))
        ),
        *(
            case(
                "AVERAGE_POOL_2D",
                [ODD],
                pool(ODD, (3, 2), (2, 2), p, np.nanmean),
                "Pool2DOptions",
                f"AVG {p}",
                Padding=p,
                **filter_,
            )
            for p in (SAME, VALID)
        ),
        *(
            case(
                "MAX_POOL_2D",
                [ODD],
                pool(ODD, (3, 2), (2, 2), p, np.nanmax),
                "Pool2DOptions",
                f"MAX {p}",
                Padding=p,
                **filter_,
            )
            for p in (SAME, VALID)
        ),
        case("L2_POOL_2D", [ODD], pool(ODD, (3, 2), (2, 2), VALID, root), "Pool2DOptions", Padding=VALID, **filter_),
    ]


def products() -> list[Case]:
    """Matrix products."""
    w, bias = (T(n, data=RNG.normal(size=s).astype(np.float32)) for n, s in (("w", (5, 6)), ("bias", (5,))))
    wide = T("w", data=RNG.normal(size=(5, 24)).astype(np.float32))
    dense = "FullyConnectedOptions"
    flat = X.reshape(1, 24)
    return [
        case("FULLY_CONNECTED", [X[0], w, bias], _f(X[0] @ w.data.T + bias.data), dense),
        case("FULLY_CONNECTED", [X, w, ""], _f(X[0] @ w.data.T), dense, "rows, no bias"),
        case(
            "FULLY_CONNECTED",
            [X, wide, bias],
            _f(np.maximum(flat @ wide.data.T + bias.data, 0)),
            dense,
            "all of it, RELU",
            FusedActivationFunction=RELU,
        ),
        case("FULLY_CONNECTED", [X, w, bias], _f(X @ w.data.T + bias.data), dense, "as it is", KeepNumDims=True),
        case("BATCH_MATMUL", [X, Y], _f(X @ Y.transpose(0, 2, 1)), "BatchMatMulOptions", AdjY=True),
        case("BATCH_MATMUL", [X, Y], _f(X.transpose(0, 2, 1) @ Y), "BatchMatMulOptions", "turned first", AdjX=True),
    ]


def moved() -> list[Case]:
    """Elements elsewhere."""
    mirrored = np.pad(ODD, ((0, 0), (1, 2), (2, 1), (0, 0)), mode="reflect")
    blocks = PICTURE.reshape(1, 3, 2, 4, 2, 4).transpose(0, 1, 3, 2, 4, 5).reshape(1, 3, 4, 16)
    apart = PICTURE.reshape(1, 6, 8, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 12, 16, 1)
    pads = T("pads", data=np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32))
    seven = T("seven", data=np.array(7, np.float32))
    half = np.array_split(X, 3, axis=2)
    sliced = "StridedSliceOptions"
    bounds = [ints(0, -1, 1, name="b"), ints(0, -5, 5, name="e"), ints(1, -2, 2, name="s")]
    return [
        case("RESHAPE", [X, ints(1, -1, 3)], X.reshape(1, 8, 3)),
        case("RESHAPE", [X], X.reshape(1, 12, 2), "ReshapeOptions", "RESHAPE by options", NewShape=[1, 12, 2]),
        case("SQUEEZE", [X[:, :1]], X[:, 0], "SqueezeOptions", SqueezeDims=[1]),
        case("EXPAND_DIMS", [X, ints(-2)], X[:, :, None]),
        case("TRANSPOSE", [X, ints(0, 2, 1)], X.transpose(0, 2, 1)),
        case(
            "CONCATENATION",
            [X, Y],
            np.concatenate([X, Y], 1),
            "ConcatenationOptions",
            Axis=1,
        ),
        case("SPLIT", [ints(2), X], half, "SplitOptions", NumSplits=3),
        case("SPLIT_V", [X, ints(1, -1, name="sizes"), ints(1)], [X[:, :1], X[:, 1:]], "SplitVOptions", NumSplits=2),
        case("PACK", [X, Y], np.stack([X, Y], 2), "PackOptions", Axis=2, ValuesCount=2),
        case("UNPACK", [X], [X[:, i] for i in range(4)], "UnpackOptions", Axis=1, Num=4),
        case("SLICE", [X, ints(0, 1, 2, name="begin"), ints(1, 2, -1, name="size")], X[:, 1:3, 2:]),
        case("STRIDED_SLICE", [X, *bounds], X[:, -1:-5:-2, 1:5:2], sliced, BeginMask=1, EndMask=1),
        case(
            "STRIDED_SLICE",
            [X, ints(0, 2, name="b"), ints(1, 3, name="e"), ints(1, 1, name="s")],
            X[:, 2],
            sliced,
            "one of them",
            ShrinkAxisMask=2,
            BeginMask=1,
            EndMask=1,
        ),
        case(
            "STRIDED_SLICE",
            [X, ints(0, 0, -1, name="b"), ints(0, 0, 0, name="e"), ints(1, 1, 1, name="s")],
            X[..., -1],
            sliced,
            "the last",
            ShrinkAxisMask=4,
            BeginMask=3,
            EndMask=3,
        ),
        case(
            "STRIDED_SLICE",
            [X, ints(0, 1, name="b"), ints(0, 4, name="e"), ints(1, 2, name="s")],
            X[..., 1:4:2],
            sliced,
            "behind an ellipsis",
            EllipsisMask=1,
        ),
        case(
            "STRIDED_SLICE",
            [X, ints(0, 0, 1, name="b"), ints(0, 0, 3, name="e"), ints(1, 1, 1, name="s")],
            X[:, None, 1:3],
            sliced,
            "a new axis",
            NewAxisMask=2,
            BeginMask=1,
            EndMask=1,
        ),
        case("GATHER", [X, ints(2, 0)], X[:, [2, 0]], "GatherOptions", Axis=1),
        case("REVERSE_V2", [X, ints(1)], X[:, ::-1]),
        case("TILE", [X, ints(1, 2, 3)], np.tile(X, (1, 2, 3))),
        case("BROADCAST_TO", [X[:, :1], ints(1, 4, 6)], np.broadcast_to(X[:, :1], (1, 4, 6)), version=2),
        case("PAD", [ODD, pads], np.pad(ODD, pads.data)),
        case("PADV2", [ODD, pads, seven], np.pad(ODD, pads.data, constant_values=7)),
        case("MIRROR_PAD", [ODD, pads], mirrored, "MirrorPadOptions", Mode=0),
        case(
            "MIRROR_PAD", [ODD, pads], np.pad(ODD, pads.data, mode="symmetric"), "MirrorPadOptions", "symmetric", Mode=1
        ),
        case("SPACE_TO_DEPTH", [PICTURE], blocks, "SpaceToDepthOptions", BlockSize=2),
        case("DEPTH_TO_SPACE", [PICTURE], apart, "DepthToSpaceOptions", BlockSize=2),
        case("TOPK_V2", [X, ints(2)], [np.sort(X, -1)[..., :-3:-1], np.argsort(X, -1)[..., :-3:-1].astype(np.int32)]),
        *(
            case(
                kind,
                [ODD, ints(*out)],
                resized(ODD, out, "BI" in kind, aligned, centers),
                "ResizeBilinearOptions" if "BI" in kind else "ResizeNearestNeighborOptions",
                f"{kind} to {out}, {aligned}, {centers}",
                AlignCorners=aligned,
                HalfPixelCenters=centers,
            )
            for kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
            for out in ((10, 14), (3, 4))
            for aligned, centers in ((False, False), (True, False), (False, True))
        ),
    ]


def reduced() -> list[Case]:
    """Fewer elements."""
    options = "ReducerOptions"
    return [
        case("MEAN", [ODD, ints(1, 2)], ODD.mean((1, 2)), options),
        case("MEAN", [ODD, ints(-1)], ODD.mean(-1, keepdims=True), options, "MEAN, kept", KeepDims=True),
        case("SUM", [X, ints(1)], X.sum(1), options),
        case("REDUCE_MAX", [X, ints(2)], X.max(2), options),
        case("REDUCE_MIN", [X, ints(1)], X.min(1, keepdims=True), options, KeepDims=True),
        case("REDUCE_PROD", [X, ints(1)], X.prod(1), options),
        case("ARG_MAX", [X, ints(-1)], X.argmax(-1).astype(np.int32), "ArgMaxOptions", OutputType=2),
        case("ARG_MIN", [X, ints(1)], X.argmin(1).astype(np.int32), "ArgMinOptions", OutputType=2),
    ]


def lstm(units: int = 3, features: int = 4, steps: int = 5) -> Case:
    """A sequence by the layer's equations."""
    x = RNG.normal(size=(1, steps, features)).astype(np.float32)
    w = RNG.normal(size=(4, units, features)).astype(np.float32)  # input, forget, cell, output
    r = RNG.normal(size=(4, units, units)).astype(np.float32)
    b = RNG.normal(size=(4, units)).astype(np.float32)
    h, c, found = np.zeros(units), np.zeros(units), []
    for step in x[0]:
        i, f, g, o = (w[k] @ step + r[k] @ h + b[k] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    operands: list[Array | T | str] = [x]
    operands += [T(f"w{k}", data=w[k]) for k in range(4)] + [T(f"r{k}", data=r[k]) for k in range(4)]
    operands += ["", "", "", *(T(f"b{k}", data=b[k]) for k in range(4)), "", ""]
    operands += [T("h", (1, units), variable=True), T("c", (1, units), variable=True)]
    fields = {"FusedActivationFunction": TANH, "CellClip": 10.0, "TimeMajor": False}
    return case("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, _f([found]), "UnidirectionalSequenceLSTMOptions", **fields)


def rnn(units: int = 3, features: int = 4, steps: int = 5) -> Case:
    """A simple layer, steps first."""
    x = RNG.normal(size=(steps, 1, features)).astype(np.float32)
    w, r, b = (RNG.normal(size=s).astype(np.float32) for s in ((units, features), (units, units), (units,)))
    h, found = np.zeros(units), []
    for step in x[:, 0]:
        h = np.tanh(w @ step + r @ h + b)
        found.append(h[None])
    operands = [x, T("w", data=w), T("r", data=r), T("b", data=b), T("h", (1, units), variable=True)]
    return case(
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        operands,
        _f(found),
        "SequenceRNNOptions",
        FusedActivationFunction=TANH,
        TimeMajor=True,
    )


def answers() -> list[Case]:
    """What gives truth values, as real numbers."""
    two: dict[str, Callable[[Array, Array], Array]] = {
        "LESS": np.less,
        "LESS_EQUAL": np.less_equal,
        "GREATER": np.greater,
        "GREATER_EQUAL": np.greater_equal,
        "EQUAL": np.equal,
        "NOT_EQUAL": np.not_equal,
    }
    like = np.where(X > 0, X, Y)
    found = [followed(kind, [X, T("y", data=like)], function(X, like)) for kind, function in two.items()]
    bits = T("bits", data=RNG.uniform(size=(1, 4, 6)) > 0.5)
    asked = X > 0
    logic = {"LOGICAL_AND": asked & bits.data, "LOGICAL_OR": asked | bits.data}
    return [
        *found,
        *(followed(kind, [asked, bits], result) for kind, result in logic.items()),
        followed("LOGICAL_NOT", [asked], ~asked),
        followed("REDUCE_ANY", [asked, ints(1)], asked.any(1), "ReducerOptions"),
        followed("REDUCE_ALL", [asked, ints(2)], asked.all(2), "ReducerOptions"),
    ]


def followed(kind: str, operands: Sequence[Array | T], result: Array, options: str = "") -> Case:
    """An operator, and a CAST to real numbers behind it."""
    given = [operand for operand in operands if isinstance(operand, np.ndarray)]
    names = [operand.name if isinstance(operand, T) else "x" for operand in operands]
    tensors = [
        *(T("x", array.shape, type=T("", data=array).type_name()) for array in given),
        *(operand for operand in operands if isinstance(operand, T)),
        T("answer", result.shape, type="BOOL"),
        T("y_real", result.shape),
    ]
    steps = [Op(kind, names, ["answer"], options), Op("CAST", ["answer"], ["y_real"])]
    return Case(kind, write(Graph(tensors, steps, ["x"], ["y_real"])), {"x": given[0]}, [_f(result)])


def added(kind: str, constants: Sequence[T], result: Array, of_x: bool = False) -> Case:
    """An operator on constants (or on the input), whose result is added to the input."""
    tensors = [T("x", X.shape), *constants, T("made", result.shape, type=T("", data=result).type_name())]
    steps = [Op(kind, [*(["x"] if of_x else []), *(one.name for one in constants)], ["made"])]
    last = "made"
    if result.dtype != np.float32:
        tensors.append(T("real", result.shape))
        steps.append(Op("CAST", ["made"], ["real"]))
        last = "real"
    tensors.append(T("y", X.shape))
    steps.append(Op("ADD", ["x", last], ["y"], "AddOptions"))
    return Case(kind, write(Graph(tensors, steps, ["x"], ["y"])), {"x": X}, [_f(X + result)])


def made() -> list[Case]:
    """Values from shapes and constants."""
    number = T("number", data=np.array(2.5, np.float32))
    bounds = [T(name, data=np.array(value, np.int32)) for name, value in (("from", 1), ("to", 13), ("by", 2))]
    picks = T("picks", data=np.array([[0, 1], [0, 3]], np.int32))
    rows = T("rows", data=np.array([True, False, True]))
    three, other = X.reshape(3, 8), Y.reshape(3, 8)
    numbers = np.array([[3, 0, 2]], np.int32)
    high, low = T("high", data=np.array(5, np.float32)), T("low", data=np.array(-1, np.float32))
    depth = T("depth", data=np.array(4, np.int32))
    hot = np.where(np.eye(4, dtype=bool)[numbers], 5, -1).astype(np.float32)
    return [
        added("FILL", [ints(4, 6), number], np.full((4, 6), 2.5, np.float32)),
        added("RANGE", bounds, np.arange(1, 13, 2, dtype=np.int32)),
        added("RANK", [], np.array(3, np.int32), of_x=True),
        added("ZEROS_LIKE", [], np.zeros_like(X), of_x=True),
        case("GATHER_ND", [X, picks], X[[0, 0], [1, 3]]),
        case("SELECT", [rows, three, other], np.where(rows.data[:, None], three, other)),
        case("ONE_HOT", [numbers, depth, high, low], hot, "OneHotOptions", Axis=-1),
    ]


def cases() -> list[Case]:
    """All of them."""
    return [*unary(), *binary(), *windowed(), *products(), *moved(), *reduced(), *answers(), *made(), lstm(), rnn()]
