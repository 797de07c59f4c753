"""A table and the recommendation for a pull request or a wiki."""

import re

from powertune import text
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, words

# What could open a link, an image, HTML, a mention or a table cell in text from outside.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#!|~@&]|(?<=:)/(?=/)|(?<=www)\.)")
# GitHub and GitLab look for mentions and references in the text that the escapes stand for: only markup breaks these.
_REFERENCE = re.compile(r"(?<=[@#!&~])(?=\w)|(?<=\bGH-)(?=\d)")
_NOTHING = "<!-- -->"


def render(run: TuningRun, _style: Style) -> str:
    """Return GitHub-flavoured markdown."""
    lines = [f"**{words.headline(run)}**", f"{escape(words.title(run))}", ""]
    said = (*run.recommendation.reasons, words.comparison(run), words.saving(run))
    lines += [escape(line) for line in said if line]
    months = words.is_monthly(run)
    verified = words.is_verified(run)
    head = [
        "Memory",
        "Duration",
        *(["Under quota"] if verified else []),
        "p95",
        "Cost per 1M",
        *(["Per month"] if months else []),
    ]
    lines += ["", f"| {' | '.join(head)} | |", f"|{'---:|' * len(head)}---|"]
    lines += [_row(run, size, months=months, verified=verified) for size in run.sizes]
    lines += ["", *(f"- {escape(why)}" for why in (*words.failures(run), *words.alternatives(run)))]
    notes = (words.call_note(run), *words.quota_notes(run), words.basis_note(run), words.price_note(run))
    lines += ["", *(f"*{escape(note)}*" for note in notes if note)]
    for warning in run.warnings:
        lines += ["", f"> **{escape(warning.code)}**: {escape(warning.message)}. {escape(warning.hint)}."]
    return "\n".join(lines) + "\n"


def _row(run: TuningRun, size: SizeProfile, *, months: bool, verified: bool) -> str:
    duration, cost = size.duration_ms, size.cost
    cells = [
        f"{size.memory_mb} MB",
        text.duration(duration.mean) if duration else "",
        *([words.under_quota(size)] if verified else []),
        text.duration(duration.p95) if duration and duration.p95 is not None else "",
        text.money(cost.per_million, cost.currency) if cost else "",
        *([words.per_month(size)] if months else []),
        escape(words.note_of(run, size)),
    ]
    if size.memory_mb == run.recommendation.memory_mb:
        cells = [f"**{cell}**" if cell else "" for cell in cells]
    return f"| {' | '.join(cells)} |"


def escape(value: str, *, limit: int = 500) -> str:
    """Return text from outside with everything that markdown would obey taken literally, cut to `limit` characters."""
    parts = _REFERENCE.split(text.printable(value, limit=limit))
    return _NOTHING.join(_MARKUP.sub(r"\\\1", part) for part in parts)
