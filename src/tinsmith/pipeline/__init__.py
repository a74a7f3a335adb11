"""From a model and data to a quantized one; `order` alone knows the order of the stages."""

from tinsmith.pipeline.opening import Progress
from tinsmith.pipeline.order import run
from tinsmith.pipeline.quantizing import examine, quantize
from tinsmith.pipeline.refusing import refuse_illegal

__all__ = ["Progress", "examine", "quantize", "refuse_illegal", "run"]
