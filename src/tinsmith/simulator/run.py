"""`simulate` and `Simulator`: run a program on the PC as the chip would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from tinsmith.cores import cores
from tinsmith.errors import DataError, RecipeError
from tinsmith.ops.call import Array, Observed, merge_facts
from tinsmith.ops.layouts import inverse
from tinsmith.program import Program
from tinsmith.simulator.compiled import compile_program
from tinsmith.simulator.inputs import Original, layouts_of, samples
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import warn
from tinsmith.targets import Target, find


class Simulator:
    """A program ready to run, with the memory of its stateful nodes (StreamingCache).

    Args:
        program: What the chip would load.
        target: The chip; by default the one recorded in the file.
        compiled: Use the compiled form; the interpreter otherwise. Both give the same integers.
        assume_no_saturation: Skip the check of accumulators that could saturate in theory (ESP32-S3).

    Raises:
        RecipeError: No target is given or recorded, or it is unknown.
    """

    def __init__(
        self,
        program: Program,
        target: str | Target | None = None,
        *,
        compiled: bool = True,
        assume_no_saturation: bool = False,
    ) -> None:
        self.program = program
        self.target = target_of(program, target)
        self.observed: Observed = {}
        self._compiled = compiled
        self._checked = not assume_no_saturation
        self._state: dict[str, Array] = {}
        warn(program, self.target, stacklevel=2)

    def reset(self) -> None:
        """Return stateful nodes to the zero state."""
        self._state.clear()

    def run(self, inputs: Mapping[str, ArrayLike], *, save_all: bool = False) -> dict[str, Array]:
        """Run a sample, or a batch as a sequence; stateful nodes go on from where the last run left them.

        Args:
            inputs: `{input name: array}`; see `simulate`.
            save_all: Return every tensor.

        Returns:
            Arrays by name, in the file's layout and dtypes; the samples of a batch one after the other along axis 0.

        Raises:
            DataError: The inputs do not fit the program.
            ProgramError: A node cannot be computed.
        """
        parts = samples(self.program, inputs, self.target)
        run = self._runner(save_all, threads=cores())
        return _joined([run(part, self._state, self.observed) for part in parts])

    def run_independent(
        self,
        inputs: Mapping[str, ArrayLike],
        *,
        save_all: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, Array]:
        """Run each sample of a batch from the zero state, on all cores; the simulator's own state is left alone."""
        parts = samples(self.program, inputs, self.target)
        if len(parts) == 1:
            return self._runner(save_all, threads=cores())(parts[0], {}, self.observed)
        run = self._runner(save_all, threads=1)
        results: list[dict[str, Array]] = []
        with ThreadPoolExecutor(cores()) as pool:
            notes: list[Observed] = [{} for _ in parts]
            for result in pool.map(lambda pair: run(pair[0], {}, pair[1]), zip(parts, notes, strict=True)):
                results.append(result)
                if progress is not None:
                    progress(len(results), len(parts))
        for note in notes:
            for name, facts in note.items():
                merge_facts(self.observed, name, facts)
        return _joined(results)

    def _runner(
        self, save_all: bool, threads: int
    ) -> Callable[[Mapping[str, Array], dict[str, Array], Observed], dict[str, Array]]:
        program, target = self.program, self.target
        names = [value.name for value in program.outputs]
        form = compile_program(program, target, checked=self._checked, save_all=save_all) if self._compiled else None
        if form is not None:
            form.open(threads)

        def run(part: Mapping[str, Array], state: dict[str, Array], notes: Observed) -> dict[str, Array]:
            if form is None:
                found = interpret(program, part, target, state=state, observe=notes)
            else:
                found = form.run(part, threads=threads, state=state, observe=notes)
            return found if save_all else {name: found[name] for name in names}

        return run


def simulate(
    program: Program,
    inputs: Mapping[str, ArrayLike],
    target: str | Target | None = None,
    save_all: bool = False,
    compiled: bool = True,
    *,
    assume_no_saturation: bool = False,
) -> dict[str, Array]:
    """What the chip computes, bit for bit.

    Integer inputs are taken as they are, in the file's layout (NHWC). Float inputs are quantized first, in the model's
    original layout where the file records it, else in the file's. A batch of N samples is N independent runs, each from
    the zero state; use `Simulator` for sequences.

    Args:
        program: What the chip would load, from `tinsmith.read` or a quantized model's `.program`.
        inputs: `{input name: array}`, one sample or a batch.
        target: The chip, for files that do not name theirs.
        save_all: Return every tensor, not only the outputs.
        compiled: Use the fast compiled form; False runs the interpreter, with the same result.
        assume_no_saturation: Skip the check of the ESP32-S3's saturating accumulators.

    Returns:
        Arrays by name, in the file's layout; integers, or floats where the file says float.

    Raises:
        DataError: The inputs do not fit the program.
        RecipeError: The target is unknown, or neither given nor recorded in the file.
        ProgramError: A node cannot be computed.
    """
    warn(program, target_of(program, target), stacklevel=2)
    simulator = Simulator(program, target, compiled=compiled, assume_no_saturation=assume_no_saturation)
    return simulator.run_independent(inputs, save_all=save_all)


def dequantize(program: Program, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Real numbers of simulated tensors: integer · 2**exponent, float32.

    Args:
        program: The program that computed them.
        outputs: `{name: array}` as `simulate` returns them.

    Returns:
        Arrays by name, in the model's original layout where the program records it (its inputs and outputs), else in
        the file's.

    Raises:
        DataError: The program has no value of such a name.
    """
    originals = layouts_of(program)
    result: dict[str, Array] = {}
    for name, array in outputs.items():
        value = program.values.get(name)
        if value is None:
            raise DataError("the program has no such value.", subject=f"output {name!r}")
        real = np.ldexp(array.astype(np.float32), value.exponent) if value.dtype.quantized else array
        original = originals.get(name)
        result[name] = real if original is None else _restored(real, original)
    return result


def _restored(array: Array, original: Original) -> Array:
    """A sample, or samples one after the other along axis 0, from the file's layout back in the model's."""
    laid_out = tuple(original.shape[axis] for axis in original.perm)
    if not laid_out or array.ndim != len(laid_out) or array.shape[1:] != laid_out[1:] or array.size == 0:
        return array
    turned = array.reshape(-1, *laid_out).transpose(0, *(1 + axis for axis in inverse(original.perm)))
    return turned.reshape(-1, *original.shape[1:])


def target_of(program: Program, target: str | Target | None, esp_dl: str | None = None) -> Target:
    """The given target, or the one the file records.

    Args:
        program: What somebody wants to run.
        target: The chip, if one is given.
        esp_dl: The version of ESP-DL that the chip runs, if one is given.

    Raises:
        RecipeError: No target is given or recorded, its name is unknown, or ESP-DL is too old for it.
    """
    if target is not None:
        return find(target, esp_dl)
    recorded = program.metadata.get("target")
    if recorded is None:
        raise RecipeError(
            "the file does not record its target.", subject="target", hint="Give one, for example esp32s3."
        )
    return find(recorded, esp_dl)


def _joined(results: list[dict[str, Array]]) -> dict[str, Array]:
    if len(results) == 1:
        return results[0]
    return {
        name: np.concatenate([np.atleast_1d(result[name]) for result in results])
        for name in (results[0] if results else ())
    }
