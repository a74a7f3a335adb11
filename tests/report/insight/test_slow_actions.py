"""What to do about slow layers, and what the terminal shows of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tinsmith
from tests.small_net import classifier, images
from tinsmith.report.insight.lines import verdict_lines
from tinsmith.report.insight.schema import Action, Insight, Layer, Slow, Speed
from tinsmith.report.insight.slow_actions import saves_time, slow_actions

SPEED = Speed(100.0, 60.0, 0.04, 0.1)


def layer(name: str, gain: float) -> Layer:
    slow = Slow(f"{name} is odd.", "Make it even.", gain)
    return Layer(name, "Conv", "int8", "", (), (), (), (1,), 1, 1, 1, 20.0, 10.0, slow=slow)


def test_layers_of_one_remedy_come_together_and_the_first_is_named() -> None:
    (action,) = slow_actions((layer("a", 4.0), layer("b", 6.0)), SPEED)
    assert action.title == "Save about 10.0 ms of 100 ms"
    assert action.why == "2 layers, the first 'a': a is odd. Make it even."
    assert action.layers == ("a", "b")
    assert saves_time(action)


@pytest.mark.parametrize(("gain", "whole", "count"), [(1.9, 100.0, 0), (2.0, 100.0, 1), (0.05, 0.1, 0)])
def test_what_saves_little_is_not_proposed(gain: float, whole: float, count: int) -> None:
    assert len(slow_actions((layer("a", gain),), replace(SPEED, single_ms=whole))) == count


def _whole(actions: tuple[Action, ...]) -> Insight:
    data = images(9)
    found = tinsmith.insight(tinsmith.quantize(classifier(), np.asarray(data), effort="fast"))
    return replace(found, actions=actions)


def test_the_terminal_shows_three_actions_one_of_them_for_speed() -> None:
    faster = slow_actions((layer("a", 9.0),), SPEED)
    wider = tuple(Action(f"Widen {index}", "Because.", f"tinsmith {index}", "3 dB") for index in range(4))
    text = "\n".join(verdict_lines(_whole((*wider, *faster))))
    assert "Widen 1 (3 dB)\n" in text
    assert "Widen 2" not in text
    assert "Save about 9.00 ms" in text
    assert "Make it even." in text
    assert "2 more in the report" in text
    assert "more in the report" not in "\n".join(verdict_lines(_whole(wider[:3])))


def test_long_names_do_not_fill_the_terminal() -> None:
    name = "a b\n" + "x" * 200 + "end"
    odd = replace(layer(name, 9.0), slow=Slow("it is odd.", "Make it even.", 9.0))
    found = _whole(slow_actions((odd,), SPEED))
    lines = verdict_lines(replace(found, layers=(replace(found.layers[0], name=name),)))
    brief = "a b\\n" + "x" * 24 + "…" + "x" * 27 + "end"
    assert any(line.startswith(f"time in    {brief}  ") for line in lines)
    assert any(f": '{brief}': it is odd." in line for line in lines)
    assert all(line.isprintable() for line in lines)
