"""Small helpers."""

from tinsmith.compat.esp_ppq.stand_ins import REWRITES, names

_HOMES = {
    "ppq_numerical_round": "utils.round",
    "ppq_round_to_power_of_2": "utils.round",
    "ppq_tensor_round": "utils.round",
}
__getattr__, __all__ = names(__name__, _HOMES, {REWRITES: ("process_attribute", "truncate_graph")})
