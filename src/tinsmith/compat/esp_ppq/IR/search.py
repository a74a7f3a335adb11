"""What changes and searches graphs, where scripts look for it."""

from tinsmith.compat.esp_ppq.IR import rewriting

__getattr__, __all__ = rewriting.__getattr__, rewriting.__all__
