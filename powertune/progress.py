"""What takes longer than a second says what it is doing and how long it will take. To stderr, never stdout."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol, TextIO

from powertune import text

_QUIET_FOR_S = 1.0
_SECONDS_BETWEEN_LINES = 2.0


class Progress(Protocol):
    """Told by the rooms that work; shown or not by the command line."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage of `total` steps, of an unknown number without it. Ends the stage before."""

    def step(self, count: int = 1) -> None:
        """Report that `count` more steps are done."""

    def end(self) -> None:
        """Take the last stage off the screen."""


class NoProgress:
    """Shows nothing."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Do nothing."""

    def step(self, count: int = 1) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class PlainProgress:
    """Plain lines, for logs and pipes: the first when a stage has taken a second, then one every two at most."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._what = ""
        self._total: int | None = None
        self._done = 0
        self._began = self._told = 0.0
        self._first_line: threading.Timer | None = None

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage. A timer prints its first line: a stage may be one long step."""
        self.end()
        self._what, self._total, self._done = text.printable(what), total, 0
        self._began = self._told = time.monotonic()
        self._first_line = threading.Timer(_QUIET_FOR_S, self._tell)
        self._first_line.daemon = True
        self._first_line.start()

    def step(self, count: int = 1) -> None:
        """Count steps, and print a line when the last one is old enough."""
        self._done += count
        if self._done != self._total and time.monotonic() - self._told >= _SECONDS_BETWEEN_LINES:
            self._tell()

    def end(self) -> None:
        """End the stage: its lines stay as they are."""
        if self._first_line:
            self._first_line.cancel()
            self._first_line = None

    def _tell(self) -> None:
        self._told = time.monotonic()
        with suppress(OSError):  # nobody may be reading, which is no reason to stop working
            print(f"{self._what}{self._state(self._told - self._began)}", file=self._stream, flush=True)

    def _state(self, elapsed_s: float) -> str:
        if not self._total:
            return " ..."
        if not self._done:
            return f": 0 of {self._total:,}"
        left_s = elapsed_s / self._done * (self._total - self._done)
        return f": {self._done:,} of {self._total:,}, about {text.rough_duration(left_s)} left"


class TerminalProgress:
    """A bar that is redrawn in place, and gone when the work is done.

    It is drawn only when told of a step: a thread that redraws by itself would compete with a handler that is being
    measured in this process.
    """

    def __init__(self, stream: IO[str], *, color: bool = True) -> None:
        # Imported here: rich takes longer to load than most commands take to run.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(file=stream, no_color=True if not color else None),
            transient=True,
            auto_refresh=False,
        )

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage in place of the one before."""
        self.end()
        self._task = self._bar.add_task(text.printable(what), total=total)
        self._bar.start()
        self._bar.refresh()

    def step(self, count: int = 1) -> None:
        """Advance the bar and redraw it."""
        self._bar.update(self._task, advance=count, refresh=True)

    def end(self) -> None:
        """Clear the line."""
        self._bar.stop()
        for task_id in self._bar.task_ids:
            self._bar.remove_task(task_id)


@contextmanager
def progress_for(stream: TextIO | None = None, *, quiet: bool = False, color: bool = True) -> Iterator[Progress]:
    """Give what suits `stream` (stderr if not given): a bar on a terminal, plain lines elsewhere, or nothing."""
    if quiet:
        yield NoProgress()
        return
    target = stream or sys.stderr
    progress: Progress = TerminalProgress(target, color=color) if target.isatty() else PlainProgress(target)
    try:
        yield progress
    finally:
        progress.end()
