"""The compiled form: a Program as ONNX graphs whose float arithmetic is exact (design §10).

Runs of nodes that have an ONNX form become one graph each; the nodes between them run in the interpreter. Facts a
graph relies on and that only real data can confirm are *guards*: each run reports them, and where one does not hold the
node is computed again by the interpreter, and all nodes of its graph are if its result differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from tinsmith.ops import find
from tinsmith.ops.call import Array, Observed, merge_facts
from tinsmith.ops.emit import Builder, Emit, Guard, NotExpressible
from tinsmith.ops.execution import call_of, compute, told
from tinsmith.ops.inference import placeholders
from tinsmith.program import DType, Node, Program
from tinsmith.simulator.graphs import Session, carry_in, carry_out, refusals, session, to_lean_model
from tinsmith.simulator.interpreter import run_nodes
from tinsmith.targets import Target


@dataclass(slots=True)
class GraphPart:
    """Consecutive nodes as one ONNX graph.

    Attributes:
        nodes: The nodes, in order.
        feeds: Program values it takes.
        results: Program values it gives.
        guards: Guards, whose tensors follow the results in the graph's outputs.
        model: The serialized graph, without its large weights.
        weights: Its constants by name.
    """

    nodes: tuple[Node, ...]
    feeds: tuple[str, ...]
    results: tuple[str, ...]
    guards: tuple[Guard, ...]
    model: bytes
    weights: Mapping[str, Array]
    sessions: dict[int, Session] = field(default_factory=dict)

    def open(self, threads: int) -> Session:
        """The session that runs it on so many threads.

        Raises:
            ProgramError: ONNX Runtime does not take the graph.
        """
        if threads not in self.sessions:
            with self._refusals():
                self.sessions[threads] = session(self.model, threads, self.weights)
        return self.sessions[threads]

    def run(self, tensors: Mapping[str, Array], threads: int) -> tuple[dict[str, Array], dict[Guard, float]]:
        """The results, and what the guards' tensors hold.

        Raises:
            ProgramError: ONNX Runtime does not take the graph or the tensors.
        """
        opened = self.open(threads)
        feeds = {f"in|{name}": np.asarray(tensors[name], order="C") for name in self.feeds}
        with self._refusals():
            found = opened.runs.run(None, feeds)
        count = len(self.results)
        reached = {guard: float(value) for guard, value in zip(self.guards, found[count:], strict=True)}
        return dict(zip(self.results, found[:count], strict=True)), reached

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals(f"nodes {self.nodes[0].name!r} … {self.nodes[-1].name!r}", "Simulate with compiled=False.")


@dataclass(frozen=True, slots=True)
class NodePart:
    """One node that only the interpreter can run, and why."""

    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program in executable parts.

    Attributes:
        program: The program.
        target: The chip.
        parts: Graphs and interpreted nodes, in order.
        keep: Names of the values a run returns.
    """

    program: Program
    target: Target
    parts: tuple[GraphPart | NodePart, ...]
    keep: frozenset[str]

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        threads: int = 1,
        state: dict[str, Array] | None = None,
        observe: Observed | None = None,
    ) -> dict[str, Array]:
        """One run on one sample; arguments and result as `tinsmith.simulator.interpreter.interpret`."""
        tensors: dict[str, Array] = dict(inputs)
        memory = {} if state is None else state
        notes: Observed = {} if observe is None else observe
        for part in self.parts:
            if isinstance(part, NodePart):
                self._interpret([part.node], tensors, memory, notes)
                continue
            results, reached = part.run(tensors, threads)
            self._note_reach(part, reached, notes)
            broken = {guard.output for guard, value in reached.items() if not value < guard.limit}
            noticed: Observed = {}
            if broken and not self._confirmed(part, tensors, broken, noticed):
                noticed = {}  # the interpreter notes everything again
                self._interpret(part.nodes, tensors, memory, noticed)
            else:
                tensors.update(results)
            for name, facts in noticed.items():
                merge_facts(notes, name, facts)
        return {name: array for name, array in tensors.items() if name in self.keep}

    def open(self, threads: int) -> None:
        """Make all sessions now, so that threads that run the program do not each make their own.

        Raises:
            ProgramError: ONNX Runtime does not take a graph.
        """
        for part in self.parts:
            if isinstance(part, GraphPart):
                part.open(threads)

    def _note_reach(self, part: GraphPart, reached: Mapping[Guard, float], observe: Observed) -> None:
        """Leave the largest ``reach``, a bound of the accumulators' magnitude, of each guarded node."""
        if reached:
            names = {node.outputs[0]: node.name for node in part.nodes}
            for guard, value in reached.items():
                merge_facts(observe, names[guard.output], {"reach": int(min(value, 2.0**62))})

    def _interpret(
        self, nodes: Iterable[Node], tensors: dict[str, Array], state: dict[str, Array], observe: Observed
    ) -> None:
        run_nodes(self.program, nodes, tensors, self.target, state, observe)

    def _confirmed(self, part: GraphPart, tensors: Mapping[str, Array], names: set[str], observe: Observed) -> bool:
        """Whether the interpreter gives the graph's own results for the nodes whose guards did not hold."""
        witness = self._witness(part)
        results, _ = witness.run(tensors, 1)
        known = {**tensors, **results}
        for node in part.nodes:
            if node.outputs[0] in names:
                call = call_of(self.program, node, known, self.target, {}, observe)
                exact = compute(find(node.op_type, node.name), call)
                if any(not np.array_equal(known[v.name], r) for v, r in zip(call.outputs, exact, strict=True)):
                    return False
        return True

    def _witness(self, part: GraphPart) -> GraphPart:
        """The same graph, also giving the inputs and outputs of every guarded node."""
        key = ("witness", self.target, part.nodes[0].outputs)
        if key not in self.program.memo:
            guarded = {guard.output for guard in part.guards}
            wanted = {
                name
                for node in part.nodes
                if node.outputs[0] in guarded
                for name in (*node.inputs, *node.outputs)
                if name and name not in self.program.constants and name not in part.feeds
            }
            emitter = Emitter(self.program, self.target, checked=False)
            builder, feeds, _, _ = emitter.run_from(self.program.nodes.index(part.nodes[0]))
            self.program.memo[key] = emitter.graph(part.nodes, builder, feeds, sorted(wanted))
        found = self.program.memo[key]
        assert isinstance(found, GraphPart)
        return found


class Emitter:
    """Emits nodes of one program; `zeros` holds a placeholder of each value's inferred shape."""

    def __init__(self, program: Program, target: Target, *, checked: bool) -> None:
        self.program = program
        self.target = target
        self.checked = checked
        self.zeros = placeholders(program, target)

    def emit(self, node: Node, builder: Builder) -> None:
        """Append the node's ONNX form.

        Raises:
            NotExpressible: It has none.
            ProgramError: Its arguments do not fit the operator.
        """
        operator = find(node.op_type, node.name)
        if operator.emit is None:
            raise NotExpressible(f"{node.op_type} has no ONNX form")
        with told(node):
            operator.emit(Emit(call_of(self.program, node, self.zeros, self.target), builder, self.checked))

    def run_from(self, start: int) -> tuple[Builder, tuple[str, ...], int, str]:
        """Emit nodes from index ``start`` on, as far as they have an ONNX form.

        Returns:
            The graph under construction, the values it takes, the index of the first node left out, and why that one is
            (empty at the end of the program).
        """
        builder = Builder()
        feeds: list[str] = []
        for index, node in enumerate(self.program.nodes[start:], start):
            before = builder.mark()
            new = [n for n in dict.fromkeys(node.inputs) if n in self.zeros and (n, "file") not in builder.places]
            new = [n for n in new if (n, "first") not in builder.places]
            for name in new:
                carry_in(builder, self.program.values[name], self.zeros[name].ndim)
            try:
                self.emit(node, builder)
            except NotExpressible as reason:
                builder.rollback(before)
                return builder, tuple(feeds), index, str(reason)
            feeds += new
        return builder, tuple(feeds), len(self.program.nodes), ""

    def graph(self, nodes: Sequence[Node], builder: Builder, feeds: Sequence[str], results: Sequence[str]) -> GraphPart:
        """The emitted nodes as one graph from ``feeds`` to ``results``."""
        values = self.program.values
        inputs = [(f"in|{name}", values[name].dtype, list(self.zeros[name].shape)) for name in feeds]
        outputs = [
            (carry_out(builder, values[name]), values[name].dtype, list(self.zeros[name].shape)) for name in results
        ]
        outputs += [(guard.tensor, DType.FLOAT, []) for guard in builder.guards]
        model = to_lean_model(builder, inputs, outputs)
        return GraphPart(tuple(nodes), tuple(feeds), tuple(results), tuple(builder.guards), model, builder.constants)


def compile_program(program: Program, target: Target, *, checked: bool = True, save_all: bool = False) -> Compiled:
    """The compiled form of ``program``; memoized on it.

    Args:
        program: What the chip would load.
        target: The chip.
        checked: Emit guards for what cannot be proved from the constants (saturating accumulators).
        save_all: Keep every tensor, not only the outputs.

    Raises:
        ProgramError: A node cannot take the shapes that reach it, or is unknown.
    """
    key = ("compiled", target, checked, save_all)
    if key not in program.memo:
        program.memo[key] = _compile(program, target, checked=checked, save_all=save_all)
    found = program.memo[key]
    assert isinstance(found, Compiled)
    return found


def _compile(program: Program, target: Target, *, checked: bool, save_all: bool) -> Compiled:
    emitter = Emitter(program, target, checked=checked)
    outputs = {value.name for value in program.outputs}
    keep = frozenset(name for name in emitter.zeros if name) if save_all else frozenset(outputs)
    nodes = program.nodes
    parts: list[GraphPart | NodePart] = []
    start = 0
    while start < len(nodes):
        builder, feeds, stop, reason = emitter.run_from(start)
        if stop > start:
            made = {name for node in nodes[start:stop] for name in node.outputs if name}
            later = {name for node in nodes[stop:] for name in node.inputs}
            results = sorted(made if save_all else made & (later | outputs))
            if results or builder.guards:
                parts.append(emitter.graph(nodes[start:stop], builder, feeds, results))
        if stop < len(nodes):
            parts.append(NodePart(nodes[stop], reason))
        start = stop + 1
    return Compiled(program, target, tuple(parts), keep)
