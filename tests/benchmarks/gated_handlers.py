"""A handler for gates to compare with itself: it computes in Python and in C, as much as ROUNDS says."""

import hashlib
import os
from typing import Any


def handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    rounds = int(os.environ["ROUNDS"])
    digest, counts = b"order", dict[str, int]()
    for number in range(rounds):
        digest = hashlib.sha256(digest * 4).digest()
        key = f"customer {number % 97}"
        counts[key] = counts.get(key, 0) + digest[0]
    return {"largest": max(counts, key=lambda name: counts[name]), "digest": digest.hex()}
