"""What keeps a handler that runs in this process from taking more than it is given: output, time, surroundings."""

import decimal
import gc
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TextIO

from powertune import text
from powertune.errors import ExitCode

_STUCK_GRACE_S = 5.0
_end_process = os._exit


class HandlerTimeoutError(BaseException):
    """The handler ran out of time. No Exception, so that the handler's own `except Exception` lets it pass."""


class OutputTrap:
    """Keeps what a handler prints, by any way, off standard output and error, and its hands off standard input.

    The result alone belongs on standard output, and text from outside is not to reach a terminal as it is. Inside,
    `stdout` and `stderr` are streams to where the real ones go. With `keep` the end of what was caught can be read
    afterwards; else it is gone. May be entered again while it is entered. `for_good` leaves it all as it is at the end:
    for a process that ends then, where threads that the handler left behind may go on printing.
    """

    def __init__(self, *, keep: bool = False, for_good: bool = False) -> None:
        self._fd = _temporary_fd() if keep else _sink_fd()
        self._keeps = keep
        self._for_good = for_good
        self._depth = 0
        # What the handler sees as its streams. It may replace them, as on Lambda, and finds them so in its next call.
        self._inside: tuple[Any, Any, Any] | None = None

    def __enter__(self) -> Self:
        """Redirect the three standard descriptors and Python's streams."""
        if self._depth == 0:
            self._outside = (sys.stdin, sys.stdout, sys.stderr)
            for stream in self._outside[1:]:
                stream.flush()
            self._fds = [os.dup(fd) for fd in (0, 1, 2)]
            self.stdout = _reaching(self._outside[1], 1, self._fds[1])
            self.stderr = _reaching(self._outside[2], 2, self._fds[2])
        self._depth += 1
        self._redirect()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put descriptors and streams back where this was the outermost entry."""
        self._inside = (sys.stdin, sys.stdout, sys.stderr)
        for stream in (*self._inside[1:], self.stdout, self.stderr):
            with suppress(Exception):  # the handler may have closed them, or put anything in their place
                stream.flush()
        self._depth -= 1
        if self._depth:
            self._redirect()  # the handler may have closed descriptors that the rest of the block needs
            return
        if self._for_good:
            return
        sys.stdin, sys.stdout, sys.stderr = self._outside
        for fd, saved in zip((0, 1, 2), self._fds, strict=True):
            os.dup2(saved, fd)
            os.close(saved)

    def _redirect(self) -> None:
        for fd, target in zip((0, 1, 2), (_sink_fd(), self._fd, self._fd), strict=True):
            os.dup2(target, fd)
        if self._inside is None:
            writer = os.fdopen(self._fd, "w", encoding="utf-8", errors="replace", closefd=False)
            self._inside = (os.fdopen(_sink_fd(), encoding="ascii", closefd=False), writer, writer)
        sys.stdin, sys.stdout, sys.stderr = self._inside

    def tail(self, *, lines: int = 20) -> list[str]:
        """Return the last lines that were caught, safe to show; none without `keep`."""
        if not self._keeps:
            return []
        size = os.fstat(self._fd).st_size
        start = max(0, size - 200 * lines)
        caught = os.pread(self._fd, size - start, start).decode("utf-8", "replace").splitlines()[-lines:]
        return [text.printable(line) for line in caught]


def _reaching(stream: TextIO, fd: int, saved_fd: int) -> TextIO:
    """Return a stream to where `stream` goes while its descriptor is redirected: one in memory is not affected."""
    try:
        affected = stream.fileno() == fd
    except (OSError, ValueError):
        affected = False
    if not affected:
        return stream
    return os.fdopen(saved_fd, "w", encoding=stream.encoding, errors="backslashreplace", closefd=False)


@cache
def _sink_fd() -> int:
    """Return a descriptor of nowhere that is never closed: logging set up by a handler's module holds on to it."""
    return os.open(os.devnull, os.O_RDWR)


def _temporary_fd() -> int:
    """Return a descriptor of a file that is gone when the process ends."""
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Environment, working directory and import path of this process at one moment."""

    environment: Mapping[str, str] = field(repr=False)
    folder: str
    path: Sequence[str]

    @classmethod
    def now(cls) -> Self:
        """Return those of now."""
        return cls(dict(os.environ), os.getcwd(), list(sys.path))  # noqa: PTH109 - chdir takes text

    def put_back(self) -> None:
        """Make them those of this process."""
        os.environ.clear()
        os.environ.update(self.environment)
        sys.path[:] = self.path
        with suppress(OSError):  # somebody may have removed it
            os.chdir(self.folder)


@contextmanager
def own_surroundings() -> Iterator[Surroundings]:
    """Put environment, working directory, import path and decimal arithmetic back, whatever the block does to them."""
    before = Surroundings.now()
    try:
        with decimal.localcontext():
            yield before
    finally:
        before.put_back()


@contextmanager
def own_garbage() -> Iterator[None]:
    """Keep the garbage collector from going through powertune's own objects while a handler runs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def own_process() -> Iterator[None]:
    """Keep the block from ending this process with `os._exit`, and a fork of it from going on in this process's place.

    The recursion limit is put back, too.
    """
    pid, recursion_limit = os.getpid(), sys.getrecursionlimit()

    def end(status: int) -> NoReturn:
        if os.getpid() != pid:  # a child of the handler's own, of multiprocessing say
            _end_process(status)
        raise SystemExit(status)

    os._exit = end
    try:
        yield
    finally:
        os._exit = _end_process
        if os.getpid() != pid:
            _end_process(0)
        sys.setrecursionlimit(recursion_limit)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise HandlerTimeoutError in the main thread after `seconds`, and again each second if that is swallowed.

    Outside the main thread no signal can be set, and the block may run for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise HandlerTimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def last_resort(seconds: float, handler_name: str, errors: TextIO) -> Iterator[None]:
    """End the process where the block cannot be stopped otherwise: some time after `seconds`, or at a second Ctrl-C.

    For the command line, where a handler may swallow every exception. Code that never lets go of the interpreter is out
    of reach even so. The last words go to `errors`.
    """
    message = (
        f"Error: {text.printable(handler_name)} did not stop when its {text.duration(seconds * 1000)} were over\n"
        "  it cannot be interrupted, so powertune ends with it; look for a loop that catches every exception"
    )

    def end(code: ExitCode, last_words: str) -> None:
        print(last_words, file=errors, flush=True)
        _end_process(code)

    interrupts = 0

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            end(ExitCode.INTERRUPTED, "Interrupted.")
        raise KeyboardInterrupt

    timer = threading.Timer(seconds + _STUCK_GRACE_S, end, (ExitCode.FUNCTION_FAILED, message))
    timer.daemon = True
    timer.start()
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if in_main else None
    try:
        yield
    finally:
        timer.cancel()
        if in_main:
            signal.signal(signal.SIGINT, before)
