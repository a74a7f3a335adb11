"""Programs to write and read: one of everything, and random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinsmith.program import DType, Node, Program, Tensor, Value

STORED = [dtype for dtype in DType if dtype not in (DType.UNDEFINED, DType.STRING)]


def sample(weights: int = 200) -> Program:
    """A small convolution with a table, an absent input, every kind of attribute, and a test sample."""
    generator = np.random.default_rng(7)
    x = Value("x", DType.INT8, (1, 4, 4, 3), (-5,))
    hidden = Value("hidden", DType.INT8, (1, 4, 4, 16), (-4,))
    y = Value("y", DType.INT16, (), (-9,))
    nothing = Value("", DType.FLOAT, (), (0,))
    constants = [
        Tensor("lut", np.arange(-128, 128, dtype=np.int8), (-4,)),
        Tensor("w", generator.integers(-128, 128, (1, 1, weights, 16), dtype=np.int8), (-7,) * 16, "layout ==> NHWC"),
        Tensor("b", generator.integers(-9000, 9000, 17, dtype=np.int32), (-12,) * 17, "layout ==> UNK"),
        Tensor("scale", np.array(0.5, np.float32)),
        Tensor("empty", np.zeros(0, np.float32)),
    ]
    attributes: dict[str, Any] = {
        "activation": "Relu",
        "alpha": 0.25,
        "group": 3,
        "pads": (1, 1, -1, 1),
        "scales": (1.0, 2.0),
        "names": ("a", "", "ü"),
        "value": Tensor("v", np.array([True, False])),
        "nothing": (),
    }
    nodes = [
        Node("Conv", "conv", ("x", "w", "b"), ("hidden",), attributes),
        Node("Resize", "resize", ("hidden", "", "scale", "empty"), ("y",), {"lut": "lut"}, domain="d", doc="notes"),
    ]
    return Program(
        nodes=tuple(nodes),
        inputs=(x,),
        outputs=(y,),
        values={value.name: value for value in (nothing, x, hidden, y)},
        constants={tensor.name: tensor for tensor in constants},
        test_inputs={"x": generator.integers(-128, 128, x.shape, dtype=np.int8)},
        test_outputs={"y": np.array([1234], np.int16)},
        metadata={"target": "esp32s3"},
        name="main",
        opset={"": 24},
        producer_name="tinsmith",
        producer_version="1",
        model_version=3,
        doc="a model",
        graph_doc="a graph",
    )


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
exponents = st.lists(st.integers(-40, 40), min_size=1, max_size=4).map(tuple)
_int64 = st.integers(-(2**63), 2**63 - 1)
_single = st.floats(width=32, allow_nan=False)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """An array of any element type a file holds, with empty and 0-d ones among them."""
    dtype = draw(st.sampled_from(STORED)).numpy
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    count = int(np.prod(shape))
    if dtype == np.bool_:
        return np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_).reshape(shape)
    raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    return np.frombuffer(raw, dtype).reshape(shape)


@st.composite
def tensors(draw: st.DrawFn, name: str) -> Tensor:
    return Tensor(name, draw(arrays()), draw(exponents), draw(st.just("") | names))


attribute_values = st.one_of(
    _int64,
    _single,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(_int64, max_size=5).map(tuple),
    st.lists(_single, min_size=1, max_size=5).map(tuple),
    st.lists(names, min_size=1, max_size=3).map(tuple),
    tensors("t"),
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A consistent program that computes nothing sensible."""
    pool = draw(st.lists(names, min_size=8, max_size=14, unique=True))
    dtypes = st.sampled_from(STORED)
    shapes = st.lists(st.integers(-1, 2**31 - 1), max_size=5).map(tuple)
    values = {name: Value(name, draw(dtypes), draw(shapes), draw(exponents)) for name in pool[:5]}
    constants = {name: draw(tensors(name)) for name in pool[5:8]}
    inputs = draw(st.integers(1, 3))
    known = [*pool[:inputs], *constants, ""]
    nodes = []
    for name in pool[inputs:5]:
        chosen = draw(st.lists(st.sampled_from(known), max_size=4))
        attributes = draw(st.dictionaries(names.filter(lambda text: text != "lut"), attribute_values, max_size=4))
        nodes.append(Node(draw(names), draw(names), tuple(chosen), (name,), attributes))
        known.append(name)
    texts = st.just("") | names
    return Program(
        nodes=tuple(nodes),
        inputs=tuple(values[name] for name in pool[:inputs]),
        outputs=(values[pool[4]], values[pool[0]]),
        values=values,
        constants=constants,
        test_inputs={pool[0]: np.zeros((2, 3), values[pool[0]].dtype.numpy)} if draw(st.booleans()) else {},
        metadata=draw(st.dictionaries(names, texts, max_size=3)),
        name=draw(texts),
        opset=draw(st.dictionaries(texts, st.integers(1, 30), max_size=2)),
        producer_name=draw(texts),
        producer_version=draw(texts),
        ir_version=draw(st.integers(0, 12)),
        model_version=draw(_int64),
        domain=draw(texts),
        doc=draw(texts),
        graph_doc=draw(texts),
    )
