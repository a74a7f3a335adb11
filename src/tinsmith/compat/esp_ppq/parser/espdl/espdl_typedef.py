"""Facts about what was exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinsmith.compat.esp_ppq.core.defs import SingletonMeta
from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.program import Program


class EspQuantType:
    """The ``quant_type`` of nodes."""

    F32 = "F32"
    S16 = "S16"
    S8 = "S8"


class LayoutAnnotation:
    """Names of layouts."""

    UNKNOWN = "UNK"
    NCHW = "NCHW"
    NHWC = "NHWC"


class ExporterPatternInfo(metaclass=SingletonMeta):
    """Exponents, layouts and tables of the graph that was exported last. There is one object.

    Attributes:
        var_exponents: By name in the file: of values, weights and tables.
        var_layout: Layouts of weights, as the file names them.
        var_permute: Orders of dimensions that a script has put in.
        var_config: Configurations that a script has put in.
        luts: Tables, as tensors.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget it."""
        self.var_exponents: dict[str, list[int]] = {}
        self.var_layout: dict[str, Any] = {}
        self.var_permute: dict[str, list[int]] = {}
        self.var_config: dict[str, Any] = {}
        self.luts: dict[str, Any] = {}

    def fill(self, program: Program) -> None:
        """Forget it, and take what is in a program; tables only where torch is installed."""
        from tinsmith.extras import installed

        self.reset()
        for name, value in program.values.items():
            self.var_exponents[name] = list(value.exponents)
        for name, constant in program.constants.items():
            self.var_exponents[name] = list(constant.exponents)
            layout = constant.doc.partition("==>")[2].strip()
            if layout:
                self.var_layout[name] = layout
        tables = [node.attributes.get("lut") for node in program.nodes]
        if installed("torch"):
            named = [name for name in tables if isinstance(name, str) and name in program.constants]
            self.luts = {name: tensor(program.constants[name].data.reshape(-1)) for name in named}

    def get_var_exponents(self, var_name: str, default: Any = None) -> Any:
        """The exponents of a value or constant of the file."""
        return self.var_exponents.get(var_name, default)

    def get_var_layout(self, var_name: str, default: Any = None) -> Any:
        """The layout of a weight."""
        return self.var_layout.get(var_name, default)

    def get_var_permute(self, var_name: str, default: Any = None) -> Any:
        """What a script has put in."""
        return self.var_permute.get(var_name, default)

    def get_var_config(self, var_name: str, default: Any = None) -> Any:
        """What a script has put in."""
        return self.var_config.get(var_name, default)

    def get_lut(self, lut_name: str, default: Any = None) -> Any:
        """A table."""
        return self.luts.get(lut_name, default)

    def add_var_exponents(self, var_name: str, exponent: int | Sequence[int]) -> None:
        """Put something in; no file changes."""
        self.var_exponents[var_name] = [exponent] if isinstance(exponent, int) else list(exponent)

    def add_var_layout(self, var_name: str, layout: Any) -> None:
        """Put something in; no file changes."""
        self.var_layout[var_name] = layout

    def add_var_permute(self, var_name: str, perm: Sequence[int]) -> None:
        """Put something in; no file changes."""
        self.var_permute[var_name] = list(perm)

    def add_var_config(self, var_name: str, config: Any) -> None:
        """Put something in; no file changes."""
        self.var_config[var_name] = config

    def add_lut(self, lut_name: str, lut: Any, exponent: int | Sequence[int]) -> str:
        """Put something in; no file changes."""
        self.luts[lut_name] = lut
        self.add_var_exponents(lut_name, exponent)
        return lut_name
