"""The table for a terminal: one row a size, bars for the shape, the picks marked, the recommendation below it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from powertune import text
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, words
from powertune.report.screen import CHOSEN_COLOR, Screen, new_table

_WIDE, _ROOM_FOR_MONTHS, _ROOM_FOR_QUOTA = 100, 72, 72
_LONGEST_BAR, _SHORTEST_BAR = 14, 4
_WIDEST_NOTE = 22
"""Longer notes wrap rather than take the room of the bars."""
_EIGHTHS = " ▏▎▍▌▋▊▉"
# Of the sixteen colours that every terminal theme makes readable on its own background.
_DURATION_COLOR, _COST_COLOR = "cyan", "magenta"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as the cells see it; `figure` is what its bar shows."""

    name: str
    cell: Callable[[SizeProfile], str]
    figure: Callable[[SizeProfile], float | None] | None = None
    color: str = ""


def render(run: TuningRun, style: Style) -> str:
    """Return the table, `style.width` columns wide at most where the terminal allows it."""
    screen = Screen(style)
    screen.say(words.title(run), "bold")
    screen.show(_table(run, style))
    for why in words.failures(run):
        screen.say(why, "red")
    screen.say()
    screen.say(words.headline(run), CHOSEN_COLOR if run.recommendation.memory_mb else "bold red")
    for line in (*run.recommendation.reasons, words.comparison(run), words.saving(run)):
        if line:
            screen.say(line)
    for note in (
        words.call_note(run),
        *words.quota_notes(run, in_full=style.width < _ROOM_FOR_QUOTA),
        words.basis_note(run),
        words.price_note(run),
    ):
        if note:
            screen.say(note, "dim")
    return screen.drawn()


def _table(run: TuningRun, style: Style) -> Table:
    columns = _columns(run, style.width)
    notes = [words.note_of(run, size) for size in run.sizes]
    texts = {column.name: [column.cell(size) for size in run.sizes] for column in columns}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in texts.items()}
    barred = [column for column in columns if column.figure]
    # Gaps of two (one is the box's), the mark in front, the picks behind; what is left is for bars.
    noted = min(max(map(len, notes), default=0), _WIDEST_NOTE)
    taken = 3 + sum(width + 2 for width in widths.values()) + noted
    bar_width = min(_LONGEST_BAR, (style.width - taken) // len(barred) - 1)

    table = new_table()
    table.add_column("", width=1)
    for column in columns:
        table.add_column(column.name, justify="left" if column.figure else "right", no_wrap=True)
    table.add_column("", overflow="fold")
    for index, (size, note) in enumerate(zip(run.sizes, notes, strict=True)):
        chosen = size.memory_mb == run.recommendation.memory_mb
        cells = [Text(">" if chosen else "", CHOSEN_COLOR)]
        for column in columns:
            cell = Text(texts[column.name][index].rjust(widths[column.name]))
            if column.figure and bar_width >= _SHORTEST_BAR:
                bar = _bar(column.figure(size), _largest(run.sizes, column.figure), bar_width, style)
                cell.append(" ").append(bar.ljust(bar_width), column.color)
            cells.append(cell)
        table.add_row(*cells, Text(note, CHOSEN_COLOR if chosen else ""), style="bold" if chosen else "")
    return table


def _columns(run: TuningRun, width: int) -> list[_Column]:
    """Return the columns, the less needed only where there is room and something to show."""
    wide = width >= _WIDE

    def duration(get: str) -> Callable[[SizeProfile], str]:
        def cell(size: SizeProfile) -> str:
            value = getattr(size.duration_ms, get, None)
            return "" if value is None else text.duration(value)

        return cell

    columns = [
        _Column("Memory", lambda size: f"{size.memory_mb} MB"),
        _Column("Duration", duration("mean"), _mean_ms, _DURATION_COLOR),
    ]
    if words.is_verified(run) and width >= _ROOM_FOR_QUOTA:
        columns.append(_Column("Under quota", words.under_quota))
    decides = any(size.status == "ok" and (size.reason or "").startswith("p95") for size in run.sizes)
    if (wide or decides) and any(size.duration_ms and size.duration_ms.p95 is not None for size in run.sizes):
        columns.append(_Column("p95", duration("p95")))
    columns.append(_Column("Cost per 1M", _cost, _per_million, _COST_COLOR))
    if width >= _ROOM_FOR_MONTHS and words.is_monthly(run):
        columns.append(_Column("Per month", words.per_month))
    if wide and any(size.invocations.warm or size.invocations.cold for size in run.sizes):
        columns.append(_Column("Runs", lambda size: f"{size.invocations.warm or size.invocations.cold or ''}"))
    if wide and any(size.max_memory_used_mb is not None for size in run.sizes):
        columns.append(
            _Column("Used", lambda size: f"{size.max_memory_used_mb:.0f} MB" if size.max_memory_used_mb else "")
        )
    return columns


def _mean_ms(size: SizeProfile) -> float | None:
    return size.duration_ms.mean if size.duration_ms else None


def _per_million(size: SizeProfile) -> float | None:
    return size.cost.per_million if size.cost else None


def _cost(size: SizeProfile) -> str:
    return text.money(size.cost.per_million, size.cost.currency) if size.cost else ""


def _largest(sizes: Sequence[SizeProfile], figure: Callable[[SizeProfile], float | None]) -> float:
    return max((figure(size) or 0.0 for size in sizes), default=0.0)


def _bar(value: float | None, largest: float, width: int, style: Style) -> str:
    """Return a bar of up to `width` cells, in eighths of a cell, never empty for a value that is not zero."""
    if not value or not largest:
        return ""
    eighths = max(1, round(value / largest * width * 8))
    if style.ascii_only:
        return "#" * max(1, eighths // 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
