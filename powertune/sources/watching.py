"""Talks to the watcher: a process beside the handler's that takes samples while a call runs."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from powertune.sources.meter import Seen

_ANSWER_WITHIN_S = 10.0


class Watch(Protocol):
    """Watches a handler's processes while a call runs."""

    def begin(self) -> None:
        """Begin to take samples."""

    def end(self) -> Seen:
        """Stop, and return what was seen."""


class WatcherError(Exception):
    """The watcher does not answer."""


class Watcher:
    """The watcher's process. Orders and answers are lines of JSON, as its file says."""

    def __init__(self, order: object, *, pass_fds: Sequence[int] = ()) -> None:
        self._data = b""
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of ours
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watcher.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        self.tell(order)

    def fileno(self) -> int:
        """Return the descriptor of its answers."""
        return self._pipe(self._process.stdout)

    def tell(self, order: object) -> None:
        """Send an order. Raises WatcherError."""
        data = json.dumps(order).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._pipe(self._process.stdin), data) :]
        except OSError as error:
            raise WatcherError from error

    def hear(self, seconds: float = _ANSWER_WITHIN_S) -> Any:
        """Return its next answer. Raises WatcherError where none comes in that time."""
        until = time.monotonic() + seconds
        try:
            while b"\n" not in self._data:
                if not select.select([self], [], [], max(0.0, until - time.monotonic()))[0]:
                    raise WatcherError
                part = os.read(self.fileno(), 1 << 20)
                if not part:
                    raise WatcherError
                self._data += part
        except (OSError, ValueError) as error:
            raise WatcherError from error
        line, _, self._data = self._data.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        """Let it end, which it does at the end of its orders, and wait for that."""
        with suppress(OSError):
            self._process.communicate(timeout=_ANSWER_WITHIN_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @staticmethod
    def _pipe(stream: Any) -> int:
        return int(stream.fileno())


def seen_by(answer: Any) -> Seen:
    """Return what an answer to `end` says."""
    return Seen(
        tuple((when, cpu) for when, cpu in answer["samples"]),
        tuple((when, ms) for when, ms in answer["queues"]),
        answer["peak_mb"],
        answer["children_mb"],
    )


class SelfWatch:
    """Has this process watched, on Linux; where that fails, nothing is seen, and the clocks have to do."""

    def __init__(self) -> None:
        self._watcher: Watcher | None = None
        self._pid = os.getpid()
        if sys.platform == "linux":
            with suppress(OSError, WatcherError):
                self._watcher = Watcher({"watch": os.getpid()})

    def begin(self) -> None:
        """Begin to take samples."""
        self._ask("begin")

    def end(self) -> Seen:
        """Stop, and return what was seen."""
        answer = self._ask("end")
        return Seen() if answer is None else seen_by(answer)

    def close(self) -> None:
        """Let the watcher end."""
        if self._watcher and self._is_own():
            self._watcher.close()
        self._watcher = None

    def _is_own(self) -> bool:
        """Tell whether this is the watched process, and not a fork of it in which a handler's child goes on.

        Both would write orders into the same pipe, and read each other's answers.
        """
        return os.getpid() == self._pid

    def _ask(self, order: str) -> Any:
        if self._watcher is None or not self._is_own():
            return None
        try:
            self._watcher.tell(order)
            return self._watcher.hear()
        except WatcherError:  # a handler may have closed the descriptors
            self.close()
            return None
