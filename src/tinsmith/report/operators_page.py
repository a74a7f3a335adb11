"""The manual's page of operators, written from the operators, the chips and the rewrites themselves."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType

from tinsmith.graph import definitions, passes
from tinsmith.ops import absent, operators
from tinsmith.ops.base import Operator, Precision
from tinsmith.ops.functions import FUNCTION
from tinsmith.ops.functions import OPERATORS as TABLES
from tinsmith.targets import CURRENT, OLDEST, TARGETS, Target

_SIGNS = re.compile(r"[\\*_\[\]](?!\|)")
_WIDTHS: tuple[Precision, ...] = ("int8", "int16", "float32")

_INTRO = f"""# Supported operators

<!-- Written by `make supported-operators` from the code; changes made by hand are lost. -->

What runs on which chip with ESP-DL {CURRENT}. `tinsmith check MODEL --target CHIP` says it of one model, node by node;
`tinsmith ops` prints this list for one chip and one version of ESP-DL. Operators are those of ONNX; a model may come
with any opset.

Every case of ONNX's own operator tests is quantized and simulated, in int8 and int16, or its refusal is looked up in a
table, each time the full test suite runs (design §12 has the counts)."""

_BESIDES = """## Operators that rewrites make runnable

The runtime has no module for these. Where the conditions of the rewrite hold, they become nodes that it has, with the
same results."""

_TABLES = """## Functions that become look-up tables

Functions of one variable without a module of their own are one table each, in int8 and int16, rounded once:"""

_SPELLED = (
    """The same holds for several element-wise nodes that together are a function of one variable, whatever they are."""
)

_ABSENT = """## Operators that are refused

No chip runs these, or only where a rewrite above takes them away:"""

_REWRITES = """## Other rewrites

What exporters spell out is recognized, and what the chip computes slowly or wrongly is written another way:"""

_FILES = """## Operators of files only

tinsmith writes them where they are needed, or finds them in files of other exporters; float models do without:"""

_RULES = """## Rules of the finished program

Formats and layouts are chosen so that these hold. They are checked before a file is written, and warned of where a file
of another exporter breaks them:"""


def operators_page() -> str:
    """The page, in Markdown."""
    chips = _families()
    own = {name: op for name, op in operators().items() if op.importable and op not in TABLES}
    files = {name: op for name, op in operators().items() if not op.importable}
    tables = [f"`{operator.name}`" for operator in TABLES if operator.name != FUNCTION]
    parts = [
        _INTRO,
        *_chips(chips),
        *_table(own, chips),
        *_limits(own),
        _TABLES,
        ", ".join(sorted(tables)) + ".",
        _SPELLED,
        _BESIDES,
        "\n".join(_enabled()),
        _ABSENT,
        "\n".join(_refused()),
        _REWRITES,
        "\n".join(f"- {_summary(module)}" for _, module in _rewrites() if not _enables(module)),
        _FILES,
        ", ".join(f"`{name}`" for name in files) + ".",
        _RULES,
        "\n".join(_rules()),
    ]
    return "\n\n".join(parts) + "\n"


def _families() -> dict[str, list[Target]]:
    found: dict[str, list[Target]] = {}
    for target in TARGETS.values():
        found.setdefault(target.family, []).append(target)
    return found


def _chips(chips: Mapping[str, Sequence[Target]]) -> Iterator[str]:
    yield "## Chips"
    rows = [
        (family, ", ".join(f"`{target.name}`" for target in members), _list(_at_most(members[0])))
        for family, members in chips.items()
    ]
    yield _markdown(("family", "chips", "what to know"), rows)


def _at_most(target: Target) -> Iterator[str]:
    yield f"rounds {target.rounding.value}"
    yield "one exponent per output channel of weights" if target.per_channel else "one exponent per tensor of weights"
    for bits, unit in target.linear.items():
        saturates = ", saturating" if unit.vector.saturation.value != "never" else ""
        yield f"int{bits} sums of {unit.vector.bits} bits{saturates}, biases of {unit.bias_bits}"


def _table(own: Mapping[str, Operator], chips: Mapping[str, Sequence[Target]]) -> Iterator[str]:
    yield "## Operators"
    rows = [
        (f"`{name}`", *(_where(operator, width, chips) for width in _WIDTHS), _since(operator))
        for name, operator in own.items()
    ]
    yield "A cell says *yes* where every chip has it, else it names the families that do."
    yield _markdown(("operator", *_WIDTHS, "ESP-DL"), rows)


def _where(operator: Operator, width: Precision, chips: Mapping[str, Sequence[Target]]) -> str:
    has = [family for family, members in chips.items() if width in operator.available(members[0])]
    return "yes" if len(has) == len(chips) else ", ".join(has)


def _since(operator: Operator) -> str:
    """The first version, where that is not the oldest known; another one for floats in brackets."""
    first = [operator.first_version(width) for width in _WIDTHS if width in operator.types]
    if max(first) == OLDEST:
        return ""
    since = f"≥ {min(first)}" if min(first) > OLDEST else ""
    return since if max(first) == min(first) else f"{since} (float32 ≥ {max(first)})".strip()


def _limits(own: Mapping[str, Operator]) -> Iterator[str]:
    yield "## Limits of operators"
    yield "Checked before any calibration; the text is what the error says. Operators that are not listed have none."
    for names, limits in _shared((name, tuple(c.message for c in op.constraints)) for name, op in own.items()):
        yield f"{', '.join(f'`{name}`' for name in names)}\n\n" + "\n".join(f"- {_text(limit)}" for limit in limits)


def _shared(items: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[list[str], tuple[str, ...]]]:
    """Names with the same texts together, those without any left out."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, texts in items:
        if texts:
            found.setdefault(texts, []).append(name)
    return [(names, texts) for texts, names in found.items()]


def _refused() -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for name in sorted(absent.known() - operators().keys()):
        found.setdefault(absent.reason(name).partition(". ")[2], []).append(name)
    for way_out, names in found.items():
        yield f"- {', '.join(f'`{name}`' for name in names)}: {_text(way_out)}"


def _rules() -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for name, operator in operators().items():
        for rule in operator.rules:
            text = (rule.__doc__ or "").strip().split("\n\n")[0]
            if text:
                found.setdefault(" ".join(text.split()), []).append(name)
    for text, names in found.items():
        yield f"- {_text(text)} *({', '.join(dict.fromkeys(names))})*"


def _rewrites() -> Iterator[tuple[str, ModuleType]]:
    for module in pkgutil.iter_modules(passes.__path__):
        yield module.name, importlib.import_module(f"{passes.__name__}.{module.name}")


def _enables(module: ModuleType) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(module, "ENABLES", ())
    return found


def _enabled() -> Iterator[str]:
    rows = [
        (", ".join(f"`{name}`" for name in _enables(module)), _summary(module))
        for module in (definitions, *(module for _, module in _rewrites()))
        if _enables(module)
    ]
    yield _markdown(("operator", "becomes"), sorted(rows))


def _summary(module: ModuleType) -> str:
    """The first paragraph of what a rewrite says about itself."""
    return _text(" ".join((module.__doc__ or "").strip().split("\n\n")[0].split()))


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines])


def _list(parts: Iterable[str]) -> str:
    return "; ".join(parts)


def _text(text: str) -> str:
    """Text that Markdown shows as it is; what stands in backticks stays code."""
    parts = text.replace("|", "\\|").split("`")
    for index in range(0, len(parts), 2):
        parts[index] = _SIGNS.sub(r"\\\g<0>", parts[index]).replace("<", "&lt;")
    return "`".join(parts)
