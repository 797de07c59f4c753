"""The rules that a function can break in a gate. Light to import: settings name them, too."""

from collections.abc import Mapping
from typing import Literal, get_args

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

SEVERITY_OF: Mapping[str, Severity] = {
    "over-provisioned": "error",
    "under-provisioned": "error",
    "insufficient-data": "warning",
    "inconclusive": "note",
    "max-p95": "error",
    "max-usd-per-million": "error",
    "max-memory": "error",
    "regression-duration": "error",
    "regression-cost": "error",
    "fail-if": "error",
    "function-failed": "error",
    "unresolved": "warning",
}
"""Every rule, and what it is when it is broken."""
