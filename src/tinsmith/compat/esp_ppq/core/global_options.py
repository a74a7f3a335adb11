"""`PPQ_CONFIG`."""

from __future__ import annotations

from tinsmith import __version__


class PPQ_GLOBAL_CONFIGURATION:
    """Switches of esp-ppq, to read and to set; none has an effect."""

    def __init__(self) -> None:
        self.NAME = "tinsmith"
        self.VERSION = __version__
        self.USING_CUDA_KERNEL = False
        self.DUMP_VALUE_WHEN_EXPORT = True
        self.EXPORT_PPQ_INTERNAL_INFO = False
        self.PPQ_DEBUG = False


PPQ_CONFIG = PPQ_GLOBAL_CONFIGURATION()
