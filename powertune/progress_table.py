"""Memory sizes that are being measured, as lines of a terminal that are drawn again and again."""

from collections.abc import Collection, Sequence

from rich.cells import set_cell_size
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from powertune import text
from powertune.tally import DONE, Row, Standing, median_in_words

_GAP = "  "
_WIDEST_STATE, _NARROWEST_STATE = 24, 8
_LONGEST_BAR, _SHORTEST_BAR = 16, 6
"""Short enough to keep its width at 80 columns when the words beside it grow."""
# What figures grow into while runs come in: columns that start this wide seldom move.
_USUAL_MEDIAN, _USUAL_AMOUNT = 15, 8


def frame(standing: Standing, *, width: int, height: int, plus_minus: str) -> RenderableType:
    """Return a line for each size and one for all, `height` lines at most: what does not fit is counted."""
    shown = _shown(standing.rows, height - 1)
    hidden = {*standing.rows} - {*shown}
    lines = _rows(shown, standing.currency, width, plus_minus)
    if hidden and height > 1:
        lines.append(Text(f"{'':8}{_GAP}... {_counted(hidden)}", "dim", no_wrap=True, overflow="crop"))
    return Group(*lines, _overall(standing, width))


def _rows(rows: Sequence[Row], currency: str, width: int, plus_minus: str) -> list[Text]:
    if not rows:
        return []
    names = [f"{row.memory_mb:>5} MB" for row in rows]
    digits = max(len(f"{row.wanted:,}") for row in rows)
    counts = [f"{row.runs:>{digits},}/{row.wanted:,}" for row in rows]
    medians = [
        "" if row.median_ms is None else median_in_words(row.median_ms, row.half_width_ms, plus_minus) for row in rows
    ]
    amounts = [text.money(row.amount, currency) if row.amount else "" for row in rows]
    count_width = max(map(len, counts))
    median_width = max(_USUAL_MEDIAN, *map(len, medians))
    amount_width = max(_USUAL_AMOUNT, *map(len, amounts))
    taken = max(map(len, names)) + count_width + median_width + amount_width + 4 * len(_GAP)
    state_width = max(_NARROWEST_STATE, min(_WIDEST_STATE, width - taken))
    return [
        Text.assemble(
            name + _GAP,
            (set_cell_size(row.words, state_width), _style(row)),
            f"{_GAP}{count:>{count_width}}{_GAP}{median:<{median_width}}{_GAP}{amount:>{amount_width}}",
            no_wrap=True,
            overflow="crop",
        )
        for row, name, count, median, amount in zip(rows, names, counts, medians, amounts, strict=True)
    ]


def _style(row: Row) -> str:
    if row.finished:
        return "green" if row.words == DONE else "yellow"
    return "dim" if row.is_waiting else "cyan"


def _shown(rows: Sequence[Row], room: int) -> Sequence[Row]:
    """Return the rows to show in `room` lines, one of which counts the others where there are any.

    Those at work come first, then those that finished last, then those that are next.
    """
    if len(rows) <= room:
        return rows
    working, finished, waiting = _apart(rows)
    by_interest = [*working, *sorted(finished, key=lambda row: row.finished, reverse=True), *waiting]
    return sorted(by_interest[: max(0, room - 1)], key=lambda row: row.memory_mb)


def _apart(rows: Collection[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the rows at work, finished and waiting."""
    finished = [row for row in rows if row.finished]
    waiting = [row for row in rows if row.is_waiting]
    return [row for row in rows if not row.finished and not row.is_waiting], finished, waiting


def _counted(hidden: Collection[Row]) -> str:
    """Return `37 more sizes waiting`, `5 more sizes finished, 32 waiting`."""
    working, finished, waiting = map(len, _apart(hidden))
    kinds = [(working, "at work"), (finished, "finished"), (waiting, "waiting")]
    (first, what), *others = [(number, what) for number, what in kinds if number]
    return ", ".join([f"{text.count(first, 'more size')} {what}", *(f"{number:,} {what}" for number, what in others)])


def _overall(standing: Standing, width: int) -> RenderableType:
    parts = [
        f"{standing.runs:,}/{standing.wanted:,} runs",
        f"{text.money(standing.amount, standing.currency)} spent",
        f"{_clock(standing.elapsed_s)} elapsed",
    ]
    if standing.left_s is not None:
        parts.append(f"about {text.rough_duration(standing.left_s)} left")
    words = Text(_GAP.join(parts), no_wrap=True, overflow="crop")
    bar_width = min(_LONGEST_BAR, width - len(words) - len(_GAP))
    if bar_width < _SHORTEST_BAR:
        return words
    line = Table.grid(padding=(0, len(_GAP), 0, 0))
    line.add_row(ProgressBar(total=standing.wanted, completed=standing.runs, width=bar_width), words)
    return line


def _clock(seconds: int) -> str:
    """Return `0:42`, `12:05`, `1:02:03`."""
    minutes = seconds // 60
    return f"{minutes}:{seconds % 60:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds % 60:02}"  # noqa: PLR2004 - minutes of an hour
