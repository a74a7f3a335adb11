"""Names and initializers of programs under construction."""

from __future__ import annotations

import numpy as np

from tinsmith.lower.sink import ProgramSink
from tinsmith.program import DType, Tensor


def sink(values: tuple[str, ...] = (), constants: tuple[str, ...] = ()) -> ProgramSink:
    return ProgramSink(values, constants)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int8)


def test_values_get_names_of_their_own() -> None:
    made = sink(("x", "x_moved"))
    names = [made.add_value("x_moved", DType.INT8, (1,), (0,)) for _ in range(2)]
    assert names == ["x_moved_1", "x_moved_2"]
    assert list(made.values) == names


def test_nodes_get_names_of_their_own() -> None:
    made = sink()
    for _ in range(3):
        made.add_node("Add", "add", ["x"], ["y"], {})
    assert [node.name for node in made.nodes] == ["add", "add_1", "add_2"]


def test_attributes_are_in_order_of_their_names() -> None:
    made = sink()
    made.add_node("Conv", "conv", [], [], {"strides": (1,), "group": 1, "pads": (0, 0)})
    assert list(made.nodes[0].attributes) == ["group", "pads", "strides"]


def test_equal_constants_of_one_name_are_one() -> None:
    made = sink((), ("c",))
    assert [made.add_constant("c", ints(1, 2), (0,), "doc") for _ in range(2)] == ["c", "c"]
    assert made.constants == {"c": Tensor("c", ints(1, 2), (0,), "doc")}


def test_other_data_exponents_or_layouts_are_other_constants() -> None:
    made = sink((), ("c",))
    made.add_constant("c", ints(1, 2), (0,), "doc")
    others = [(ints(1, 3), (0,), "doc"), (ints(1, 2), (1,), "doc"), (ints(1, 2), (0,), "other")]
    names = [made.add_constant("c", *other) for other in others]
    assert names == ["c_1", "c_2", "c_3"]
    assert [made.add_constant("c", *other) for other in others] == names


def test_equal_constants_of_two_names_are_two() -> None:
    made = sink()
    assert [made.add_constant(name, ints(1), (0,), "") for name in ("a", "b")] == ["a", "b"]


def test_a_constant_never_takes_the_name_of_a_value() -> None:
    """Neither of one that is there nor of one the user's graph computes later."""
    made = sink(("later",))
    made.add_value("here", DType.INT8, (), (0,))
    assert made.add_constant("here", ints(1), (0,), "") == "here_1"
    assert made.add_constant("later", ints(1), (0,), "") == "later_1"
    assert made.add_constant("later", ints(1), (0,), "") == "later_1"


def test_a_value_never_takes_the_name_of_a_constant() -> None:
    made = sink((), ("c",))
    assert made.add_value("c", DType.INT8, (), (0,)) == "c_1"
    assert made.add_constant("c", ints(1), (0,), "") == "c"


def test_equal_tables_are_shared_whoever_asks() -> None:
    made = sink()
    table = np.arange(-128, 128).astype(np.int8)
    assert made.add_table("Sigmoid", table, (-7,)) == "Sigmoid_lut_0"
    assert made.add_table("Tanh", table.copy(), (-7,)) == "Sigmoid_lut_0"
    assert made.add_table("Sigmoid", table, (-6,)) == "Sigmoid_lut_1"
    assert made.add_table("Sigmoid", table[::-1], (-7,)) == "Sigmoid_lut_2"
    assert made.add_table("Tanh", np.roll(table, 1), (-7,)) == "Tanh_lut_0"
    assert np.array_equal(made.constants["Sigmoid_lut_2"].data, table[::-1])


def test_tables_of_other_widths_are_other_tables() -> None:
    made = sink()
    made.add_table("LUT", np.zeros(2, np.int8), (0,))
    assert made.add_table("LUT", np.zeros(1, np.int16), (0,)) == "LUT_lut_1"


def test_a_table_never_takes_a_name_of_the_user_s_graph() -> None:
    made = sink(("Tanh_lut_0",), ("Tanh_lut_1",))
    assert made.add_table("Tanh", ints(1), (0,)) == "Tanh_lut_0_1"
    assert made.add_table("Tanh", ints(2), (0,)) == "Tanh_lut_1_1"
    assert made.add_constant("Tanh_lut_0_1", ints(3), (0,), "") == "Tanh_lut_0_1_1"


def test_tables_come_before_parameters() -> None:
    made = sink((), ("w", "v"))
    made.add_constant("w", ints(1), (0,), "")
    made.add_table("Tanh", ints(2), (0,))
    made.add_constant("v", ints(3), (0,), "")
    assert list(made.constants) == ["Tanh_lut_0", "w", "v"]


def test_constants_are_copies_nobody_can_write_to() -> None:
    made, data = sink(), ints(1, 2)
    made.add_constant("c", data, (0,), "")
    data[0] = 5
    assert made.constants["c"].data.tolist() == [1, 2]
    assert not made.constants["c"].data.flags.writeable


def test_renaming_reaches_every_place() -> None:
    made = sink(("a", "b", "y"))
    for name in ("a", "b"):
        made.declare(name, DType.INT8, (1,), (0,))
    made.add_node("Relu", "first", ["a"], ["b"], {})
    made.add_node("Relu", "second", ["b", "", "a"], ["c"], {})
    made.rename({"b": "y"})
    assert [(node.inputs, node.outputs) for node in made.nodes] == [(("a",), ("y",)), (("y", "", "a"), ("c",))]
    assert {name: value.name for name, value in made.values.items()} == {"a": "a", "y": "y"}
