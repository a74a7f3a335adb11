"""Times: what must hold for any program, whatever the constants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.estimate.convolutions import conv
from tests.estimate.programs import Builder, programs
from tests.estimate.published import program as published
from tests.estimate.published import rows
from tinsmith import targets
from tinsmith.errors import ProgramError
from tinsmith.estimate.latency import Place, latency, no_model, usual_place
from tinsmith.estimate.latency_constants import CHIPS, FITTED, PRIORS, RATES
from tinsmith.ops.work import Kernel
from tinsmith.program import Program

MEASURED = [targets.find(name) for name in CHIPS]
OTHERS = [target for name, target in targets.TARGETS.items() if name not in CHIPS]
S3, P4 = MEASURED
PLACES: tuple[Place, ...] = ("psram", "flash")


def single(program: Program, target: targets.Target = S3, place: Place = "psram") -> float:
    found = latency(program, target, place)
    assert found is not None
    return found.single_ms


def test_every_kernel_has_rates_and_every_rate_a_constant() -> None:
    assert set(RATES) == set(Kernel)
    assert set(FITTED) == set(PRIORS)
    named = {
        rate for rates in RATES.values() for rate in (rates.step, rates.entry, rates.call) if isinstance(rate, str)
    }
    assert named | {"node", *(f"{chip} psram" for chip in CHIPS), "esp32p4 pace"} == set(PRIORS)
    assert all(value > 0 for value in FITTED.values())


@pytest.mark.parametrize("row", rows())
def test_published_programs(row: dict[str, str]) -> None:
    program, target = published(row), targets.find(row["target"])
    found = latency(program, target)
    assert found is not None
    assert [node.node for node in found.nodes] == [node.name for node in program.nodes]
    assert found.single_ms == pytest.approx(sum(node.single_ms for node in found.nodes))
    assert 0.3 * found.single_ms < found.dual_ms < found.single_ms
    assert all(0 <= node.memory_ms <= node.single_ms for node in found.nodes)
    assert single(program, target, "flash") > single(program, target, "psram")


@given(programs(nodes=8))
def test_one_core_takes_no_less_than_two(program: Program) -> None:
    for target in MEASURED:
        for place in PLACES:
            found = latency(program, target, place)
            assert found is not None
            assert all(node.single_ms >= node.dual_ms >= 0 for node in found.nodes)


VECTORS = st.integers(1, 16)


@given(
    VECTORS, VECTORS, st.integers(1, 20), st.sampled_from([1, 3, 5]), st.sampled_from(MEASURED), st.sampled_from(PLACES)
)
def test_more_of_anything_takes_no_less(
    channels: int, filters: int, size: int, kernel: int, target: targets.Target, place: Place
) -> None:
    def time(channels: int, filters: int, size: int, kernel: int) -> float:
        return single(conv(16 * channels, 16 * filters, size=size, kernel=kernel).program("t0"), target, place)

    least = time(channels, filters, size, kernel)
    assert time(channels + 1, filters, size, kernel) >= least
    assert time(channels, filters + 1, size, kernel) >= least
    assert time(channels, filters, size + 1, kernel) >= least
    assert time(channels, filters, size, kernel + 2) >= least


@pytest.mark.parametrize("target", MEASURED, ids=lambda target: target.name)
def test_unaligned_channels_take_longer_than_more_aligned_ones(target: targets.Target) -> None:
    assert single(conv(24, 24).program("t0"), target) > single(conv(32, 32).program("t0"), target)


def test_weights_beyond_the_cache_come_from_memory_for_each_position() -> None:
    kept, lost = (latency(conv(64, filters).program("t0"), S3) for filters in (64, 160))
    assert kept is not None
    assert lost is not None
    assert lost.nodes[0].memory_ms > 20 * kept.nodes[0].memory_ms
    on_p4 = latency(conv(64, 160).program("t0"), P4)
    assert on_p4 is not None
    assert on_p4.nodes[0].memory_ms < 0.05 * lost.nodes[0].memory_ms


def test_time_adds_up_over_nodes() -> None:
    build = conv(16, 16)
    build.node("Relu", "t0")
    alone = single(conv(16, 16).program("t0"))
    both = latency(build.program("t1"), S3)
    assert both is not None
    assert both.nodes[0].single_ms == alone
    assert both.single_ms == alone + both.nodes[1].single_ms


def test_a_reshape_takes_no_time() -> None:
    build = Builder()
    build.reshape(build.input(1, 4, 4, 16), 1, 256)
    assert single(build.program("t0")) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("target", OTHERS, ids=lambda target: target.name)
def test_chips_nobody_measured(target: targets.Target) -> None:
    assert latency(conv(16, 16).program("t0"), target) is None
    reason = no_model(target)
    assert reason is not None
    assert target.name in reason
    assert all(chip in reason for chip in CHIPS)


def test_parameters_that_fill_psram_are_taken_to_stay_in_flash() -> None:
    build = Builder()
    x = build.input(1, 2048)
    weights = build.constant(np.zeros((1, 1, 2048, 3200), np.int8))
    build.node("Gemm", x, weights, build.constant(np.zeros(3200, np.int32)), lengths=(3200,))
    program = build.program("t0")
    assert usual_place(program, S3) == "flash"
    assert usual_place(program, P4) == "psram"
    found = latency(program, S3)
    assert found is not None
    assert found.parameters == "flash"
    assert found.single_ms == single(program, S3, "flash")


def test_errors_name_the_node() -> None:
    program = conv(16, 16).program("t0")
    broken = replace(program, nodes=(replace(program.nodes[0], op_type="Nonsense"),))
    with pytest.raises(ProgramError, match="t0"):
        latency(broken, S3)
