"""Six small handlers: three that compute, two that wait, and one that does both."""

import hashlib
import time


def _compute(rounds):
    digest = b"sample"
    for _ in range(rounds):
        digest = hashlib.sha256(digest * 16).digest()
    return digest.hex()


def thumbnails(event, context):
    """Computes, and is configured with far too little memory for it."""
    return {"thumbnail": _compute(30_000)}


def reports(event, context):
    """Computes."""
    return {"report": _compute(30_000)}


def invoices(event, context):
    """Computes and waits."""
    invoice = _compute(20_000)
    time.sleep(0.01)
    return {"invoice": invoice}


def orders(event, context):
    """Waits for others."""
    time.sleep(0.03)
    return {"status": "accepted"}


def audit(event, context):
    """Waits for others, and is configured with far more memory than that takes."""
    time.sleep(0.03)
    return {"status": "written"}


def search(event, context):
    """Computes."""
    return {"found": _compute(40_000)}
