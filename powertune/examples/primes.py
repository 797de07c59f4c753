"""CPU-bound: looks for prime numbers by trial division, again and again, with one thread."""

from typing import Any

DEFAULT_LIMIT = 10_000
DEFAULT_ROUNDS = 8


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Return how many primes there are up to `event["limit"]`, found `event["rounds"]` times over."""
    limit, rounds = int(event.get("limit", DEFAULT_LIMIT)), int(event.get("rounds", DEFAULT_ROUNDS))
    found = 0
    for _ in range(rounds):
        found = sum(1 for number in range(2, limit + 1) if is_prime(number))
    return {"limit": limit, "primes": found}


def is_prime(number: int) -> bool:
    """Tell whether `number`, 2 or more, is prime."""
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))
