"""Many functions in one table, those first whose recommended size saves most."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from powertune import text
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, html
from powertune.report.csv_format import csv_text, figure
from powertune.report.markdown import escape

FORMATS = ("table", "csv", "markdown", "html")
"""Formats in which many functions are one table; in others they stand one after the other."""

_SHORTEST_NAME, _LONGEST_NAME = 12, 64
_HEAD = ("Function", "Now", "Better", "Duration", "Cost", "Saves", "Runs", "Confidence")
"""The first and the last are of words, the others of numbers."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What the recommended size of a function saves against the current one; below 0 where it costs more."""

    amount: float
    currency: str
    is_of_month: bool
    """Whether it is that of a month; else of a million invocations, as nobody knows how many a month has."""


def saving_of(run: TuningRun) -> Saving | None:
    """Return what a run's recommendation saves; None where there is none, or nothing to compare it with."""
    change = run.recommendation.versus_current
    if change is None:
        return None
    if change.per_month is not None:
        return Saving(-change.per_month, run.pricing.currency, is_of_month=True)
    costs = {size.memory_mb: size.cost for size in run.sizes if size.cost}
    current = costs.get(run.function.current_memory_mb or 0)
    chosen = costs.get(run.recommendation.memory_mb or 0)
    if current is None or chosen is None:
        return None
    return Saving(current.per_million - chosen.per_million, run.pricing.currency, is_of_month=False)


def ranked(runs: Iterable[TuningRun]) -> list[TuningRun]:
    """Return runs ordered by what they save: by the month where that is known, then by the million, then the others."""

    def place(run: TuningRun) -> tuple[int, float, str, str]:
        saving = saving_of(run)
        rank = 2 if saving is None else 0 if saving.is_of_month else 1
        return rank, -saving.amount if saving else 0.0, run.function.name or "", run.function.architecture or ""

    return sorted(runs, key=place)


def render(runs: Sequence[TuningRun], format_name: str, style: Style) -> str:
    """Return the ranking of runs in one of `FORMATS`, ending in a newline."""
    rows = ranked(runs)
    if format_name == "csv":
        return _csv(rows)
    if format_name == "markdown":
        return _markdown(rows)
    if format_name == "html":
        return _html(rows)
    return _table(rows, style)


def name_of(run: TuningRun, runs: Sequence[TuningRun]) -> str:
    """Return a function's name, with architecture and region where the name alone does not tell it from others."""
    name = run.function.name or "(unnamed)"
    namesakes = [other.function for other in runs if other.function.name == run.function.name]
    marks = [
        str(getattr(run.function, what))
        for what in ("architecture", "region")
        if len({getattr(other, what) for other in namesakes}) > 1
    ]
    return f"{name} ({', '.join(marks)})" if marks else name


# --- tables for people ---


def _cells(run: TuningRun, runs: Sequence[TuningRun]) -> tuple[str, ...]:
    recommendation = run.recommendation
    change, saving = recommendation.versus_current, saving_of(run)
    current = run.function.current_memory_mb
    saved = ""
    if saving is not None:
        saved = f"{text.money(saving.amount, saving.currency)} {'a month' if saving.is_of_month else 'per 1M'}"
    return (
        name_of(run, runs),
        f"{current} MB" if current else "",
        f"{recommendation.memory_mb} MB" if recommendation.memory_mb else "none",
        text.percent(change.duration_pct) if change else "",
        text.percent(change.cost_pct) if change else "",
        saved,
        f"{_count(run):,}",
        recommendation.confidence,
    )


def _count(run: TuningRun) -> int:
    return sum(size.invocations.warm + size.invocations.cold + size.invocations.failed for size in run.sizes)


def _summary(runs: Sequence[TuningRun]) -> str:
    """Return what all functions save together in a month, as far as that is known."""
    monthly = [saving for run in runs if (saving := saving_of(run)) and saving.is_of_month and saving.amount > 0]
    strategies = " and ".join(sorted({run.recommendation.strategy for run in runs}))
    words = f"{text.count(len(runs), 'function')}, recommended for {strategies}."
    for currency in sorted({saving.currency for saving in monthly}):
        known = [saving.amount for saving in monthly if saving.currency == currency]
        amount = text.money(sum(known), currency)
        words += f" {text.count(len(known), 'function')} could save {amount} a month together."
    return words


def _table(runs: Sequence[TuningRun], style: Style) -> str:
    rows = _filled([_HEAD, *(_cells(run, runs) for run in runs)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    room = style.width - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(_SHORTEST_NAME, room), _LONGEST_NAME)
    lines = [_line(row, widths) for row in rows]
    rule = "-" if style.ascii_only else "─"
    lines.insert(1, rule * max(map(len, lines)))
    lines += ["", _summary(runs), "A function's own table: --function NAME. All figures: -f json."]
    return text.inert("\n".join(lines)) + "\n"


def _filled(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the columns in which there is anything below the head."""
    filled = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    return [[row[column] for column in filled] for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        shown = text.printable(cell, limit=max(width, 4)) if cell else ""
        is_left = column in (0, len(row) - 1)
        cells.append(shown.ljust(width) if is_left else shown.rjust(width))
    return "  ".join(cells).rstrip()


def _markdown(runs: Sequence[TuningRun]) -> str:
    head, *rows = _filled([_HEAD, *(_cells(run, runs) for run in runs)])
    lines = [f"**{escape(_summary(runs))}**", "", f"| {' | '.join(head)} |"]
    lines.append("|---|" + "---:|" * (len(head) - 2) + "---|")
    lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _html(runs: Sequence[TuningRun]) -> str:
    """Return a page with the ranking, and below it each run of its own, folded."""
    head, *rows = _filled([_HEAD, *(_cells(run, runs) for run in runs)])
    body = [f"<h1>{html.escape(_summary(runs))}</h1>", *html.table(head, rows, is_named=True)]
    for run in runs:
        body += html.folded(run, name_of(run, runs))
    return html.page(_summary(runs), body)


# --- for spreadsheets ---


def _csv(runs: Sequence[TuningRun]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "function", "architecture", "region", "current_memory_mb", "recommended_memory_mb", "duration_pct",
            "cost_pct", "saving_per_month", "saving_per_million", "currency", "invocations_per_month", "runs",
            "confidence", "reason",
        ]
    )  # fmt: skip
    for run in runs:
        recommendation, function = run.recommendation, run.function
        change, saving = recommendation.versus_current, saving_of(run)
        writer.writerow(
            [
                csv_text(function.name or ""), function.architecture, function.region, function.current_memory_mb,
                recommendation.memory_mb,
                figure(change.duration_pct if change else None), figure(change.cost_pct if change else None),
                figure(saving.amount if saving and saving.is_of_month else None),
                figure(saving.amount if saving and not saving.is_of_month else None), run.pricing.currency,
                figure(run.choice.get("invocations_per_month")), _count(run), recommendation.confidence,
                csv_text(recommendation.reasons[0] if recommendation.reasons else ""),
            ]
        )  # fmt: skip
    return out.getvalue()
