"""What is searched, and how."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.autoquant.candidates import DIRECTIONS, low_latency_candidate_filter
from tinsmith.errors import FormatError, RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting

Record = dict[str, Any]
MODES = ("exhaustive", "fast")


class AutoQuantSearchSetting:
    """What is searched, and how.

    Args:
        num_of_candidates: How many of the best are kept.
        search_mode: ``exhaustive``: all combinations; ``fast``: first calibration methods and widths alone, then the
            rest for the best strategies, until nothing gets better.
        candidate_filter: Of records: half of those kept pass it, half do not, where there are both. None: the best.
        score_direction: ``maximize`` or ``minimize``.
        run_dir: Where everything that was tried is kept.
        resume: Go on with what is there.

    Attributes:
        strategy_space: By module, whether it is on: ``[True]``, ``[False]`` or both.
        param_space: By module and option, the values to try where it is on: a list, or (first, last, step).
        quant_setting: What to start from; the defaults where it is None.
        top_strategy: Of ``fast``: how many strategies are looked at further.
        early_stop_patience: Of ``fast``: how many tries without a gain end that.
        structural_knobs: Of ``fast``: the options that are tried first.

    Modules are those of esp-ppq, and two of tinsmith: ``effort``, and ``int16_budget``, the share of
    multiply-accumulates that layers chosen by what they do to the outputs may do in int16. Off by default are
    ``weight_equalization``, since every effort equalizes and the classic way is a narrower one, and what needs
    gradients (``tqt``, ``blockwise_reconstruction``).
    """

    def __init__(
        self,
        num_of_candidates: int = 5,
        search_mode: str = "exhaustive",
        candidate_filter: Callable[[Record], bool] | None = low_latency_candidate_filter,
        score_direction: str = "maximize",
        run_dir: str = "outputs/auto_quant",
        resume: bool = False,
    ) -> None:
        self.num_of_candidates = num_of_candidates
        self.search_mode = search_mode
        self.candidate_filter = candidate_filter
        self.score_direction = score_direction
        self.run_dir = run_dir
        self.resume = resume
        self.quant_setting: QuantizationSetting | None = None
        self.top_strategy = 10
        self.early_stop_patience = 3
        self.structural_knobs: dict[str, list[str]] = {"calib_algorithm": ["method"], "num_of_bits": ["value"]}
        self.strategy_space: dict[str, list[bool]] = {
            "num_of_bits": [True],
            "calib_algorithm": [True],
            "effort": [True],
            "weight_equalization": [False],
            "horizontal_layer_split": [False],
            "bias_correction": [True],
            "mixed_precision": [False],
            "int16_budget": [False],
            "tqt": [False],
            "fusion_alignment": [True],
            "blockwise_reconstruction": [False],
        }
        self.param_space: dict[str, dict[str, Any]] = {
            "num_of_bits": {"value": [8]},
            "calib_algorithm": {"method": ["mse", "kl", "percentile"]},
            "effort": {"value": ["default", "best"]},
            "weight_equalization": {"iterations": [10, 50, 100], "value_threshold": [0.1, 0.5, 2], "opt_level": [2]},
            "horizontal_layer_split": {"topk": [1], "value_threshold": [0.1, 0.2]},
            "bias_correction": {"block_size": [4], "steps": [32], "topk": [-1]},
            "mixed_precision": {"topk": [3]},
            "int16_budget": {"share": [0.05, 0.1]},
            "tqt": {
                "lr": [1e-5],
                "steps": [500],
                "block_size": [4],
                "is_scale_trainable": [True],
                "gamma": [0.0],
                "int_lambda": [0.0],
                "collecting_device": ["cpu"],
                "topk": [-1],
            },
            "fusion_alignment": {
                "elementwise_to": ["Align to Output"],
                "concat_to": ["Align to Output"],
                "avgpooling_to": ["None"],
                "resize_to": ["Align to Output"],
                "force_overlap": [False],
            },
            "blockwise_reconstruction": {
                "is_scale_trainable": [False],
                "topk": [-1],
                "block_size": [4],
                "steps": [1000],
                "lr": [1e-4],
                "gamma": [1.0],
                "collecting_device": ["cpu"],
            },
        }

    def check(self) -> None:
        """Refuse what cannot be searched.

        Raises:
            RecipeError: Names the option.
        """
        if self.search_mode not in MODES:
            raise _none("search_mode", self.search_mode, MODES)
        if self.score_direction not in DIRECTIONS:
            raise _none("score_direction", self.score_direction, DIRECTIONS)
        for name in ("num_of_candidates", "top_strategy", "early_stop_patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise RecipeError(f"is {value!r}.", subject=f"setting.{name}", hint="Give a number from 1 on.")


def load_best_setting(
    candidates_file: str | Path,
    run_dir: str | None = None,
    resume: bool = False,
    score_direction: str = "maximize",
    candidate_index: int = 0,
) -> AutoQuantSearchSetting:
    """The setting that tries one candidate of an earlier search, and no other.

    Args:
        candidates_file: ``candidates.json`` of that search, best first.
        run_dir: Where to keep what is tried; ``best`` beside the file by default.
        resume: Go on with what is there.
        score_direction: Of the new search.
        candidate_index: Which one.

    Raises:
        FormatError: The file cannot be read, or has no such candidate.
        RecipeError: There is no such direction.
    """
    path = Path(candidates_file)
    records = read_records(path)
    if not 0 <= candidate_index < len(records):
        raise FormatError(f"has {len(records)} candidates, and no number {candidate_index}.", subject=str(path))
    best = records[candidate_index]
    setting = AutoQuantSearchSetting(
        num_of_candidates=1,
        score_direction=score_direction,
        run_dir=str(path.parent / "best") if run_dir is None else run_dir,
        resume=resume,
    )
    setting.check()
    strategy, params = best.get("strategy"), best.get("params")
    if not isinstance(strategy, Mapping) or not isinstance(params, Mapping) or not strategy:
        raise FormatError(f"candidate {candidate_index} has no strategy.", subject=str(path))
    setting.strategy_space = {name: [bool(value)] for name, value in strategy.items()}
    for name, options in params.items():
        if isinstance(options, Mapping):
            setting.param_space[name] = {option: [value] for option, value in options.items()}
    return setting


def read_records(path: Path) -> list[Record]:
    """The records in a file of a search.

    Raises:
        FormatError: It cannot be read, or is no list of records.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no JSON: {error}.", subject=str(path)) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FormatError("is no list of records.", subject=str(path))
    return found


def _none(name: str, value: Any, known: tuple[str, ...]) -> RecipeError:
    hint = f"Choose {' or '.join(map(repr, known))}."
    return RecipeError(f"there is no {value!r}.", subject=f"setting.{name}", hint=hint)
