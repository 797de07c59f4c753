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
from typing import Any

from powertune.sources.meter import Seen

_ANSWER_WITHIN_S = 10.0


class WatcherError(Exception):
    """The watcher does not answer."""


class Watcher:
    """The watcher's process. Orders and answers are lines of JSON, as its file says."""

    def __init__(self, order: object, *, pass_fds: Sequence[int] = ()) -> None:
        """Start it with its first order. Raises OSError or WatcherError."""
        self._data = b""
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of ours
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watcher.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        try:
            self.tell(order)
        except WatcherError:
            self.close()
            raise

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
        """Let it end and wait for that.

        It is told to: a process that the handler has forked off may hold on to the pipe, whose end it also goes by.
        """
        with suppress(WatcherError):
            self.tell("over")
        with suppress(OSError, ValueError, subprocess.TimeoutExpired):
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
    )


class ProcessWatch:
    """Has a process and what it starts watched, on Linux; where that fails nothing is seen, and clocks have to do."""

    def __init__(self, pid: int) -> None:
        self._watcher: Watcher | None = None
        self._pid = os.getpid()
        if sys.platform == "linux":
            with suppress(OSError, WatcherError):
                self._watcher = Watcher({"watch": pid})

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
        """Tell whether this is the process that has it watched, and not a fork in which a handler's child goes on.

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
