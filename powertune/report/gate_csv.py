"""A gate result for spreadsheets: one line a check."""

import csv
import io

from powertune.model.judgement import GateResult
from powertune.report import Style, verdicts
from powertune.report.csv_format import csv_text, figure

_HEAD = (
    "function", "outcome", "current_memory_mb", "recommended_memory_mb", "rule", "result", "severity", "fails_gate",
    "measured", "ci95_low", "ci95_high", "limit", "unit", "message", "hint", "waived_until", "waiver_reason", "file",
    "line",
)  # fmt: skip


def render(result: GateResult, _style: Style) -> str:
    """Return a header and a line for each check; empty cells where nothing is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEAD)
    for judgement in result.judgements:
        place = judgement.place
        for check in judgement.checks:
            low, high = check.ci95 or (None, None)
            waiver = check.waiver
            writer.writerow(
                [
                    csv_text(judgement.function), judgement.outcome, judgement.current_memory_mb,
                    judgement.recommended_memory_mb, csv_text(check.rule), check.result, check.severity,
                    "yes" if check.fails_gate else "", *map(figure, (check.measured, low, high, check.limit)),
                    csv_text(check.unit), csv_text(verdicts.message_of(check)), csv_text(verdicts.hint_of(check)),
                    waiver.until if waiver else "", csv_text(waiver.reason) if waiver else "",
                    csv_text(place.file) if place else "", place.line if place else "",
                ]
            )  # fmt: skip
    return out.getvalue()
