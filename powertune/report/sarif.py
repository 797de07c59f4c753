"""A gate result as SARIF 2.1.0, for code scanning: findings at the lines where memory sizes are written.

OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, 2020; GitHub's documentation of the part of it
that code scanning reads, 2026.
"""

import json
from typing import Any
from urllib.parse import quote

from powertune import __version__, text
from powertune.model.configured import Place
from powertune.model.judgement import GateResult
from powertune.model.run_warning import RunWarning
from powertune.report import Style, verdicts
from powertune.report.rules import RULES, rule

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(result: GateResult, _style: Style) -> str:
    """Return the log. A result needs a location, so findings without one are told of in a notification instead."""
    found = verdicts.findings(result)
    rule_ids = list(RULES) + sorted({_rule_id(one) for one in found} - set(RULES))
    driver = {
        "name": "powertune",
        "version": __version__,
        "rules": [_rule(rule_id) for rule_id in rule_ids],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    *(_notification(one) for one in found if one.place is None),
                    *map(_doubt, result.warnings),
                ],
            }
        ],
        "results": [_result(one, one.place, rule_ids) for one in found if one.place],
    }
    return json.dumps({"version": "2.1.0", "$schema": _SCHEMA, "runs": [run]}, indent=1, allow_nan=False) + "\n"


def _rule(rule_id: str) -> dict[str, Any]:
    said = rule(rule_id)
    return {
        "id": rule_id,
        "shortDescription": {"text": said.summary},
        "fullDescription": {"text": said.summary},
        "help": {"text": said.help},
    }


def _result(one: verdicts.Finding, place: Place, rule_ids: list[str]) -> dict[str, Any]:
    check = one.check
    region = {"startLine": max(1, place.line), "startColumn": max(1, place.column)}
    result: dict[str, Any] = {
        "ruleId": _rule_id(one),
        "ruleIndex": rule_ids.index(_rule_id(one)),
        "level": one.level,
        "message": {"text": _message(one)},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": _uri(place.file)}, "region": region}},
        ],
        # The first is the one that GitHub goes by.
        "partialFingerprints": {"primaryLocationLineHash": one.fingerprint, "powertune/v1": one.fingerprint},
    }
    if check.waiver:
        result["suppressions"] = [{"kind": "external", "justification": verdicts.waiver_of(check)}]
    return result


def _rule_id(one: verdicts.Finding) -> str:
    return text.printable(one.check.rule, limit=100)


def _message(one: verdicts.Finding) -> str:
    return f"{verdicts.name_of(one.judgement)}: {verdicts.sentence_of(one.check)}"


def _uri(path: str) -> str:
    return quote(path, safe="/", errors="surrogatepass")


def _notification(one: verdicts.Finding) -> dict[str, Any]:
    return {
        "level": one.level,
        "message": {"text": f"{_message(one)}. No file is known to show it in: name one with --template."},
    }


def _doubt(warning: RunWarning) -> dict[str, Any]:
    said = f"{text.printable(warning.message, limit=400)}; {text.printable(warning.hint, limit=400)}"
    return {"level": "warning", "message": {"text": said}}
