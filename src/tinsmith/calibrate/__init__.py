"""What the float network's values look like on real data, and the exponents that follow."""

from tinsmith.calibrate.constants import ChannelStats, choose_exponents, constant_stats, fill_dead
from tinsmith.calibrate.exponents import METHODS, PERCENTILE, choose_exponent, error_of, method_named
from tinsmith.calibrate.inputs import InputSpec, input_specs
from tinsmith.calibrate.observe import observe
from tinsmith.calibrate.sources import DataSource, open_data
from tinsmith.calibrate.stats import Candidates, Channels, Histogram, Stats, ValueStats

__all__ = [
    "METHODS",
    "PERCENTILE",
    "Candidates",
    "ChannelStats",
    "Channels",
    "DataSource",
    "Histogram",
    "InputSpec",
    "Stats",
    "ValueStats",
    "choose_exponent",
    "choose_exponents",
    "constant_stats",
    "error_of",
    "fill_dead",
    "input_specs",
    "method_named",
    "observe",
    "open_data",
]
