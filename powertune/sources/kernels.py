"""Runs by itself: a few kernels of known cost on Lambda, and what CPU time they take in this interpreter.

Standard library only, for Python 3.9 and newer, so that the function's own interpreter can run it. Prints JSON:
`{"python", "machine", "digests", "numbers", "cpu_ms": {name: [each run]}}`. CPU time, so that what else runs on this
machine matters little.
"""

import hashlib
import json
import platform
import random
import sys
import time
from array import array

RUNS = 5
DIGESTS = 100_000
NUMBERS = 3_276_800
"""A quarter of what was sorted on Lambda: far more than caches hold, as there."""
_WORDS = 30_000


def chain_digests(count: int = DIGESTS) -> None:
    """Compute: SHA-256 digests, each of the one before."""
    data = b"powertune"
    for _ in range(count):
        data = hashlib.sha256(data).digest()


def draw_numbers() -> array:  # type: ignore[type-arg] # not subscriptable in Python 3.9
    """Memory, first half: random integers of 30 bits into an array."""
    return array("q", (random.getrandbits(30) for _ in range(NUMBERS)))


def sort_numbers(numbers: array) -> None:  # type: ignore[type-arg] # likewise
    """Memory, second half: sort them."""
    array("q", sorted(numbers))


def count_words(count: int = _WORDS) -> None:
    """Interpreter: strings, dictionaries, attribute access and calls, as in most handlers."""
    counts = {}  # type: dict[str, int]
    for number in range(count):
        for word in f"order {number % 97} of customer {number % 31} ships".split():
            counts[word] = counts.get(word, 0) + 1
    sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def main() -> None:
    """Run all, the long ones fewer times."""
    took = {"digests": [], "draw": [], "sort": [], "words": []}  # type: dict[str, list[float]]
    clock = time.process_time
    for _ in range(RUNS):
        for name, kernel in (("digests", chain_digests), ("words", count_words)):
            began = clock()
            kernel()
            took[name].append((clock() - began) * 1000)
    for _ in range(RUNS // 2 + 1):
        began = clock()
        numbers = draw_numbers()
        drawn = clock()
        sort_numbers(numbers)
        took["draw"].append((drawn - began) * 1000)
        took["sort"].append((clock() - drawn) * 1000)
    answer = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "digests": DIGESTS,
        "numbers": NUMBERS,
        "cpu_ms": took,
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
