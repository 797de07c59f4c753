"""Half and half: fetches a document that takes its time to come, then works through it."""

import hashlib
import json
import time
from typing import Any


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Wait for a document of `event["records"]` records, parse it, and return a digest chained over all of them."""
    records = int(event.get("records", 4000))
    time.sleep(float(event.get("seconds", 0.08)))
    document = json.dumps([{"id": number, "total": number * 1.25} for number in range(records)])
    digest = b""
    for record in json.loads(document):
        for _ in range(4):
            digest = hashlib.sha256(digest + str(record["total"]).encode()).digest()
    return {"records": records, "digest": digest.hex()}
