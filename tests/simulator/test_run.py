"""`simulate` and `Simulator`: samples, batches, memory, what comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tinsmith
from tests.simulator.programs import node, program, value
from tinsmith.errors import DataError, RecipeError
from tinsmith.program import Program
from tinsmith.simulator.inputs import LAYOUTS_KEY, Original, layouts_text

FORMS = pytest.mark.parametrize("compiled", [True, False])


def cached() -> Program:
    """x → StreamingCache of 3 frames → a → Add → y."""
    cache = node("StreamingCache", "x", "a", window_size=3, frame_axis=1)
    return program([cache, node("Add", "a a", "y")], [value("x", (1, 1, 2))], [value("a", ()), value("y", ())], "y")


def frame(number: int) -> np.ndarray:
    return np.full((1, 1, 2), number, np.int8)


def seen(outputs: dict[str, np.ndarray]) -> list[int]:
    return [int(v) for v in outputs["y"][..., 0].reshape(-1)]


@FORMS
def test_a_simulator_remembers_until_it_is_reset(compiled: bool) -> None:
    simulator = tinsmith.Simulator(cached(), "esp32s3", compiled=compiled)
    assert [seen(simulator.run({"x": frame(n)})) for n in (1, 2, 3)] == [[0, 0, 2], [0, 2, 4], [2, 4, 6]]
    simulator.reset()
    assert seen(simulator.run({"x": frame(4)})) == [0, 0, 8]


@FORMS
def test_a_batch_is_a_sequence_for_a_simulator(compiled: bool) -> None:
    batch = np.concatenate([frame(n) for n in (1, 2, 3)])
    found = tinsmith.Simulator(cached(), "esp32s3", compiled=compiled).run({"x": batch})
    assert seen(found) == [0, 0, 2, 0, 2, 4, 2, 4, 6]


@FORMS
def test_a_batch_is_so_many_first_runs_for_simulate(compiled: bool) -> None:
    batch = np.concatenate([frame(n) for n in (1, 2, 3)])
    found = tinsmith.simulate(cached(), {"x": batch}, "esp32s3", compiled=compiled)
    assert seen(found) == [0, 0, 2, 0, 0, 4, 0, 0, 6]


@FORMS
def test_independent_runs_leave_the_memory_alone(compiled: bool) -> None:
    simulator = tinsmith.Simulator(cached(), "esp32s3", compiled=compiled)
    simulator.run({"x": frame(1)})
    simulator.run_independent({"x": np.concatenate([frame(5), frame(6)])})
    assert seen(simulator.run({"x": frame(2)})) == [0, 2, 4]


def test_two_simulators_of_one_program_have_two_memories() -> None:
    model = cached()
    first, second = (tinsmith.Simulator(model, "esp32s3") for _ in range(2))
    first.run({"x": frame(1)})
    assert seen(second.run({"x": frame(2)})) == [0, 0, 4]


def test_progress_counts_samples() -> None:
    calls: list[tuple[int, int]] = []
    simulator = tinsmith.Simulator(cached(), "esp32s3")
    simulator.run_independent(
        {"x": np.concatenate([frame(1)] * 3)}, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


@FORMS
def test_outputs_only_or_everything(compiled: bool) -> None:
    model = cached()
    assert set(tinsmith.simulate(model, {"x": frame(1)}, "esp32s3", compiled=compiled)) == {"y"}
    assert set(tinsmith.simulate(model, {"x": frame(1)}, "esp32s3", True, compiled)) == {"x", "a", "y"}


def test_the_target_is_the_file_s_or_must_be_given() -> None:
    model = cached()
    with pytest.raises(RecipeError, match="the file does not record its target"):
        tinsmith.simulate(model, {"x": frame(1)})
    recorded = replace(model, metadata={"target": "esp32p4"})
    assert tinsmith.Simulator(recorded).target.name == "esp32p4"
    assert tinsmith.Simulator(recorded, "esp32s3").target.name == "esp32s3"


def scaled() -> Program:
    """An output of exponent -2, channels last in the file, channels first in the model."""
    layouts = layouts_text({"y": Original((1, 3, 2, 2), (0, 2, 3, 1))})
    model = program([node("Add", "x x", "y")], [value("x", (1, 2, 2, 3), -2)], [value("y", (1, 2, 2, 3), -2)], "y")
    return replace(model, metadata={LAYOUTS_KEY: layouts})


def test_real_numbers_come_back_in_the_model_s_order() -> None:
    integers = np.arange(12).astype(np.int8).reshape(1, 2, 2, 3)
    found = tinsmith.dequantize(scaled(), {"y": integers, "x": integers})
    assert found["y"].dtype == np.float32
    assert np.array_equal(found["y"], integers.transpose(0, 3, 1, 2) / 4)
    assert np.array_equal(found["x"], integers / 4)


def test_real_numbers_of_a_name_nobody_knows() -> None:
    with pytest.raises(DataError, match="output 'other': the program has no such value"):
        tinsmith.dequantize(scaled(), {"other": np.zeros(1, np.int8)})


@FORMS
@pytest.mark.parametrize("x", [np.int8(5), np.float32(5 / 16)])
def test_a_single_number_stays_one(compiled: bool, x: np.generic) -> None:
    numbers = [value("x", (), -4), value("y", (), -4)]
    copied = program([node("Identity", "x", "y")], numbers[:1], numbers[1:], "y")
    found = tinsmith.simulate(copied, {"x": x}, "esp32s3", compiled=compiled)
    assert found["y"].shape == ()
    assert found["y"] == 5
