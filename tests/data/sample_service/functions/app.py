"""Six small handlers: three that compute, two that wait, and one that does both."""

import hashlib
import time
from typing import Any


def _compute(rounds: int) -> str:
    digest = b"sample"
    for _ in range(rounds):
        digest = hashlib.sha256(digest * 16).digest()
    return digest.hex()


def thumbnails(_event: Any, _context: Any) -> dict[str, str]:
    """Compute, with far too little memory for it."""
    return {"thumbnail": _compute(30_000)}


def reports(_event: Any, _context: Any) -> dict[str, str]:
    """Compute."""
    return {"report": _compute(30_000)}


def invoices(_event: Any, _context: Any) -> dict[str, str]:
    """Compute and wait."""
    invoice = _compute(20_000)
    time.sleep(0.01)
    return {"invoice": invoice}


def orders(_event: Any, _context: Any) -> dict[str, str]:
    """Wait for others."""
    time.sleep(0.03)
    return {"status": "accepted"}


def audit(_event: Any, _context: Any) -> dict[str, str]:
    """Wait for others, with far more memory than that takes."""
    time.sleep(0.03)
    return {"status": "written"}


def search(_event: Any, _context: Any) -> dict[str, str]:
    """Compute."""
    return {"found": _compute(40_000)}
