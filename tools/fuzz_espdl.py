"""Damage `.espdl` files at random and see that every one of them ends in a program or in our error.

    python -m tools.fuzz_espdl --rounds 100000 [--seed 1] [FILE.espdl …]

Prints a summary; on the first surprise (another exception, a slow file, a program that changes when it is written and
read again) it saves the file beside the working directory and fails.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools.damage import damage, kept

from tinsmith.errors import FormatError, ProgramError
from tinsmith.espdl import decode, encode, info, inspect

_HEADER = 16
_SLOW = 2.0
_MEMORY = 3 << 30


def mutate(data: bytes, dice: random.Random) -> bytes:
    """``data`` with one to three defects; the header mostly stays, so that the reader gets to see the rest."""
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        damage(damaged, dice, _HEADER)
    if dice.random() < 0.9:  # keep the promised length, else all that ever happens is "truncated"
        damaged[8:12] = struct.pack("<I", max(0, len(damaged) - _HEADER))
    if dice.random() < 0.05:
        damaged[dice.randrange(16)] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def verdict(data: bytes) -> str:
    """What became of the bytes: the error's kind, or how far the program got.

    Raises:
        AssertionError: A program was read that does not survive being written and read again.
        Exception: Anything that is not ours is a finding.
    """
    try:
        program = decode(data)
    except FormatError:
        return "refused"
    info(program)
    inspect(program)
    try:
        written = encode(program)
    except ProgramError:
        return "read, inconsistent"
    assert encode(decode(written)) == written, "not stable"
    return "read, stable"


def main(arguments: Sequence[str]) -> int:
    """Run; the exit status is the number of surprises."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, help="files to damage; small ones find most")
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    corpus = [path.read_bytes() for path in options.files]
    dice = random.Random(options.seed)
    outcomes: Counter[str] = Counter()
    slowest, begun = 0.0, time.perf_counter()
    for number in range(options.rounds):
        data = mutate(dice.choice(corpus), dice)
        start = time.process_time()  # not the clock on the wall: the machine may be busy
        try:
            outcomes[verdict(data)] += 1
        except Exception as error:
            return _report(data, number, repr(error))
        slowest = max(slowest, time.process_time() - start)
        if slowest > _SLOW:
            return _report(data, number, f"took {slowest:.1f} s")
    seconds = time.perf_counter() - begun
    sys.stdout.write(f"{options.rounds} files in {seconds:.0f} s, slowest {slowest * 1000:.0f} ms: {dict(outcomes)}\n")
    return 0


def _report(data: bytes, number: int, what: str) -> int:
    sys.stdout.write(f"round {number}: {what}; saved as {kept(data, number, '.espdl')}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
