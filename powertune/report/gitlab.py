"""A gate result as GitLab's code quality report: findings at the lines where memory sizes are written."""

import json
from typing import Any

from powertune import text
from powertune.model.configured import Place
from powertune.model.gate_rules import Severity
from powertune.model.judgement import GateResult
from powertune.report import Style, verdicts

_SEVERITIES: dict[Severity, str] = {"error": "major", "warning": "minor", "note": "info"}


def render(result: GateResult, _style: Style) -> str:
    """Return a JSON array of findings. Those that no file is known for cannot be shown by GitLab and are left out."""
    found = [_issue(one, one.place) for one in verdicts.findings(result) if one.place]
    return json.dumps(found, indent=1) + "\n"


def _issue(one: verdicts.Finding, place: Place) -> dict[str, Any]:
    return {
        "description": f"{verdicts.name_of(one.judgement)}: {verdicts.sentence_of(one.check)}",
        "check_name": text.printable(one.check.rule, limit=100),
        "fingerprint": one.fingerprint,
        "severity": _SEVERITIES[one.level],
        "location": {"path": place.file, "lines": {"begin": max(1, place.line)}},
    }
