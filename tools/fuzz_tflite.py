"""Damage `.tflite` files at random and see that every one of them ends in a model or in our error.

    python -m tools.fuzz_tflite --rounds 10000 [--seed 1] FILE.tflite …

What is read is brought into canonical form as well where it is small. Prints a summary; on the first surprise (another
exception, a slow file) it saves the file in the working directory and fails.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools.damage import damage, kept

from tinsmith.errors import ModelError
from tinsmith.graph import canonicalize
from tinsmith.importers.tflite import load

_SLOW = 5.0
_MEMORY = 6 << 30
_LARGEST = 1 << 22


def mutate(data: bytes, dice: random.Random) -> bytes:
    """``data`` with one to three defects; the first eight bytes stay."""
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        damage(damaged, dice, 8)
    return bytes(damaged)


def verdict(data: bytes, canonical: bool = True) -> str:
    """What became of the bytes.

    Args:
        data: A file.
        canonical: Whether to bring it into canonical form.

    Raises:
        AssertionError: The message is one that nobody reads to its end.
        Exception: Anything that is not ours is a finding.
    """
    step = "read"
    try:
        model = load(data)
        if not canonical:
            return "read"
        sizes = [size for value in model.graph.inputs for size in value.shape or () if isinstance(size, int)]
        if any(size > _LARGEST for size in sizes):
            return "read, large"
        step = "canonical form"
        canonicalize(model)
    except ModelError as error:
        if len(str(error)) > 20_000:
            raise AssertionError("a message nobody reads to its end") from error
        return f"refused: {step}"
    return "canonical form"


def main(arguments: Sequence[str]) -> int:
    """Run; the exit status is the number of surprises."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, help="files to damage; small ones find most")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--read-only", action="store_true", help="do not bring them into canonical form")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    corpus = [path.read_bytes() for path in options.files]
    outcomes: Counter[str] = Counter()
    slowest, begun = 0.0, time.perf_counter()
    for number in range(options.rounds):
        dice = random.Random(f"{options.seed}:{number}")
        data = mutate(dice.choice(corpus), dice)
        start = time.process_time()  # not the clock on the wall: the machine may be busy
        try:
            outcomes[verdict(data, canonical=not options.read_only)] += 1
        except Exception as error:
            return _report(data, number, repr(error))
        taken = time.process_time() - start
        slowest = max(slowest, taken)
        if taken > _SLOW:
            return _report(data, number, f"took {taken:.1f} s")
    seconds = time.perf_counter() - begun
    sys.stdout.write(f"{options.rounds} files in {seconds:.0f} s, slowest {slowest * 1000:.0f} ms: {dict(outcomes)}\n")
    return 0


def _report(data: bytes, number: int, what: str) -> int:
    sys.stdout.write(f"round {number}: {what}; saved as {kept(data, number, '.tflite')}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
