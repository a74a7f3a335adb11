"""Layers to int16 where that pays: up to a budget, or until no more than a given drop is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.errors import QuantizationError
from tinsmith.pipeline.choosing import State, workshop
from tinsmith.pipeline.opening import Opened, Progress
from tinsmith.recipe import Recipe
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.algorithms.draft import Draft, Workshop
    from tinsmith.algorithms.judge import Judge
    from tinsmith.algorithms.layer_noise import LayerNoise
    from tinsmith.algorithms.promote import Promotion
    from tinsmith.calibrate.stage import Calibrated


def promote(
    opened: Opened, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
) -> tuple[State, tuple[str, ...]]:
    """The state with layers in int16 as the recipe's budget and drop say, and what that gained and costs.

    The budget bounds what may be promoted. Where a drop is given as well, no more is than it takes; else all that gains
    anything. Drops are measured on samples the weights were not fitted to, with labels on all samples.
    """
    if recipe.max_drop is None and recipe.int16_budget is None:
        return state, ()
    work = _Promoting.begin(opened, state, seen, recipe, target, tell)
    steps, met = work.steps()
    if not steps:
        return state, (work.nothing(met),)
    done = work.state(steps)
    better = work.noise_of(done.draft, done.widths) < work.noise_of(state.draft, state.widths)
    if recipe.max_drop is None and not better:
        return state, ("no layer was promoted: int16 within the budget does not bring the outputs closer.",)
    return done, work.told(steps, done, met)


@dataclass(frozen=True, slots=True, eq=False)
class _Promoting:
    before: State
    recipe: Recipe
    target: Target
    shop: Workshop
    judge: Judge
    labels: np.ndarray | None
    noise: LayerNoise
    order: tuple[Promotion, ...]
    tell: Progress

    @classmethod
    def begin(
        cls, opened: Opened, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
    ) -> _Promoting:
        """Rank the layers."""
        from tinsmith.algorithms.judge import Judge
        from tinsmith.algorithms.layer_noise import layer_noise
        from tinsmith.algorithms.promote import promotions, within_budget

        shop = workshop(opened, state, seen, recipe, target, tell)
        unseen = shop.judging or shop.samples
        noise = layer_noise(
            state.draft.unrounded,
            state.draft.network,
            state.draft.formats,
            state.widths,
            target,
            unseen,
            original=opened.network,
            corrected=bool(state.draft.fitted),
            progress=lambda done, total: tell("rank layers", done, total),
        )
        kept = {name for name, decision in state.placement.items() if decision.chosen}
        order = promotions(state.draft.network, noise, kept)
        if recipe.int16_budget is not None:
            order = within_budget(order, recipe.int16_budget)
        judge = Judge(opened.network, target, shop.samples if seen.labels is not None else unseen)
        return cls(state, recipe, target, shop, judge, seen.labels, noise, order, tell)

    def steps(self) -> tuple[tuple[Promotion, ...], bool]:
        """What is promoted, and whether the drop asked for is met with it."""
        from tinsmith.algorithms.promote import until

        if self.recipe.max_drop is None:
            return self.order, True
        if not self.order:
            return (), self.measured(frozenset()) <= self.recipe.max_drop
        found = until(self.order, self.recipe.max_drop, self.measured, self.noise.total)
        return (self.order, False) if found is None else (found[0], True)

    def measured(self, nodes: frozenset[str]) -> float:
        """The drop with these nodes in int16, in percent; infinite where there are no formats for that."""
        try:
            draft, widths = self.draft(nodes)
        except QuantizationError:
            return float("inf")
        return self.drop_of(draft, widths)

    def draft(self, nodes: frozenset[str]) -> tuple[Draft, dict[str, int]]:
        """Formats and weights with these nodes in int16, and the widths."""
        from tinsmith.algorithms.tune import apply

        before = self.before.draft
        if not nodes:
            return before, self.before.widths
        widths = self.noise.units.promoted(self.before.widths, nodes)
        formats = self.shop.choose(before.unrounded, widths, before.stats, before.steps)
        draft = replace(before, network=before.unrounded, formats=formats, fitted="")
        if before.fitted:
            draft = apply(draft, replace(self.shop, bits=widths), (before.fitted,))
        return draft, widths

    def drop_of(self, draft: Draft, widths: Mapping[str, int]) -> float:
        """What is lost of the outputs, in percent."""
        from tinsmith.algorithms.drop import drop

        answers = self.judge.answers(draft.network, draft.formats, widths)
        if answers is None:
            return float("inf")
        names = [operand.name for operand in self.judge.outputs]
        chip, wanted = (
            {name: np.stack([one[name] for one in found]) for name in names} for found in (answers, self.judge.wanted)
        )
        return drop(_rows(chip), _rows(wanted), self.labels)

    def noise_of(self, draft: Draft, widths: Mapping[str, int]) -> float:
        """Squared error over squared signal at the outputs."""
        return self.judge.noise(draft.network, draft.formats, widths)

    def state(self, steps: Sequence[Promotion]) -> State:
        """The state with steps taken."""
        from tinsmith.placement import Decision

        draft, widths = self.draft(frozenset[str]().union(*(step.nodes for step in steps)))
        share = {name: step.gain / self.noise.total for step in steps for name in step.nodes}
        placement = {
            name: decision
            if decision.bits == widths[name]
            else Decision("int16", f"promoted for {share[name]:.1%} of the output noise")
            for name, decision in self.before.placement.items()
        }
        named = replace(draft, name=f"{self.before.draft.name}, layers promoted")
        return replace(self.before, placement=placement, draft=named, won=named.name)

    def told(self, steps: Sequence[Promotion], done: State, met: bool) -> tuple[str, ...]:
        """What was gained and what it costs."""
        from tinsmith.report.choices import decibels

        kind = "accuracy lost" if self.labels is not None else "drop"
        was, now = (self.drop_of(state.draft, state.widths) for state in (self.before, done))
        quiet, loud = (decibels(self.noise_of(state.draft, state.widths)) for state in (done, self.before))
        count = sum(after != self.before.widths[name] for name, after in done.widths.items())
        layers = "one layer" if count == 1 else f"{count} layers"
        notes = [
            f"{layers} in int16 ({sum(step.share for step in steps):.1%} of the multiply-accumulates): "
            f"{kind} {was:.2f} → {now:.2f} points, {loud:.1f} → {quiet:.1f} dB at the outputs."
        ]
        if not met:
            notes.append(f"a drop of {self.recipe.max_drop:g} points is not reached{self._bound()}.")
        ends = [v.name for v in (*self.shop.network.inputs, *self.shop.network.outputs)]
        wide = [name for name in ends if self._widened(name, done)]
        if wide:
            notes.append(
                f"now int16 in the file: {', '.join(map(repr, wide))}. Scopes with bits = 8 keep layers in int8."
            )
        return tuple(notes)

    def nothing(self, met: bool) -> str:
        """Why nothing is promoted."""
        if self.recipe.max_drop is not None and met:
            return f"no layer had to go to int16: the drop is {self.measured(frozenset()):.2f} points."
        return f"no layer was promoted: none that gains anything fits{self._bound()}."

    def _bound(self) -> str:
        budget = self.recipe.int16_budget
        return "" if budget is None else f" within {budget:.1%} of the multiply-accumulates"

    def _widened(self, name: str, done: State) -> bool:
        before, after = (state.draft.formats.values.get(name) for state in (self.before, done))
        return before is not None and after is not None and after.bits > before.bits


def _rows(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Samples along axis 0, without a batch axis of one behind it."""
    return {name: array[:, 0] if array.ndim > 2 and array.shape[1] == 1 else array for name, array in outputs.items()}
