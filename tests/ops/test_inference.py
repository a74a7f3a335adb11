"""Shapes come from the nodes; programs that make no sense are refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tinsmith
from tests.simulator.programs import node, program, value, wide_conv
from tinsmith.errors import ProgramError
from tinsmith.ops.inference import infer_shapes, placeholders
from tinsmith.program import DType, Program, Value
from tinsmith.targets import find

S3 = find("esp32s3")


def chain() -> Program:
    """x → Transpose → a → Concat with itself → y; the file's shapes are wrong, as other exporters write them."""
    return program(
        [node("Transpose", "x", "a", perm=(0, 2, 1)), node("Concat", "a a", "y", axis=2)],
        [value("x", (1, 3, 4))],
        [value("a", (7,)), value("y", ())],
        "y",
    )


def test_shapes_of_the_file_are_not_believed() -> None:
    assert infer_shapes(chain(), S3) == {"x": (1, 3, 4), "a": (1, 4, 3), "y": (1, 4, 6)}


@pytest.mark.parametrize("compiled", [True, False])
def test_wrong_shapes_change_no_result(compiled: bool) -> None:
    x = np.arange(12).astype(np.int8).reshape(1, 3, 4)
    found = tinsmith.simulate(chain(), {"x": x}, "esp32s3", compiled=compiled)["y"]
    assert np.array_equal(found, np.concatenate([x.transpose(0, 2, 1)] * 2, axis=2))


def test_placeholders_take_no_memory_and_are_made_once() -> None:
    model = wide_conv()
    zeros = placeholders(model, S3)
    assert placeholders(model, S3) is zeros
    assert list(zeros) == ["x", "y", "z"]
    assert {(array.dtype.name, array.strides) for array in zeros.values()} == {("int8", (0, 0, 0, 0))}


def changed(model: Program, **values: Value) -> Program:
    return replace(model, values={**model.values, **values})


def without(model: Program, name: str) -> Program:
    return replace(model, values={key: v for key, v in model.values.items() if key != name})


OPEN = value("x", (1, -1, 4))
BROKEN = {
    "open shape": (
        changed(replace(chain(), inputs=(OPEN,)), x=OPEN),
        r"input 'x': has the shape \[1, -1, 4\], which is not fixed",
    ),
    "input not listed": (without(chain(), "x"), "input 'x': is missing among the program's values"),
    "other exponent": (changed(chain(), x=value("x", (1, 3, 4), 5)), "input 'x': .*another type there"),
    "odd type": (
        program([node("Relu", "x", "y")], [value("x", (1, 3))], [value("y", (), dtype=DType.UINT16)], "y"),
        "value 'y': has type UINT16, which the runtime does not compute",
    ),
    "type of another width": (
        changed(chain(), a=value("a", (), dtype=DType.INT16)),
        "Transpose 'A': computes int8, the file says INT16",
    ),
    "no type": (without(chain(), "a"), "Transpose 'A': output 'a' has no type or exponent"),
    "output of nothing": (replace(chain(), outputs=(value("other", ()),)), "output 'other': is computed by no node"),
    "input of nothing": (replace(chain(), nodes=chain().nodes[1:]), "Concat 'Y': input 'a' is computed nowhere"),
    "unknown operator": (replace(chain(), nodes=(node("Foo", "x", "y"),)), "no operator 'Foo'"),
    "wrong number of outputs": (
        replace(changed(chain(), b=value("b", ())), nodes=(node("Sigmoid", "x", "a b"), chain().nodes[1])),
        "Sigmoid 'A': computes 1 outputs, the file names 2",
    ),
    "shapes that do not broadcast": (
        program([node("Add", "x z", "y")], [value("x", (1, 3)), value("z", (1, 4))], [value("y", ())], "y"),
        "Add 'Y': cannot be computed: .*broadcast",
    ),
}


@pytest.mark.parametrize(("model", "message"), BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("compiled", [True, False])
def test_nonsense_is_refused_by_name(model: Program, message: str, compiled: bool) -> None:
    inputs = {v.name: np.zeros([max(d, 1) for d in v.shape], np.int8) for v in model.inputs}
    with pytest.raises(ProgramError, match=message):
        tinsmith.simulate(model, inputs, "esp32s3", compiled=compiled)
