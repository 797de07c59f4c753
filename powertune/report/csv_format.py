"""One line a memory size, for spreadsheets."""

import csv
import io

from powertune.model.size_profile import Cost, Distribution, SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, words
from powertune.text import printable

_PER_MILLION = 1_000_000
# What a spreadsheet would take for the start of a formula, four of them full-width forms, or a CI log for a command.
_OBEYED_STARTS = ("::", "=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def render(run: TuningRun, _style: Style) -> str:
    """Return a header and a line for each size; empty cells where nothing is known."""
    verified = words.is_verified(run)
    code, months = run.pricing.currency.lower(), words.is_monthly(run)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "memory_mb", "status", "basis", "warm", "cold", "failed", "mean_ms", "p50_ms", "p95_ms", "p99_ms",
            "stddev_ms", "ci95_low_ms", "ci95_high_ms", "init_ms", "max_memory_used_mb", f"{code}_per_million",
            *([f"{code}_per_month"] if months else []), "expected_ms", f"expected_{code}_per_million", "outliers",
            *(["under_quota_p50_ms", "under_quota_predicted_ms"] if verified else []),
            "picks", "recommended", "reason",
        ]
    )  # fmt: skip
    for size in run.sizes:
        duration = size.duration_ms or Distribution(float("nan"))
        low, high = duration.ci95 or (None, None)
        cost = size.cost or Cost(0.0, float("nan"))
        counts, expected = size.invocations, size.expected
        figures = (duration.mean, duration.p50, duration.p95, duration.p99, duration.stddev, low, high)
        writer.writerow(
            [
                size.memory_mb, size.status, size.basis, counts.warm, counts.cold, counts.failed,
                *map(figure, figures),
                figure(size.init_ms.mean if size.init_ms else None), figure(size.max_memory_used_mb),
                figure(cost.per_million), *([figure(cost.per_month)] if months else []),
                figure(expected.duration_ms if expected else None),
                figure(expected.cost_per_invocation * _PER_MILLION if expected else None),
                size.outliers.count if size.outliers else "",
                *(map(figure, _under_quota(size)) if verified else []),
                " ".join(words.picks_of(run, size)),
                "yes" if size.memory_mb == run.recommendation.memory_mb else "", csv_text(size.reason or ""),
            ]
        )  # fmt: skip
    return out.getvalue()


def _under_quota(size: SizeProfile) -> tuple[float | None, float | None]:
    found = size.throttled
    return (found.p50_ms, found.predicted_at_cpu_ms) if found else (None, None)


def figure(value: float | None) -> str:
    """Return a figure with up to ten digits that count; empty where there is none."""
    return "" if value is None or value != value else f"{value:.10g}"  # noqa: PLR0124 - NaN is not itself


def csv_text(value: str) -> str:
    """Return text from outside so that no spreadsheet takes it for a formula, and no CI log for a command."""
    safe = printable(value, limit=500)
    return f"'{safe}" if safe.startswith(_OBEYED_STARTS) else safe
