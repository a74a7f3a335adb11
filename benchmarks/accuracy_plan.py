"""What the accuracy comparison measures, and the bounds it is held against: data only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from networks import TAKEN
from outcomes import OURS, PEER, Outcome, Run

NETWORKS = (
    "efficientnet_lite0",
    "mobilenetv2",
    "signdigits",
    "resnet8",
    "kws",
    "vww",
    "mnist_lstm",
    "fsdd_gru",
    "fsdd_transformer",
)
TARGETS = ("esp32s3", "esp32p4")
GROUPS = ("efforts", "int16", "ablation", "draws", "peer")
"""What can be measured, in the order in which it is."""

EFFORTS: dict[str, dict[str, Any]] = {
    "fast": {"effort": "fast"},
    "default": {},
    "best": {"effort": "best"},
}
INT16: dict[str, dict[str, Any]] = {
    "int16 for 15 % of MACs": {"int16_budget": 0.15},
    "all int16": {"bits": 16},
}
"""Rows with 16-bit layers: arguments of `tinsmith.quantize`."""
ALONE = ("equalize", "round", "correct_bias", "search", "classic_equalize", "absorb_bias")
"""Algorithms, each of which is measured alone."""
COMBINED = (
    ("equalize", "round"),
    ("equalize", "correct_bias"),
    ("classic_equalize", "round"),
    ("classic_equalize", "correct_bias"),
    ("absorb_bias", "equalize", "round"),
    ("equalize", "search", "round"),
)
"""Algorithms applied one after the other: those of default effort, that with others in the place of each, and more."""
DRAWS = range(5)

UNTRAINED = (
    "default",
    "minmax",
    "percentile",
    "mse",
    "equalization",
    "equalization-relu",
    "bias-correction",
    "minmax-bias",
    "equalization-bias",
)
"""Recipes of esp-ppq that leave every layer in int8 and train nothing."""
MIXED = ("mixed", "mixed-5")
TRAINED = ("tqt",)
TIMED = ("default", "equalization", "bias-correction", "mixed", "tqt")
"""Recipes whose time is shown beside ours."""
WITH_RELU6 = ("efficientnet_lite0", "mobilenetv2", "signdigits")


@dataclass(frozen=True)
class Bound:
    """What a row has to keep; each part that is given.

    Attributes:
        accuracy: At least so many percent.
        drop: At most so many points below the float network.
        flips: Or at most so many net flips, where one sample is worth more than the drop allows.
    """

    accuracy: float | None = None
    drop: float | None = None
    flips: int | None = None

    def __str__(self) -> str:
        parts = [] if self.accuracy is None else [f"≥ {self.accuracy:g} %"]
        parts += [] if self.drop is None else [f"float − {self.drop:g}" if self.drop else "float"]
        parts += [] if self.flips is None else [f"{self.flips} flips"]
        return " or ".join(parts)

    def missing(self, outcome: Outcome) -> float:
        """Points by which an outcome misses it; 0 where it is kept."""
        if self.flips is not None and outcome.net_flips <= self.flips:
            return 0.0
        floors = [] if self.accuracy is None else [self.accuracy]
        floors += [] if self.drop is None else [outcome.float_accuracy - self.drop]
        return max(0.0, *(floor - outcome.accuracy for floor in floors))


def bounds(network: str, target: str, row: str) -> tuple[Bound, Bound] | None:
    """What a row of ours must keep and what it aims at; None where nothing is set."""
    named = _NAMED.get((network, target), {})
    if row in named:
        return named[row]
    return None if named or row != "default" else _SEQUENCES if network in SEQUENCES else _SMALL


SEQUENCES = ("mnist_lstm", "fsdd_gru", "fsdd_transformer")
_SMALL = (Bound(drop=0.5, flips=2), Bound(drop=0.0))
_SEQUENCES = (Bound(drop=1.0), Bound(drop=0.3))
_INT16 = "int16 for 15 % of MACs"
_NAMED: dict[tuple[str, str], dict[str, tuple[Bound, Bound]]] = {
    ("efficientnet_lite0", "esp32s3"): {
        "default": (Bound(accuracy=88.5), Bound(drop=0.5)),
        "best": (Bound(accuracy=89.5), Bound(drop=0.5)),
        _INT16: (Bound(drop=1.0), Bound(drop=1.0)),
    },
    ("efficientnet_lite0", "esp32p4"): {"default": (Bound(drop=0.6), Bound(drop=0.1))},
    ("mobilenetv2", "esp32s3"): {
        "default": (Bound(accuracy=72.0), Bound(drop=1.0)),
        _INT16: (Bound(drop=1.0), Bound(drop=1.0)),
    },
    ("mobilenetv2", "esp32p4"): {"default": (Bound(drop=1.2), Bound(drop=0.3))},
}


def planned(groups: Sequence[str], networks: Sequence[str], targets: Sequence[str], most: int | None) -> Iterator[Run]:
    """The runs of some groups, network by network, so that the data of each are read once."""
    for network in networks:
        for group in groups:
            for target in targets:
                yield from _of_group(group, network, target, most)


def _of_group(group: str, network: str, target: str, most: int | None) -> Iterator[Run]:
    if group == "peer":
        for recipe in (*UNTRAINED, *MIXED, *TRAINED):
            if network in WITH_RELU6 or "relu" not in recipe:
                yield Run(network, target, PEER, recipe, {"recipe": recipe}, most=most)
    elif group == "draws":
        for draw in DRAWS if network in TAKEN else ():
            yield Run(network, target, OURS, "default", {}, draw, most)
    else:
        rows = {"efforts": EFFORTS, "int16": INT16, "ablation": ablation()}[group]
        for row, options in rows.items():
            yield Run(network, target, OURS, row, options, most=most)


def ablation() -> dict[str, dict[str, Any]]:
    """Each algorithm alone, and several in a row."""
    plans = [*((name,) for name in ALONE), *COMBINED]
    return {" + ".join(names): {"algorithms": list(names)} for names in plans}
