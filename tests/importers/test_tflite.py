"""TFLite files: names, shapes, loops, dilated convolutions, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from tests.importers.contract import assert_agrees
from tests.importers.tflite_cases import ODD, X
from tests.importers.tflite_files import Graph, Op, T, write
from tests.importers.tflite_formulas import SAME, VALID, conv
from tinsmith.errors import ModelError
from tinsmith.graph.canonical import canonicalize
from tinsmith.importers import load, tflite

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)


def picture(**fields: object) -> bytes:
    """A convolution with a ReLU, and an average over the picture."""
    tensors = [
        T("image", (1, 5, 7, 3), signature=(-1, 5, 7, 3)),
        T("kernel", data=WEIGHTS),
        T("offset", data=BIAS),
        T("features", (1, 5, 7, 4)),
        T("axes", data=np.array([1, 2], np.int32)),
        T("scores", (1, 4)),
    ]
    options = {"StrideH": 1, "StrideW": 1, "FusedActivationFunction": 1, **fields}
    steps = [
        Op("CONV_2D", ["image", "kernel", "offset"], ["features"], "Conv2DOptions", options),
        Op("MEAN", ["features", "axes"], ["scores"], "ReducerOptions"),
    ]
    return write(Graph(tensors, steps, ["image"], ["scores"]))


def chain(*steps: Op, constants: list[T] | None = None, shape: tuple[int, ...] = (1, 4, 6)) -> bytes:
    """Operators from ``x`` to the output of the last one."""
    results = [T(name, shape) for step in steps for name in step.outputs]
    return write(Graph([T("x", shape), *(constants or []), *results], list(steps), ["x"], [steps[-1].outputs[0]]))


class TestWhatStays:
    def test_names(self) -> None:
        model = load(picture())
        assert [value.name for value in model.graph.inputs] == ["image"]
        assert [value.name for value in model.graph.outputs] == ["scores"]
        assert {"kernel", "offset"} <= set(model.graph.initializers)
        assert [node.name for node in canonicalize(model).graph if node.op_type == "Conv"] == ["features"]

    def test_channels_last_and_open_batch(self) -> None:
        (value,) = load(picture()).graph.inputs
        assert value.dtype == ir.DataType.FLOAT
        assert value.shape == ir.Shape(["batch", 5, 7, 3])

    def test_path_and_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "net.tflite"
        path.write_bytes(picture())
        expected = np.maximum(conv(ODD, WEIGHTS, BIAS, (1, 1), SAME), 0).mean((1, 2))
        for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
            assert_agrees(source, {"image": ODD}, [expected])

    def test_a_name_that_is_taken(self) -> None:
        tensors = [T("x", (1, 4)), T("y", (1, 4)), T("y", (1, 4))]
        model = load(write(Graph(tensors, [Op("RELU", ["x"], ["y"])], ["x"], ["y"])))
        assert [value.name for value in model.graph.outputs] == ["y"]

    def test_integers_without_a_scale_stay(self) -> None:
        table = T("table", data=RNG.normal(size=(9, 5)).astype(np.float32))
        tokens = np.array([[3, 8, 0]], np.int32)
        tensors = [T("tokens", (1, 3), type="INT32"), table, T("found", (1, 3, 5))]
        data = write(Graph(tensors, [Op("EMBEDDING_LOOKUP", ["tokens", "table"], ["found"])], ["tokens"], ["found"]))
        assert load(data).graph.inputs[0].dtype == ir.DataType.INT32
        assert_agrees(data, {"tokens": tokens}, [table.data[tokens]])

    def test_outputs_that_are_the_same_value_or_an_input(self) -> None:
        tensors = [T("x", (1, 4)), T("y", (1, 4))]
        model = load(write(Graph(tensors, [Op("RELU", ["x"], ["y"])], ["x"], ["y", "y"])))
        assert len({value.name for value in model.graph.outputs}) == 2


class TestShapes:
    def test_arithmetic_on_an_open_batch(self) -> None:
        """What converters write for ``reshape(x, (shape(x)[0], -1))``."""
        numbers = {"b": [0], "e": [1], "s": [1], "rest": -1}
        tensors = [
            T("x", (1, 4, 6), signature=(-1, 4, 6)),
            *(T(name, data=np.array(value, np.int32)) for name, value in numbers.items()),
            T("shape", (3,), type="INT32"),
            T("count", (), type="INT32"),
            T("wanted", (2,), type="INT32"),
            T("flat", (1, 1), signature=(-1, -1)),
        ]
        steps = [
            Op("SHAPE", ["x"], ["shape"], "ShapeOptions", {"OutType": 2}),
            Op("STRIDED_SLICE", ["shape", "b", "e", "s"], ["count"], "StridedSliceOptions", {"ShrinkAxisMask": 1}),
            Op("PACK", ["count", "rest"], ["wanted"], "PackOptions", {"ValuesCount": 2}),
            Op("RESHAPE", ["x", "wanted"], ["flat"]),
        ]
        canonical = assert_agrees(write(Graph(tensors, steps, ["x"], ["flat"])), {"x": X}, [X.reshape(1, 24)])
        assert [node.op_type for node in canonical.graph] == ["Reshape"]

    def test_open_sizes_are_asked_for(self) -> None:
        tensors = [T("x", (1, 1, 6), signature=(-1, -1, 6)), T("y", (1, 1, 6), signature=(-1, -1, 6))]
        data = write(Graph(tensors, [Op("RELU", ["x"], ["y"])], ["x"], ["y"]))
        with pytest.raises(ModelError, match="--input-shape"):
            canonicalize(load(data))
        canonical = canonicalize(load(data), input_shapes={"x": (1, 4, 6)})
        assert canonical.graph.outputs[0].shape == ir.Shape([1, 4, 6])


class TestDilation:
    """A convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND."""

    def test_pictures(self) -> None:
        x = RNG.normal(size=(1, 6, 8, 3)).astype(np.float32)
        lists = {
            "block": np.array([2, 2], np.int32),
            "border": np.array([[2, 2], [2, 4]], np.int32),
            "crop": np.array([[0, 0], [0, 2]], np.int32),
        }
        options = {"Padding": VALID, "StrideH": 1, "StrideW": 1}
        tensors = [
            T("x", (1, 6, 8, 3)),
            *(T(name, data=value) for name, value in lists.items()),
            T("kernel", data=WEIGHTS),
            T("offset", data=BIAS),
            *(T("spread", (4, 5, 7, 3)), T("convolved", (4, 3, 5, 4)), T("back", (1, 6, 8, 4)), T("y", (1, 6, 8, 4))),
        ]
        steps = [
            Op("SPACE_TO_BATCH_ND", ["x", "block", "border"], ["spread"]),
            Op("CONV_2D", ["spread", "kernel", "offset"], ["convolved"], "Conv2DOptions", options),
            Op("BATCH_TO_SPACE_ND", ["convolved", "block", "crop"], ["back"]),
            Op("RELU", ["back"], ["y"]),
        ]
        expected = np.maximum(conv(np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), WEIGHTS, BIAS, (1, 1), VALID, 2), 0)
        canonical = assert_agrees(write(Graph(tensors, steps, ["x"], ["y"])), {"x": x}, [expected])
        (node,) = (node for node in canonical.graph if node.op_type == "Conv")
        assert node.attributes.get_ints("dilations") == (2, 2)
        seen = write(Graph(tensors, steps, ["x"], ["y", "spread"]))  # somebody else looks: left as it is
        model = load(seen)
        assert all(n.attributes.get_ints("dilations") == (1, 1) for n in model.graph if n.op_type == "Conv")

    def test_sequences(self) -> None:
        kernel = RNG.normal(size=(5, 1, 3, 6)).astype(np.float32)
        x = RNG.normal(size=(1, 12, 6)).astype(np.float32)
        lists = {
            "block": np.array([2], np.int32),
            "border": np.array([[4, 0]], np.int32),
            "crop": np.array([[0, 0]], np.int32),
            "axis": np.array(1, np.int32),
            "shape": np.array([-1, 6, 5], np.int32),
        }
        tensors = [
            T("x", (1, 12, 6)),
            *(T(name, data=value) for name, value in lists.items()),
            T("kernel", data=kernel),
            T("spread", (2, 8, 6)),
            T("wide", (2, 1, 8, 6)),
            T("convolved", (2, 1, 6, 5)),
            T("narrow", (2, 6, 5)),
            T("y", (1, 12, 5)),
        ]
        steps = [
            Op("SPACE_TO_BATCH_ND", ["x", "block", "border"], ["spread"]),
            Op("EXPAND_DIMS", ["spread", "axis"], ["wide"]),
            Op(
                "CONV_2D",
                ["wide", "kernel"],
                ["convolved"],
                "Conv2DOptions",
                {"Padding": 1, "StrideH": 1, "StrideW": 1},
            ),
            Op("RESHAPE", ["convolved", "shape"], ["narrow"]),
            Op("BATCH_TO_SPACE_ND", ["narrow", "block", "crop"], ["y"]),
        ]
        causal = np.pad(x, ((0, 0), (4, 0), (0, 0)))[0]
        expected = sum(causal[2 * tap : 2 * tap + 12] @ kernel[:, 0, tap].T for tap in range(3))
        canonical = assert_agrees(write(Graph(tensors, steps, ["x"], ["y"])), {"x": x}, [np.asarray(expected)[None]])
        assert [node.op_type for node in canonical.graph].count("Conv") == 1

    def test_without_a_convolution(self) -> None:
        x = np.arange(24, dtype=np.float32).reshape(1, 4, 6, 1)
        block, border = (
            T("block", data=np.array([2, 3], np.int32)),
            T("border", data=np.array([[0, 2], [3, 0]], np.int32)),
        )
        tensors = [T("x", x.shape), block, border, T("spread", (6, 3, 3, 1)), T("y", (1, 4, 6, 1))]
        steps = [
            Op("SPACE_TO_BATCH_ND", ["x", "block", "border"], ["spread"]),
            Op("BATCH_TO_SPACE_ND", ["spread", "block", "border"], ["y"]),
        ]
        padded = np.pad(x, ((0, 0), (0, 2), (3, 0), (0, 0)))
        spread = np.concatenate([padded[:, i::2, j::3] for i in range(2) for j in range(3)])
        data = write(Graph(tensors, steps, ["x"], ["spread", "y"]))
        assert_agrees(data, {"x": x}, [spread, x])


class TestSequences:
    """Windows over a picture of one row, or of one column."""

    def net(self, axis: int, seen: str = "") -> tuple[bytes, np.ndarray, np.ndarray]:
        """A depthwise and a pointwise convolution and a pool; ``seen`` is an output as well."""
        x = RNG.normal(size=(1, 12, 6)).astype(np.float32)
        kernel, point = (RNG.normal(size=size).astype(np.float32) for size in ((3, 6), (5, 6)))
        lay = (lambda *dims: dims) if axis == 1 else (lambda a, b, c, d: (a, c, b, d))
        steps = {"StrideH": 1, "StrideW": 2} if axis == 1 else {"StrideH": 2, "StrideW": 1}
        window = {"FilterHeight": 1, "FilterWidth": 2} if axis == 1 else {"FilterHeight": 2, "FilterWidth": 1}
        tensors = [
            T("x", (1, 12, 6)),
            T("axis", data=np.array(axis, np.int32)),
            T("shape", data=np.array([1, 2, 5], np.int32)),
            T("kernel", data=kernel.reshape(lay(1, 1, 3, 6))),
            T("point", data=point.reshape(5, 1, 1, 6)),
            T("wide", lay(1, 1, 12, 6)),
            T("filtered", lay(1, 1, 5, 6)),
            T("mixed", lay(1, 1, 5, 5)),
            T("pooled", lay(1, 1, 2, 5)),
            T("y", (1, 2, 5)),
        ]
        depthwise = {"Padding": VALID, "DepthMultiplier": 1, **steps}
        operators = [
            Op("EXPAND_DIMS", ["x", "axis"], ["wide"]),
            Op("DEPTHWISE_CONV_2D", ["wide", "kernel"], ["filtered"], "DepthwiseConv2DOptions", depthwise),
            Op("CONV_2D", ["filtered", "point"], ["mixed"], "Conv2DOptions", {"StrideH": 1, "StrideW": 1}),
            Op("MAX_POOL_2D", ["mixed"], ["pooled"], "Pool2DOptions", {"Padding": VALID, **steps, **window}),
            Op("RESHAPE", ["pooled", "shape"], ["y"]),
        ]
        filtered = np.stack([(x[0, 2 * i : 2 * i + 3] * kernel).sum(0) for i in range(5)])
        mixed = filtered @ point.T
        data = write(Graph(tensors, operators, ["x"], ["y", seen] if seen else ["y"]))
        return data, x, np.stack([mixed[0:2].max(0), mixed[2:4].max(0)])[None]

    @pytest.mark.parametrize("axis", [1, 2], ids=["rows", "columns"])
    def test_have_three_dimensions(self, axis: int) -> None:
        data, x, expected = self.net(axis)
        assert_agrees(data, {"x": x}, [expected])
        model = load(data)
        kinds = [node.op_type for node in model.graph if node.op_type != "Transpose"]
        assert kinds == ["Conv", "Conv", "MaxPool"]
        assert [node.name for node in model.graph if node.op_type != "Transpose"] == ["filtered", "mixed", "y"]

    @pytest.mark.parametrize("seen", ["wide", "filtered", "pooled"])
    def test_stay_pictures_where_somebody_looks(self, seen: str) -> None:
        data, _, expected = self.net(1, seen)
        model = load(data)
        assert "Unsqueeze" in [node.op_type for node in model.graph]
        canonical = canonicalize(model, outputs=["y"])
        assert canonical.graph.outputs[0].shape == ir.Shape(expected.shape)


class TestLoops:
    def loop(self, limit: int) -> bytes:
        """x := 2·x, ``limit`` times."""
        state = [T("i", (), type="INT32"), T("v", (1, 4))]
        outer = Graph(
            [T("zero", data=np.array(0, np.int32)), T("x", (1, 4)), T("n", (), type="INT32"), T("y", (1, 4))],
            [Op("WHILE", ["zero", "x"], ["n", "y"], "WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2})],
            ["x"],
            ["y"],
        )
        less = Op("LESS", ["i", "limit"], ["go"])
        condition = Graph(
            [*state, T("limit", data=np.array(limit, np.int32)), T("go", (), type="BOOL")], [less], ["i", "v"], ["go"]
        )
        body = Graph(
            [*state, T("one", data=np.array(1, np.int32)), T("j", (), type="INT32"), T("w", (1, 4))],
            [Op("ADD", ["i", "one"], ["j"], "AddOptions"), Op("ADD", ["v", "v"], ["w"], "AddOptions")],
            ["i", "v"],
            ["j", "w"],
        )
        return write(outer, condition, body)

    @pytest.mark.parametrize("rounds", [1, 3])
    def test_are_written_out(self, rounds: int) -> None:
        x = np.arange(4, dtype=np.float32)[None] + 1
        assert_agrees(self.loop(rounds), {"x": x}, [x * 2.0**rounds])

    def test_graphs_in_circles_are_refused(self) -> None:
        ends = ["x"], ["x"]
        again = Op("WHILE", ["x"], ["y"], "WhileOptions", {"CondSubgraphIndex": 0, "BodySubgraphIndex": 0})
        with pytest.raises(ModelError, match="deep"):
            load(write(Graph([T("x", (1, 4)), T("y", (1, 4))], [again], ends[0], ["y"])))


class TestRefused:
    def refused(self, data: bytes) -> str:
        with pytest.raises(ModelError) as caught:
            canonicalize(load(data))
        return str(caught.value)

    def test_unknown_operators_at_once(self) -> None:
        message = self.refused(chain(Op("SVDF", ["x"], ["a"]), Op("UNIQUE", ["a"], ["b"]), Op("RELU", ["b"], ["c"])))
        assert message.startswith("2 operators cannot be translated: SVDF ('a'): is not known here. UNIQUE ('b')")
        assert "outputs=" in message

    def test_custom_operators_by_name(self) -> None:
        boxes = Op("CUSTOM", ["boxes"], ["found"], custom="TFLite_Detection_PostProcess")
        data = chain(Op("LOGISTIC", ["x"], ["boxes"]), boxes)
        message = self.refused(data)
        assert "TFLite_Detection_PostProcess (a custom operator) ('found')" in message
        assert "--outputs" in message
        canonical = canonicalize(load(data), outputs=["boxes"])
        assert [node.op_type for node in canonical.graph] == ["Sigmoid"]

    def test_state(self) -> None:
        tensors = [T("x", (1, 4)), T("memory", (1, 4), variable=True), T("y", (1, 4))]
        data = write(Graph(tensors, [Op("ADD", ["x", "memory"], ["y"], "AddOptions")], ["x"], ["y"]))
        message = self.refused(data)
        assert "ADD ('y'): reads 'memory', which keeps its elements from one run to the next." in message

    def test_what_must_be_constant(self) -> None:
        tensors = [T("x", (1, 4, 6)), T("p", (3,), type="INT32"), T("y", (1, 6, 4))]
        data = write(Graph(tensors, [Op("TRANSPOSE", ["x", "p"], ["y"])], ["x", "p"], ["y"]))
        assert "TRANSPOSE ('y'): its input 1 ('p') is computed, not constant." in self.refused(data)

    @pytest.mark.parametrize(
        ("step", "reason"),
        [
            (Op("ADD", ["x", "x"], ["y"], "AddOptions", {"FusedActivationFunction": 5}), "its activation is number 5"),
            (Op("FULLY_CONNECTED", ["x", "x"], ["y"], "FullyConnectedOptions", {"WeightsFormat": 1}), "shuffled"),
            (Op("CALL_ONCE", [], ["y"], "CallOnceOptions"), "CALL_ONCE ('y'): is not known"),
            (Op("VAR_HANDLE", [], ["y"], "VarHandleOptions"), "VAR_HANDLE ('y'): is not known"),
        ],
    )
    def test_reasons(self, step: Op, reason: str) -> None:
        assert reason in self.refused(chain(step))

    @pytest.mark.parametrize(
        ("step", "reason"),
        [
            (Op("RELU", ["y"], ["y"]), "'y' is read before anything computes it"),
            (Op("RELU", [], ["y"]), "input 0 is absent"),
            (
                Op("CONV_2D", ["x", "x"], ["y"], "Conv2DOptions"),
                "CONV_2D 'y': tensors and options do not fit together: not enough values",
            ),
            (Op("SPLIT", ["axis", "x"], ["y"]), "input 0 is not made of integers"),
            (Op("SPACE_TO_BATCH_ND", ["x"], ["y"]), "do not fit together"),
            (Op("EXPAND_DIMS", ["x"], ["y"]), "do not fit together"),
        ],
    )
    def test_contradictions(self, step: Op, reason: str) -> None:
        axis = T("axis", data=np.array([0.5], np.float32))
        with pytest.raises(ModelError, match=reason):
            load(chain(step, constants=[axis]))

    def test_options_of_another_operator(self) -> None:
        axis = T("axis", data=np.array(1, np.int32))
        steps = [
            Op("EXPAND_DIMS", ["x", "axis"], ["a"]),
            Op("MAX_POOL_2D", ["a"], ["b"], "Conv2DOptions", {"Padding": VALID}),
            Op("SQUEEZE", ["b"], ["c"]),
        ]
        with pytest.raises(ModelError, match="do not fit together"):
            load(chain(*steps, constants=[axis]))

    def test_computed_twice(self) -> None:
        with pytest.raises(ModelError, match="'y' is computed twice"):
            load(chain(Op("RELU", ["x"], ["y"]), Op("NEG", ["x"], ["y"])))


class TestFiles:
    def test_absent(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="does not exist"):
            load(tmp_path / "no.tflite")
        (tmp_path / "folder.tflite").mkdir()
        with pytest.raises(ModelError, match="not a file"):
            tflite.load(tmp_path / "folder.tflite")

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "empty"),
            (b"PK\x03\x04 whatever", "not a TensorFlow Lite model"),
            (b"\x10\0\0\0TFL3", "damaged"),
            (write(Graph([T("x", (1, 4)), T("y", (1, 4))], [Op("RELU", ["x"], ["y"])], ["x"], ["y"]), version=9), "9"),
            (write(), "it has no graph"),
            (write(Graph([T("x", (1, 4))], [], ["x"], ["x"])), "no operators"),
        ],
    )
    def test_not_a_model(self, tmp_path: Path, data: bytes, reason: str) -> None:
        path = tmp_path / "net.tflite"
        path.write_bytes(data)
        with pytest.raises(ModelError, match=reason) as caught:
            load(path)
        assert str(path) in str(caught.value)
