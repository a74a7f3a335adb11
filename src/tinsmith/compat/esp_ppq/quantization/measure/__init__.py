"""How far two tensors are apart."""

from tinsmith.compat.esp_ppq.stand_ins import names

_HOMES = {
    "numpy_cosine_similarity": "quantization.measure.cosine",
    "torch_cosine_similarity": "quantization.measure.cosine",
    "torch_cosine_similarity_as_loss": "quantization.measure.cosine",
    "torch_mean_square_error": "quantization.measure.norm",
    "torch_snr_error": "quantization.measure.norm",
    "torch_KL_divergence": "quantization.measure.statistic",
}

__getattr__, __all__ = names(__name__, _HOMES)
