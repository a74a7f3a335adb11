"""From a model to a network whose nodes have a place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tinsmith.errors import RecipeError, UnsupportedError
from tinsmith.pipeline.fitting import fitted, refuse_unknown_cache
from tinsmith.recipe import Recipe, Split
from tinsmith.targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.algorithms.split_outputs import PartedLayer
    from tinsmith.importers.hints import Hints
    from tinsmith.ops.floatnode import Network
    from tinsmith.placement import Decision

Progress = Callable[[str, int, int | None], None]
"""Called with the stage's name, how far it is, and how far it goes (None: unknown)."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A model in canonical form, which precision its nodes start in, and which layers were made to fit the cache."""

    model: ir.Model
    network: Network
    placement: Mapping[str, Decision]
    notes: tuple[str, ...]
    parted: tuple[PartedLayer, ...] = ()

    @property
    def widths(self) -> dict[str, int]:
        """Width of each node by name."""
        return {name: decision.bits for name, decision in self.placement.items()}


def hints_for(recipe: Recipe, data: Any, example_input: Any) -> Hints:
    """What is known of the inputs of a model that does not say itself."""
    from tinsmith.calibrate.peek import first_samples
    from tinsmith.importers.hints import Hints

    look = None if data is None else partial(first_samples, data, recipe.preprocessing.layout)
    return Hints(example_input, recipe.input_shapes, look)


def open_model(model: Any, recipe: Recipe, target: Target, tell: Progress, hints: Hints | None = None) -> Opened:
    """Read, bring into canonical form, place."""
    from tinsmith import importers
    from tinsmith.graph.canonical import canonicalize
    from tinsmith.graph.functions import small_tables, without_functions
    from tinsmith.graph.head import head_notes, way_out
    from tinsmith.graph.network import network
    from tinsmith.importers.notes import notes

    refuse_unknown_cache(recipe, target)
    tell("read the model", 0, None)
    source = importers.load(model, hints)
    with way_out(source, bool(recipe.outputs)):
        canonical = canonicalize(source, input_shapes=recipe.input_shapes or None, outputs=recipe.outputs or None)
        canonical, done = _split(canonical, recipe.splits)
        net = network(canonical)
        placement = _placed(net, recipe, target)
        parted: tuple[PartedLayer, ...] = ()
        if recipe.fit_cache:
            found = fitted(canonical, placement, target)
            canonical, parted = found.model, found.layers
            net = network(canonical)
            placement = _placed(net, recipe, target)
    small = small_tables(net, {name: decision.bits for name, decision in placement.items()}, target)
    if small:
        net = without_functions(net, small)
        placement = _placed(net, recipe, target)
    heads = () if recipe.outputs else head_notes(source)
    return Opened(canonical, net, placement, (*notes(source), *done, *heads), parted)


def _split(model: ir.Model, splits: Sequence[Split]) -> tuple[ir.Model, tuple[str, ...]]:
    """The model with layers split as the recipe says, and what that costs."""
    from tinsmith.algorithms.split_channels import ChannelSplitOptions, split_channels
    from tinsmith.algorithms.split_layers import SplitOptions, split_layers

    notes: list[str] = []
    for number, split in enumerate(splits, 1):
        chosen: dict[str, Any] = split.model_dump(exclude_none=True, exclude={"layers", "method"})
        with _of_table(f"split {number}"):
            if split.method == "channels":
                options = ChannelSplitOptions(interested_layers=split.layers, **chosen)
                doubled = split_channels(model, options)
                model = doubled.model
                names = [name for found in doubled.doubled for name in found.before]
                extra = doubled.extra
            else:
                halves = split_layers(model, SplitOptions(split.layers, method=split.method, **chosen))
                model = halves.model
                names = [found.layer for found in halves.layers]
                extra = halves.extra
        cost = f"{extra.macs:,} multiply-accumulates and {extra.weights:,} weights more"
        what = ", ".join(map(repr, names)) if names else "nothing, no weight is that large"
        notes.append(f"split {number} ({split.method}): {what}; {cost}.")
    return model, tuple(notes)


@contextmanager
def _of_table(subject: str) -> Iterator[None]:
    """Errors name the table of the recipe."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(error.reason, subject=subject, hint=error.hint) from error


def _placed(net: Network, recipe: Recipe, target: Target) -> dict[str, Decision]:
    """The placement; where it fails and the file fixes a larger batch, that is the first thing to try."""
    from tinsmith.placement import place

    try:
        return place(net, target, bits=recipe.bits, int16=recipe.int16, scopes=recipe.scopes)
    except UnsupportedError as error:
        batches = [operand for operand in net.inputs if len(operand.shape) > 2 and operand.shape[0] > 1]
        if not batches or error.hint:
            raise
        shapes = " ".join(f"--input-shape {one.name}={','.join(map(str, (1, *one.shape[1:])))}" for one in batches)
        first = f"If the model's first dimension, {batches[0].shape[0]}, is a batch: "
        hint = f"{first}{shapes}; or export it with a batch of 1, where shapes inside depend on it."
        raise UnsupportedError(error.reason, subject=error.subject, hint=hint) from error
