"""A gate result for GitHub Actions: annotations at the lines of a template, and the outputs of a step.

The format is that of GitHub's documentation, Workflow commands for GitHub Actions, 2026.
"""

import hashlib
import json
from collections.abc import Mapping

from powertune import text
from powertune.model.gate_rules import Severity
from powertune.model.judgement import GateResult
from powertune.model.run_warning import RunWarning
from powertune.report import Style, verdicts

MOST_OF_A_KIND = 10
"""GitHub shows so many errors, warnings and notices of a step each, and drops the others without a word."""
SUMMARY_BYTES = 1_000_000
"""GitHub refuses a job summary of more than 1,024 kB as a whole."""
_COMMANDS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


def render(result: GateResult, _style: Style) -> str:
    """Return annotations, the worst ones of each kind, and the headline as the last line.

    Doubts about the gate itself are warnings without a file.
    """
    lines = []
    found = verdicts.findings(result)
    for level, command in _COMMANDS.items():
        of_kind = [_finding(command, one) for one in found if one.level == level]
        if level == "warning":
            of_kind += [_doubt(command, warning) for warning in result.warnings]
        lines += of_kind[:MOST_OF_A_KIND]
        if len(of_kind) > MOST_OF_A_KIND:
            left_out = text.count(len(of_kind) - MOST_OF_A_KIND, f"more {command}")
            lines.append(f"{left_out} in the summary of the job")
    return "\n".join([*lines, verdicts.headline(result)]) + "\n"


def _finding(command: str, one: verdicts.Finding) -> str:
    message = f"{verdicts.name_of(one.judgement)}: {verdicts.sentence_of(one.check)}"
    properties = {"title": f"powertune {text.printable(one.check.rule, limit=60)}"}
    if one.place:
        file = one.place.file if one.place.file.isprintable() else text.printable(one.place.file, limit=1000)
        properties = {"file": file, "line": str(max(1, one.place.line)), **properties}
    return _annotation(command, properties, message)


def _doubt(command: str, warning: RunWarning) -> str:
    message = f"{text.printable(warning.message, limit=400)}; {text.printable(warning.hint, limit=400)}"
    return _annotation(command, {"title": f"powertune {text.printable(warning.code, limit=60)}"}, message)


def _annotation(command: str, properties: Mapping[str, str], message: str) -> str:
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {said}::{_data(message)}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def outputs(result: GateResult, report_path: str = "") -> str:
    """Return the outputs of a step, to append to the file that $GITHUB_OUTPUT names.

    `finding` is the rule of the worst finding that fails the gate, empty where none does; `report-path` is
    `report_path`. `recommended-memory` in MB and `savings-pct`, what the recommended size saves of the cost, are plain
    values for one function, JSON objects by function for several.
    """
    failing = [one.check.rule for one in verdicts.findings(result) if one.check.fails_gate]
    memory = {judgement.function: judgement.recommended_memory_mb for judgement in result.judgements}
    changes = {judgement.function: verdicts.change_of(judgement) for judgement in result.judgements}
    savings = {name: round(-found[2].cost_pct, 2) if found else 0 for name, found in changes.items()}
    values = {
        "recommended-memory": _one_or_all(memory),
        "finding": text.printable(failing[0], limit=100) if failing else "",
        "savings-pct": _one_or_all(savings),
        "report-path": report_path,
    }
    return "".join(_output(name, value) for name, value in values.items())


def _one_or_all(values: Mapping[str, float | None]) -> str:
    if len(values) == 1:
        value = next(iter(values.values()))
        return "" if value is None else f"{value:g}"
    return json.dumps(values)


def _output(name: str, value: str) -> str:
    """Return an output whose value may hold anything: it ends at a line that it cannot hold itself."""
    end = f"end-{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return f"{name}<<{end}\n{value}\n{end}\n"
