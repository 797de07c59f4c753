"""Ctrl-C and its like while something is under way on AWS: what was begun is put back or stopped first."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from powertune.errors import ExitCode

if TYPE_CHECKING:
    from powertune.sources.aws.source import AwsSource

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(source: "AwsSource") -> Iterator[None]:
    """Let signals stop `source` in an orderly way."""
    count = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        commands = source.by_hand()
        if count > 1:
            _say("Quitting. To put the function back: powertune restore, or by hand:", *commands)
            os._exit(ExitCode.INTERRUPTED)
        source.interrupt()
        if commands:
            source.progress.note("Stopping, and putting the function back. Ctrl-C again quits at once.")

    with _handled_by(stop):
        yield


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let any of the signals end what is under way as Ctrl-C does, so that it can clean up."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled_by(stop):
        yield


@contextmanager
def _handled_by(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have signals handled by `stop` meanwhile. A signal that was ignored before stays ignored."""
    previous: dict[signal.Signals, Any] = {
        number: signal.signal(number, stop) for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _say(*lines: str) -> None:
    """Write to standard error past all buffers: a signal may come while one of them is being written."""
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""  # which live progress has hidden
    with suppress(OSError):  # of a terminal that is gone
        os.write(2, (show_cursor + "\n" + "\n  ".join(lines) + "\n").encode())
