"""What a stage over several memory sizes has come to so far: runs, a live median, money, and the pace."""

import math
import threading
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from powertune import text

WAITING = "waiting"
"""The words for a size at which nothing has happened yet."""
DONE = "done"
"""The words for a size at which all went well."""

_FEWEST_FOR_INTERVAL = 4
"""With fewer runs, quartiles are hardly more than the runs themselves."""
_NOTCH = 1.57
_MOST_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One memory size at one moment."""

    memory_mb: int
    words: str
    """What is happening there, safe to show."""
    runs: int
    """Those that count, of the `wanted`."""
    wanted: int
    median_ms: float | None
    half_width_ms: float | None
    amount: float
    """What all its runs cost, those that do not count too."""
    finished: int
    """1 for the size that finished first, 2 for the next, ...; 0 for one that has not finished."""

    @property
    def is_waiting(self) -> bool:
        """Whether nothing has happened at this size yet."""
        return not self.finished and self.words == WAITING


@dataclass(frozen=True, slots=True)
class Standing:
    """All sizes at one moment, in ascending order of memory, and what they come to together."""

    rows: tuple[Row, ...]
    runs: int
    wanted: int
    """No more than `runs` of a size that has finished: the rest of its runs will not come."""
    amount: float
    currency: str
    elapsed_s: int
    left_s: int | None
    """None before the first run, and after the last."""


@dataclass(slots=True)
class _Size:
    wanted: int = 0
    words: str = WAITING
    runs: int = 0
    durations_ms: list[float] = field(default_factory=list)
    amount: float = 0.0
    finished: int = 0


class Tally:
    """Counts what it is told, from any thread. Times are seconds of one clock that does not run backwards."""

    def __init__(self, now_s: float, currency: str = "USD") -> None:
        # May be entered anew by its own thread: a signal handler that shows progress interrupts one that does.
        self._lock = threading.RLock()
        self.currency = currency
        self._began_s = now_s
        self._first_run_began_s: float | None = None
        self._sizes: dict[int, _Size] = {}
        self._finished = 0

    def plan(self, planned: Mapping[int, int]) -> None:
        """Add so many warm runs at each of these sizes in MB, on top of what was planned there before."""
        with self._lock:
            for memory_mb, wanted in planned.items():
                size = self._sizes.setdefault(memory_mb, _Size())
                size.wanted += wanted
                size.words, size.finished = WAITING, 0

    def state(self, memory_mb: int, words: str, *, final: bool = False) -> Row | None:
        """Note what is happening at a size; return its row where that has just become final."""
        with self._lock:
            size = self._sizes.setdefault(memory_mb, _Size())
            is_news = final and not size.finished
            size.words = text.printable(words)
            if is_news:
                self._finished += 1
            size.finished = (size.finished or self._finished) if final else 0
            return _row(memory_mb, size) if is_news else None

    def ran(self, memory_mb: int, now_s: float, *, duration_ms: float | None, amount: float, counts: bool) -> None:
        """Count an invocation that has ended."""
        with self._lock:
            size = self._sizes.setdefault(memory_mb, _Size())
            size.amount += amount
            if not counts:
                return
            size.runs += 1
            if self._first_run_began_s is None:
                # Where runs go on side by side, the first ones end together: their own time is part of the pace.
                self._first_run_began_s = now_s - (duration_ms or 0.0) / 1000
            if duration_ms is not None and math.isfinite(duration_ms):
                insort(size.durations_ms, duration_ms)

    def standing(self, now_s: float) -> Standing:
        """Return where all sizes stand."""
        with self._lock:
            rows = tuple(_row(memory_mb, size) for memory_mb, size in sorted(self._sizes.items()))
            runs = sum(row.runs for row in rows)
            left = sum(max(0, row.wanted - row.runs) for row in rows if not row.finished)
            return Standing(
                rows=rows,
                runs=runs,
                wanted=runs + left,
                amount=sum(row.amount for row in rows),
                currency=self.currency,
                elapsed_s=int(now_s - self._began_s),
                left_s=self._left_s(now_s, runs, left),
            )

    def _left_s(self, now_s: float, runs: int, left: int) -> int | None:
        # Paced from the first run on: what is prepared before it may take far longer than any run.
        if not left or self._first_run_began_s is None:
            return None
        return round((now_s - self._first_run_began_s) / runs * left)


def _row(memory_mb: int, size: _Size) -> Row:
    durations_ms = size.durations_ms
    return Row(
        memory_mb=memory_mb,
        words=size.words,
        runs=size.runs,
        wanted=size.wanted,
        median_ms=_quantile(durations_ms, 0.5) if durations_ms else None,
        half_width_ms=half_width(durations_ms) if len(durations_ms) >= _FEWEST_FOR_INTERVAL else None,
        amount=size.amount,
        finished=size.finished,
    )


def half_width(ordered: Sequence[float]) -> float:
    """Return half the width of an interval for the median of values in ascending order, one at least.

    1.57 times the interquartile range over the root of n: the notch of a box plot, cheap and hardly moved by outliers
    (McGill, Tukey and Larsen, Variations of Box Plots, The American Statistician 32, 1978).
    """
    return _NOTCH * (_quantile(ordered, 0.75) - _quantile(ordered, 0.25)) / math.sqrt(len(ordered))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile, linear between order statistics."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = math.ceil(position)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def median_in_words(median_ms: float, half_width_ms: float | None, plus_minus: str, *, unit_twice: bool = False) -> str:
    """Return `179 ms ± 4`, or `179 ms ± 4 ms`: the half width in the unit and with the decimals of the median.

    It gets more decimals where it would show as nothing.
    """
    shown = text.duration(median_ms)
    if half_width_ms is None:
        return shown
    number, unit = shown.split(" ")
    half_width = half_width_ms / 1000 if unit == "s" else half_width_ms
    decimals = len(number.partition(".")[2])
    while half_width and not round(half_width, decimals) and decimals < _MOST_DECIMALS:
        decimals += 1
    return f"{shown} {plus_minus} {half_width:.{decimals}f}{f' {unit}' if unit_twice else ''}"
