"""Handlers of 50 ms to 2 s that compute, wait, do both, use two threads, or start a process."""

import hashlib
import subprocess
import sys
import threading
import time
from typing import Any

_BLOCK = bytes(64 * 1024)
_CHILD = "import hashlib\ndata = b'x'\nfor _ in range(220_000): data = hashlib.sha256(data).digest()\n"


def _compute(rounds: int) -> str:
    data = b"powertune"
    for _ in range(rounds):
        data = hashlib.sha256(data).digest()
    return data.hex()


def _hash_blocks(blocks: int) -> None:
    digest = hashlib.sha256()
    for _ in range(blocks):  # large enough for the lock of the interpreter to be released
        digest.update(_BLOCK)


def computes_50_ms(_event: Any, _context: Any) -> str:
    return _compute(110_000)


def computes_300_ms(_event: Any, _context: Any) -> str:
    return _compute(660_000)


def computes_2_s(_event: Any, _context: Any) -> str:
    return _compute(4_400_000)


def waits_60_ms(_event: Any, _context: Any) -> str:
    time.sleep(0.06)
    return _compute(2_000)


def waits_1_s(_event: Any, _context: Any) -> None:
    for _ in range(5):
        _compute(4_000)
        time.sleep(0.2)


def mixes_often(_event: Any, _context: Any) -> None:
    for _ in range(10):
        _compute(22_000)
        time.sleep(0.02)


def mixes_seldom(_event: Any, _context: Any) -> None:
    for _ in range(3):
        _compute(220_000)
        time.sleep(0.1)


def two_threads(_event: Any, _context: Any) -> None:
    threads = [threading.Thread(target=_hash_blocks, args=(1_000,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def starts_a_process(_event: Any, _context: Any) -> None:
    _compute(44_000)
    subprocess.run([sys.executable, "-I", "-S", "-c", _CHILD], check=True)
