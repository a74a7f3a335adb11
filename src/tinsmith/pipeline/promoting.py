"""Layers to int16 where that pays: up to a budget, or until no more than a given drop is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.errors import QuantizationError
from tinsmith.pipeline.choosing import State, workshop
from tinsmith.pipeline.opening import Opened, Progress
from tinsmith.recipe import Recipe
from tinsmith.targets import Target
from tinsmith.units import percent

if TYPE_CHECKING:
    from tinsmith.algorithms.draft import Draft, Workshop
    from tinsmith.algorithms.judge import Judge
    from tinsmith.algorithms.layer_noise import LayerNoise
    from tinsmith.algorithms.promote import Promotion
    from tinsmith.calibrate.stage import Calibrated
    from tinsmith.ops.floatnode import Operand
    from tinsmith.report.labels import Labels

Outputs = Sequence[Mapping[str, np.ndarray]]
Steps = tuple["Promotion", ...]

_SMALLEST_SHARE = 0.001
"""Smaller shares of the noise are not told apart."""


def promote(
    opened: Opened, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
) -> tuple[State, tuple[str, ...]]:
    """The state with layers in int16 as the recipe's budget and drop say, and what that gained and costs.

    The budget bounds what may be promoted. Where a drop is given as well, no more is than it takes; else all that gains
    anything. Noise, and drops without labels, are measured on samples the weights were not fitted to, drops with labels
    on all. Nothing is promoted that the chip would refuse, nor, unless it meets a drop, what leaves more noise.
    """
    if recipe.max_drop is None and recipe.int16_budget is None:
        return state, ()
    work = _Promoting.begin(opened, state, seen, recipe, target, tell)
    if recipe.max_drop is None or work.drop(frozenset()) > recipe.max_drop:
        work = work.ranked(opened)
    steps = work.steps()
    done = work.trial(_nodes(steps))
    if not steps or done is None:
        return state, (*work.nothing(), *work.too_few())
    return work.state(steps, done), (*work.told(steps, done), *work.too_few())


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """What becomes of the network with some nodes in int16.

    Attributes:
        draft: Formats and weights.
        widths: Width of each node by name.
        noise: Squared error over squared signal at the outputs.
        drop: What is lost of the outputs, in percent.
    """

    draft: Draft
    widths: Mapping[str, int]
    noise: float
    drop: float


@dataclass(frozen=True, slots=True, eq=False)
class _Promoting:
    """Tries what becomes of a state with layers in int16.

    Attributes:
        before: The state.
        recipe: What is asked for.
        target: The chip.
        shop: What there is to make drafts with.
        judge: Of samples that weights were not fitted to.
        noise: Where the noise comes from; empty as long as nothing is ranked.
        order: What is promoted first, likewise.
        whole: Of all samples that are kept.
        labels: Their classes.
        known: What was tried, by nodes in int16.
    """

    before: State
    recipe: Recipe
    target: Target
    shop: Workshop
    judge: Judge
    noise: LayerNoise
    order: Steps
    whole: Judge
    labels: Labels | None
    known: dict[frozenset[str], _Trial | None] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, opened: Opened, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
    ) -> _Promoting:
        """Nothing is ranked yet."""
        from tinsmith.algorithms.judge import Judge
        from tinsmith.algorithms.layer_noise import LayerNoise
        from tinsmith.algorithms.units import units

        shop = workshop(opened, state, seen, recipe, target, tell)
        unseen = shop.judging or shop.samples
        judge, whole = (Judge(opened.network, target, some) for some in (unseen, seen.samples))
        nothing = LayerNoise((), units(state.draft.network, state.widths, target))
        return cls(state, recipe, target, shop, judge, nothing, (), whole, seen.labels)

    def ranked(self, opened: Opened) -> _Promoting:
        """With the layers in order."""
        from tinsmith.algorithms.layer_noise import layer_noise
        from tinsmith.algorithms.promote import promotions

        draft = self.before.draft
        noise = layer_noise(
            draft.unrounded,
            draft.network,
            draft.formats,
            self.before.widths,
            self.target,
            self.judge.samples,
            original=opened.network,
            corrected=bool(draft.fitted),
            progress=lambda done, total: self.shop.progress("rank layers", done, total),
        )
        kept = {name for name, decision in self.before.placement.items() if decision.chosen}
        budget = 1.0 if self.recipe.int16_budget is None else self.recipe.int16_budget
        return replace(self, noise=noise, order=promotions(draft.network, noise, kept, budget))

    @property
    def start(self) -> _Trial | None:
        """What there is before anything is promoted."""
        return self.trial(frozenset())

    @property
    def _name(self) -> str:
        return self.before.draft.name or "plain"

    def steps(self) -> Steps:
        """What is promoted."""
        from tinsmith.algorithms.promote import until

        if self.recipe.max_drop is None:
            return self._most()
        found = until(self.order, self.recipe.max_drop, self.drop, self.noise.total)
        return self._most() if found is None else found[0]

    def _most(self) -> Steps:
        """All steps; half as many, again and again, where the chip has no answer to them or they gain nothing."""
        start = self.start
        before = float("inf") if start is None else start.noise
        steps = self.order
        while steps:
            found = self.trial(_nodes(steps))
            if found is not None and found.noise < before:
                return steps
            steps = steps[: len(steps) // 2]
        return ()

    def drop(self, nodes: frozenset[str]) -> float:
        """The drop with these nodes in int16, in percent; infinite where there is no answer to that."""
        found = self.trial(nodes)
        return float("inf") if found is None else found.drop

    def trial(self, nodes: frozenset[str]) -> _Trial | None:
        """What becomes of the network with these nodes in int16; None: no formats, or the chip would refuse it."""
        if nodes not in self.known:
            self.shop.progress("try int16", len(self.known), None)
            self.known[nodes] = self._trial(nodes)
        return self.known[nodes]

    def _trial(self, nodes: frozenset[str]) -> _Trial | None:
        from tinsmith.algorithms.drop import drop, is_scores

        try:
            draft, widths = self._draft(nodes)
        except QuantizationError:
            return None
        answers = self.judge.answers(draft.network, draft.formats, widths)
        if answers is None:
            return None
        noise = self.judge.noise_of(answers)
        ends = self.judge.outputs
        scores = [operand for operand in ends if is_scores((1, *operand.shape))]
        known = _table(scores, self.whole.wanted)
        if self.labels is None:
            lost = drop(_table(ends, answers), _table(ends, self.judge.wanted), known=known)
            return _Trial(draft, widths, noise, lost)
        answers = self.whole.answers(draft.network, draft.formats, widths)
        if answers is None:
            return None
        return _Trial(draft, widths, noise, drop(_table(scores, answers), known, self.labels))

    def _draft(self, nodes: frozenset[str]) -> tuple[Draft, Mapping[str, int]]:
        """Formats, and weights fitted to them as they were before."""
        from tinsmith.algorithms.tune import apply

        before = self.before.draft
        if not nodes:
            return before, self.before.widths
        widths = self.noise.units.promoted(self.before.widths, nodes)
        formats = self.shop.choose(before.unrounded, widths, before.stats, before.steps)
        draft = replace(before, network=before.unrounded, formats=formats, fitted="")
        if before.fitted:
            draft = apply(draft, replace(self.shop, bits=widths), (before.fitted,))
        return replace(draft, name=f"{self._name}, layers promoted"), widths

    def state(self, steps: Steps, done: _Trial) -> State:
        """The state with steps taken."""
        from tinsmith.placement import Decision

        reasons = {name: _reason(step.gain / max(self.noise.total, 1e-30)) for step in steps for name in step.nodes}
        placement = {
            name: decision if decision.bits == done.widths[name] else Decision("int16", reasons[name])
            for name, decision in self.before.placement.items()
        }
        noise = dict(self.before.noise)
        if self.start is not None:
            noise.setdefault(self._name, self.start.noise)
        noise[done.draft.name] = done.noise
        return replace(self.before, placement=placement, draft=done.draft, won=done.draft.name, noise=noise)

    def told(self, steps: Steps, done: _Trial) -> tuple[str, ...]:
        """What was gained and what it costs."""
        from tinsmith.report.choices import decibels

        points, gained = f"{done.drop:.2f} points", f"{decibels(done.noise):.1f} dB at the outputs"
        if self.start is not None:
            points = f"{self.start.drop:.2f} → {points}"
            gained = f"{decibels(self.start.noise):.1f} → {gained}"
        count = sum(after != self.before.widths[name] for name, after in done.widths.items())
        layers = "one layer" if count == 1 else f"{count} layers"
        share = sum(step.share for step in steps)
        notes = [f"{layers} in int16 ({percent(share)} of the multiply-accumulates): {self._kind} {points}, {gained}."]
        ends = [v.name for v in (*self.shop.network.inputs, *self.shop.network.outputs)]
        wide = [name for name in ends if self._widened(name, done)]
        if wide:
            names = ", ".join(map(repr, wide))
            notes.append(f"now int16 in the file: {names}. Scopes with bits = 8 keep layers in int8.")
        return (*notes, *self._missed(done.drop))

    def nothing(self) -> tuple[str, ...]:
        """Why nothing is promoted."""
        drop = self.drop(frozenset())
        if self.recipe.max_drop is not None and drop <= self.recipe.max_drop:
            return (f"no layer had to go to int16: the {self._kind} is {drop:.2f} points.",)
        reason = f"there is none left that gains anything{self._bound()}"
        if self.order:
            reason = f"int16{self._bound()} does not bring the outputs closer"
        return (f"no layer was promoted: {reason}.", *self._missed(drop))

    def too_few(self) -> tuple[str, ...]:
        """That labels are too few to tell accuracies so close apart."""
        wanted, count = self.recipe.max_drop, 0 if self.labels is None else len(self.labels)
        if not wanted or not count or wanted * count >= 100:
            return ()
        return (f"each of the {count} samples with labels is {100 / count:.2g} points: {wanted:g} takes more of them.",)

    @property
    def _kind(self) -> str:
        return "drop" if self.labels is None else "accuracy lost"

    def _missed(self, drop: float) -> tuple[str, ...]:
        """That the drop asked for is not reached, where it is not."""
        wanted = self.recipe.max_drop
        if wanted is None or drop <= wanted:
            return ()
        return (f"a drop of {wanted:g} points is not reached{self._bound()}: {drop:.3g} are left.",)

    def _bound(self) -> str:
        budget = self.recipe.int16_budget
        return "" if budget is None else f" within {percent(budget)} of the multiply-accumulates"

    def _widened(self, name: str, done: _Trial) -> bool:
        before, after = (draft.formats.values.get(name) for draft in (self.before.draft, done.draft))
        return before is not None and after is not None and after.bits > before.bits


def _nodes(steps: Steps) -> frozenset[str]:
    return frozenset[str]().union(*(step.nodes for step in steps))


def _reason(share: float) -> str:
    return f"promoted for {percent(share) if share >= _SMALLEST_SHARE else 'less than 0.1 %'} of the output noise"


def _table(operands: Sequence[Operand], outputs: Outputs) -> dict[str, np.ndarray]:
    """All samples along axis 0, without a batch axis of one behind it."""
    found = {operand.name: np.stack([one[operand.name] for one in outputs]) for operand in operands}
    return {name: array[:, 0] if array.ndim > 2 and array.shape[1] == 1 else array for name, array in found.items()}
