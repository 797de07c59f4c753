"""Runs as one page that stands alone: tables, and charts drawn in SVG. No script, nothing fetched, light and dark."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape as escape_html

from powertune import text
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, words
from powertune.report.chart import charts

_LONGEST = 1000

_CSS = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --page: #fff; --duration: #0969da;
  --cost: #8250df; --pick: #1a7f37; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --page: #0d1117;
  --duration: #4493f8; --cost: #ab7df8; --pick: #3fb950; --bad: #f85149; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1, h2 { font-size: 1.3rem; margin: 1.5rem 0 .3rem; }
p { margin: .3rem 0; }
.note, figcaption { color: var(--soft); font-size: .9rem; }
.answer { color: var(--pick); font-weight: 600; }
.none, .failed { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:last-child, td:last-child, .named th:first-child, .named td:first-child { text-align: left; white-space: normal; }
tr.chosen td { font-weight: 600; }
figure { margin: 1rem 0; }
svg { width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--line); }
svg .duration { stroke: var(--duration); fill: var(--duration); }
svg .cost { stroke: var(--cost); fill: var(--cost); }
svg path.duration, svg path.cost { fill: none; stroke-width: 2; }
svg .pick { stroke: var(--pick); fill: none; stroke-width: 2; }
svg .guess { fill: var(--page); }
svg text.mark { fill: var(--pick); font-weight: 600; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_CSS.encode("utf-8")).digest()).decode("ascii")
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"


def render(run: TuningRun, _style: Style) -> str:
    """Return the page of one run."""
    return page(words.title(run), list(_section(run, "h1")))


def page(title: str, body: Sequence[str]) -> str:
    """Return a page of its own that holds `body`, lines of HTML. It may load nothing and run nothing."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(title)}</title>",
            f"<style>{_CSS}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def folded(run: TuningRun, summary: str) -> Iterator[str]:
    """Yield a run as a part of a page on many, folded behind its summary."""
    yield f"<details><summary>{escape(summary)}</summary>"
    yield from _section(run, "h2")
    yield "</details>"


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, chosen: int | None = None, is_named: bool = False
) -> Iterator[str]:
    """Yield a table of cells that are not escaped yet, its last column of words, and its first where `is_named`."""
    named = ' class="named"' if is_named else ""
    yield f'<div class="scroll"><table{named}>'
    yield f"<thead><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr></thead>"
    yield "<tbody>"
    for index, row in enumerate(rows):
        mark = ' class="chosen"' if index == chosen else ""
        yield f"<tr{mark}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody></table></div>"


def escape(value: object) -> str:
    """Return text from outside as HTML that shows it, and does nothing else."""
    return escape_html(text.printable(value, limit=_LONGEST), quote=True)


def _section(run: TuningRun, level: str) -> Iterator[str]:
    yield f"<{level}>{escape(words.title(run))}</{level}>"
    kind = "answer" if run.recommendation.memory_mb else "none"
    yield f'<p class="{kind}">{escape(words.headline(run))}</p>'
    for line in (*run.recommendation.reasons, words.comparison(run), words.saving(run)):
        if line:
            yield f"<p>{escape(line)}</p>"
    yield from charts(run)
    months, verified = words.is_monthly(run), words.is_verified(run)
    head = ["Memory", "Duration", "95 % interval", "p95", "Cost per 1M"]
    head += ["Per month"] * months + ["Under quota"] * verified + ["Runs", ""]
    rows = [_row(run, size, months=months, verified=verified) for size in run.sizes]
    sizes = [size.memory_mb for size in run.sizes]
    recommended = run.recommendation.memory_mb
    yield from table(head, rows, chosen=sizes.index(recommended) if recommended in sizes else None)
    for why in words.failures(run):
        yield f'<p class="failed">{escape(why)}</p>'
    for line in words.alternatives(run):
        yield f"<p>{escape(line)}</p>"
    for warning in run.warnings:
        yield f"<p><strong>{escape(warning.code)}</strong>: {escape(warning.message)}. {escape(warning.hint)}.</p>"
    notes = (words.call_note(run), *words.quota_notes(run), words.basis_note(run), words.price_note(run))
    for note in (*notes, f"powertune {run.tool_version}, {run.created_at}"):
        if note:
            yield f'<p class="note">{escape(note)}</p>'


def _row(run: TuningRun, size: SizeProfile, *, months: bool, verified: bool) -> list[str]:
    duration, cost, runs = size.duration_ms, size.cost, size.invocations
    interval = duration and duration.ci95
    return [
        f"{size.memory_mb} MB",
        text.duration(duration.mean) if duration else "",
        " to ".join(map(text.duration, interval)) if interval else "",
        text.duration(duration.p95) if duration and duration.p95 is not None else "",
        text.money(cost.per_million, cost.currency) if cost else "",
        *([words.per_month(size)] if months else []),
        *([words.under_quota(size)] if verified else []),
        str(runs.warm or runs.cold or ""),
        words.note_of(run, size),
    ]
