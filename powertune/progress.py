"""What takes longer than a second says what it is doing and how long it will take. To stderr, never stdout."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol, TextIO, cast

from powertune import text
from powertune.tally import DONE, Row, Standing, Tally, median_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import TaskID

_QUIET_FOR_S = 1.0
_SECONDS_BETWEEN_LINES = 2.0
_SECONDS_BETWEEN_FRAMES = 1 / 8

_LONGEST_NOTE = 1000


class Progress(Protocol):
    """Told by the rooms that work; shown or not by the command line. Any thread may tell it anything at any time."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage of `total` steps, of an unknown number without it. Ends the stage before."""

    def step(self, count: int = 1) -> None:
        """Report that `count` more steps are done."""

    def sizes(self, planned: Mapping[int, int], currency: str = "USD") -> None:
        """Start a stage with a line for each memory size in MB, and the number of warm runs wanted there.

        Ends a stage of steps. Within a stage of sizes it adds to what is planned: sizes, and runs at known ones.
        """

    def state(self, memory_mb: int, words: str, *, final: bool = False) -> None:
        """Report what is happening at a size, in few words; `final` where nothing more will."""

    def ran(self, memory_mb: int, *, duration_ms: float | None, amount: float, counts: bool) -> None:
        """Report that an invocation ended, and what it cost, in the stage's currency.

        `duration_ms` is None where it failed; `counts` tells whether it is one of the warm runs that are wanted.
        """

    def note(self, message: str) -> None:
        """Show a line that stays, in any stage or none."""

    def end(self) -> None:
        """Take the last stage off the screen."""


class NoProgress:
    """Shows nothing."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Do nothing."""

    def step(self, count: int = 1) -> None:
        """Do nothing."""

    def sizes(self, planned: Mapping[int, int], currency: str = "USD") -> None:
        """Do nothing."""

    def state(self, memory_mb: int, words: str, *, final: bool = False) -> None:
        """Do nothing."""

    def ran(self, memory_mb: int, *, duration_ms: float | None, amount: float, counts: bool) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Steps:
    """A stage of steps, as plain lines tell it."""

    what: str
    total: int | None
    began_s: float
    done: int = 0

    def line(self, now_s: float) -> str:
        if not self.total:
            return f"{self.what} ..."
        if not self.done:
            return f"{self.what}: 0 of {self.total:,}"
        left_s = (now_s - self.began_s) / self.done * (self.total - self.done)
        return f"{self.what}: {self.done:,} of {self.total:,}, about {text.rough_duration(left_s)} left"


class PlainProgress:
    """Plain lines, for logs and pipes: the first when a stage has taken a second, then one every two at most.

    A memory size gets a line of its own when it has finished.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = _Unfailing(stream)
        # May be entered anew by its own thread: a signal handler that shows progress interrupts one that does.
        self._lock = threading.RLock()
        self._stage: _Steps | Tally | None = None
        self._told_s = 0.0
        self._first_line: threading.Timer | None = None

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage."""
        with self._lock:
            self._start(_Steps(text.printable(what), total, time.monotonic()))

    def step(self, count: int = 1) -> None:
        """Count steps, and print a line when the last one is old enough."""
        with self._lock:
            if isinstance(self._stage, _Steps):
                self._stage.done += count
                if self._stage.done != self._stage.total:
                    self._tell_in_time()

    def sizes(self, planned: Mapping[int, int], currency: str = "USD") -> None:
        """Start a stage of memory sizes, or add to it."""
        with self._lock:
            if isinstance(self._stage, Tally):
                self._stage.plan(planned)
            else:
                tally = Tally(time.monotonic(), currency)
                tally.plan(planned)
                self._start(tally)

    def state(self, memory_mb: int, words: str, *, final: bool = False) -> None:
        """Print a line about a size that has finished; what happens there until then is not worth one."""
        with self._lock:
            if isinstance(self._stage, Tally):
                row = self._stage.state(memory_mb, words, final=final)
                if row:
                    self._print(_result(row, self._stage.currency, self._stream.plus_minus))

    def ran(self, memory_mb: int, *, duration_ms: float | None, amount: float, counts: bool) -> None:
        """Count a run, and print a line when the last one is old enough."""
        with self._lock:
            if isinstance(self._stage, Tally):
                self._stage.ran(memory_mb, time.monotonic(), duration_ms=duration_ms, amount=amount, counts=counts)
                self._tell_in_time()

    def note(self, message: str) -> None:
        """Print a line."""
        with self._lock:
            self._print(text.printable(message, limit=_LONGEST_NOTE))

    def end(self) -> None:
        """End the stage: its lines stay as they are."""
        with self._lock:
            self._stage = None
            if self._first_line:
                self._first_line.cancel()
                self._first_line = None

    def _start(self, stage: _Steps | Tally) -> None:
        """Start a stage. A timer prints its first line: a stage may be one long step."""
        self.end()
        self._stage = stage
        self._told_s = time.monotonic()
        self._first_line = threading.Timer(_QUIET_FOR_S, self._tell, [stage])
        self._first_line.daemon = True
        self._first_line.start()

    def _tell_in_time(self) -> None:
        if self._stage and time.monotonic() - self._told_s >= _SECONDS_BETWEEN_LINES:
            self._tell(self._stage)

    def _tell(self, stage: _Steps | Tally) -> None:
        with self._lock:
            if stage is self._stage:  # a timer cannot be cancelled any more when it is about to print
                self._told_s = now_s = time.monotonic()
                self._print(stage.line(now_s) if isinstance(stage, _Steps) else _overall(stage.standing(now_s)))

    def _print(self, line: str) -> None:
        print(line, file=cast("IO[str]", self._stream), flush=True)


class TerminalProgress:
    """What is redrawn in place, and gone when the work is done: a bar for steps, lines for memory sizes.

    A bar is drawn only when told of a step: a thread that redraws by itself would compete with a handler that is being
    measured in this process. Memory sizes are measured elsewhere, by threads that mostly wait: there a thread of its
    own draws what has changed, so that none of those waits for the screen.
    """

    def __init__(self, stream: IO[str], *, color: bool = True) -> None:
        # Imported here: rich takes longer to load than most commands take to run.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        self._stream = _Unfailing(stream)
        self._is_stderr = stream is sys.stderr
        self._console = Console(
            file=cast("IO[str]", self._stream), no_color=True if not color else None, highlight=False
        )
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            auto_refresh=False,
        )
        # Held by whoever draws. Threads that report about sizes do not: the tally has a lock of its own.
        self._screen = threading.RLock()
        self._task: TaskID | None = None
        self._tally: Tally | None = None
        self._live: Live | None = None

    @property
    def is_able_to_redraw(self) -> bool:
        """Whether this terminal can: one without cursor movements cannot."""
        return self._console.is_interactive

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage in place of the one before."""
        with self._screen:
            self.end()
            self._task = self._bar.add_task(text.printable(what), total=total)
            self._bar.start()
            self._bar.refresh()

    def step(self, count: int = 1) -> None:
        """Advance the bar and redraw it."""
        with self._screen:
            if self._task is not None:
                self._bar.update(self._task, advance=count, refresh=True)

    def sizes(self, planned: Mapping[int, int], currency: str = "USD") -> None:
        """Start drawing a line for each size, or add lines."""
        with self._screen:
            if self._tally:
                self._tally.plan(planned)
                return
            self.end()
            self._tally = Tally(time.monotonic(), currency)
            self._tally.plan(planned)
            self._start_drawing(self._tally)

    def state(self, memory_mb: int, words: str, *, final: bool = False) -> None:
        """Change the words in a size's line."""
        tally = self._tally
        if tally:
            tally.state(memory_mb, words, final=final)

    def ran(self, memory_mb: int, *, duration_ms: float | None, amount: float, counts: bool) -> None:
        """Change the figures in a size's line."""
        tally = self._tally
        if tally:
            tally.ran(memory_mb, time.monotonic(), duration_ms=duration_ms, amount=amount, counts=counts)

    def note(self, message: str) -> None:
        """Print a line above what is being redrawn."""
        with self._screen:
            self._console.print(text.printable(message, limit=_LONGEST_NOTE), markup=False, emoji=False)

    def end(self) -> None:
        """Clear the lines."""
        with self._screen:
            if self._live:
                self._live.stop()
            self._bar.stop()
            for task_id in self._bar.task_ids:
                self._bar.remove_task(task_id)
            self._live = self._tally = self._task = None

    def _start_drawing(self, tally: Tally) -> None:
        from rich.live import Live  # noqa: PLC0415 - see __init__

        standing = tally.standing(time.monotonic())
        # What others print on the same stream goes above the lines; standard output is none of its business.
        self._live = Live(
            self._frame(standing),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=self._is_stderr,
        )
        self._live.start(refresh=True)
        threading.Thread(target=self._keep_drawing, args=[self._live, tally, standing], daemon=True).start()

    def _keep_drawing(self, live: "Live", tally: Tally, drawn: Standing) -> None:
        while live is self._live:
            time.sleep(_SECONDS_BETWEEN_FRAMES)
            standing = tally.standing(time.monotonic())
            if standing != drawn:
                drawn = standing
                with self._screen:
                    if live is self._live:
                        live.update(self._frame(standing), refresh=True)

    def _frame(self, standing: Standing) -> "RenderableType":
        from powertune.progress_table import frame  # noqa: PLC0415 - see __init__

        width, height = self._console.size
        # One line less than there are: a full screen would scroll when it is cleared.
        return frame(standing, width=width, height=height - 1, plus_minus=self._stream.plus_minus)


# Of a stream whose reader is gone, that is closed, and that a signal handler writes to in the midst of a write.
_WRITE_ERRORS = (OSError, ValueError, RuntimeError)


class _Unfailing:
    """A stream that loses what it cannot take: there still is work to do."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self.plus_minus = "±" if self._encodable("±") == "±" else "+-"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, shown: str) -> int:
        with suppress(*_WRITE_ERRORS):
            self._stream.write(self._encodable(shown))
        return len(shown)

    def flush(self) -> None:
        with suppress(*_WRITE_ERRORS):
            self._stream.flush()

    def _encodable(self, shown: str) -> str:
        return shown.encode(self._encoding, "replace").decode(self._encoding)


def _result(row: Row, currency: str, plus_minus: str) -> str:
    """Return the plain line about a size that has finished."""
    parts = [] if row.words == DONE else [row.words]
    if row.runs or not parts:
        parts.append(text.count(row.runs, "run"))
    if row.median_ms is not None:
        parts.append(f"median {median_in_words(row.median_ms, row.half_width_ms, plus_minus, unit_twice=True)}")
    if row.amount:
        parts.append(text.money(row.amount, currency))
    return f"{row.memory_mb} MB: {', '.join(parts)}"


def _overall(standing: Standing) -> str:
    """Return the plain line about all sizes."""
    parts = [f"measured {standing.runs:,} of {text.count(standing.wanted, 'run')}"]
    if standing.amount:
        parts.append(f"{text.money(standing.amount, standing.currency)} spent")
    if standing.left_s is not None:
        parts.append(f"about {text.rough_duration(standing.left_s)} left")
    return ", ".join(parts)


@contextmanager
def progress_for(stream: TextIO | None = None, *, quiet: bool = False, color: bool = True) -> Iterator[Progress]:
    """Give what suits `stream` (stderr if not given): what a terminal redraws, plain lines elsewhere, or nothing."""
    if quiet:
        yield NoProgress()
        return
    target = stream or sys.stderr
    terminal = TerminalProgress(target, color=color) if target.isatty() else None
    progress: Progress = terminal if terminal and terminal.is_able_to_redraw else PlainProgress(target)
    try:
        yield progress
    finally:
        progress.end()
