"""Two runs of one network, tensor by tensor: where do a board, a file, a float model and a dump begin to differ?"""

from tinsmith.report.compare.comparing import compare
from tinsmith.report.compare.dumps import dump
from tinsmith.report.compare.result import Comparison, ConstantRow, TensorRow

__all__ = ["Comparison", "ConstantRow", "TensorRow", "compare", "dump"]
