"""I/O-like: waits for a slow service, so more memory buys nothing."""

import time
from typing import Any


def handler(event: dict[str, Any], _context: object) -> dict[str, float]:
    """Wait `event["seconds"]`, as for a database or another service, and return how long that was asked to be."""
    seconds = float(event.get("seconds", 0.12))
    time.sleep(seconds)
    return {"waited_seconds": seconds}
