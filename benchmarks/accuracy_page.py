"""The manual's page of the accuracy comparison, from kept outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import accuracy_tables as tables
from accuracy_tables import Table
from networks import TAKEN
from outcomes import OURS, PEER, Outcome

HEAD = """# Accuracy

What quantization costs on the chip. Every number is what the chip computes: the exact simulator runs the program, or a
peer's `.espdl` file, on all held samples. Calibration sees 64 samples that are not among them. Labels are used for this
page only: nothing here is tuned by them.

- **float %**, **accuracy %**: held samples whose largest output is at the right class.
- **− float**: how much more often the chip is right than the float network, in points: the mean over the held samples
  of (chip right − float right), with its standard error, the standard deviation of these differences / √samples.
  **ahead by** is the same for two files.
- **agreement %**: held samples on which chip and float network answer the same. **net flips**: samples that only the
  float network has right, less those that only the chip has right.
- **SNR dB**: signal to noise ratio of the outputs over all held samples.
- **seconds**: wall time of quantizing, without reading the data and without writing files. **\\***: other
  work kept the processor busy; on a quiet machine it takes less.
- **bound**: what a row is held to, and by how many points it misses that; **aim**: what it is meant to reach.
"""

RECIPES = """\
esp-ppq's recipes, each with batches of one sample, two threads and seeded random numbers:

- *default*: what `espdl_quantize_onnx` does by itself. *minmax*, *percentile*, *mse*: with that calibration.
- *equalization*: with the numbers of Espressif's MobileNetV2 tutorial (6 iterations, threshold 0.5, level 2).
  *equalization-relu*: the same after turning ReLU6 into ReLU, as that tutorial does.
- *bias-correction*: on top of the default; *minmax-bias* and *equalization-bias* on top of those.
- *mixed*: the layer with the largest layerwise error and its activation in int16, as in the tutorial; *mixed-5*: the
  five largest. The analysis is part of the time.
- *tqt*: thresholds and weights trained, 500 steps for each block.

*own executor*: the chip cannot run the file, and the figures are of esp-ppq's own executor.
"""

ABLATION = """\
Algorithms named in a recipe are applied one after the other, whatever comes of it. The efforts judge: they keep what
brings the outputs on the chip closest to those of the float network, and *fast* changes no weights.
"""

DRAWS = """\
Default effort with five other sets of 64 calibration samples, drawn at random with fixed seeds. Where the data have no
more than 64 calibration samples, the last held samples join the pool and are evaluated for none of the five:
{taken}. So these figures do not compare with those above.
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The page, in Markdown."""
    places = tables.by_place(outcomes)
    shown = [one for found in places.values() for one in found]
    parts = [HEAD, _circumstances(shown), _section(tables.summary(places)), _section(tables.times(places))]
    parts += ["## Each network and chip\n\n" + RECIPES] if shown else []
    parts += [_section(table, level=3) for table in tables.details(places)]
    parts += _with_words("What the algorithms add", ABLATION, tables.ablation(places))
    drawn = [table for table in [tables.draws(places)] if table.rows]
    taken = ", ".join(f"{count} of {name}" for name, count in TAKEN.items() if count)
    parts += _with_words("Other calibration samples", DRAWS.format(taken=taken), drawn)
    return "\n".join(parts)


def _circumstances(shown: Iterable[Outcome]) -> str:
    found = list(shown)
    days = sorted({one.measured for one in found if one.measured})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "never"
    versions = {
        tool: sorted({one.version for one in found if one.run.tool == tool and one.version}) for tool in (OURS, PEER)
    }
    told = [f"{tool} {', '.join(known)}" for tool, known in versions.items() if known]
    where = "; ".join(sorted({one.machine for one in found if one.machine}))
    lines = [f"Measured {when} with {' and '.join(told) or 'nothing yet'}, on {where or 'no machine'}."]
    if len(versions[OURS]) > 1:
        lines.append("Rows of tinsmith come from different states of its code.")
    return "\n".join(lines) + "\n"


def _with_words(heading: str, words: str, shown: Sequence[Table]) -> list[str]:
    return [f"## {heading}\n\n{words}", *(_section(table, level=3) for table in shown)] if shown else []


def _section(table: Table, level: int = 2) -> str:
    return f"{'#' * level} {table.title}\n\n{_markdown(table)}" if table.rows else ""


def _markdown(table: Table) -> str:
    lines = [_row(table.columns), _row(["---"] + ["---:"] * (len(table.columns) - 1))]
    lines += [_row(cells) for cells in table.rows]
    lines += ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
