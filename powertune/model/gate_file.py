"""The gate file: a GateResult as JSON and back. Its schema is gate-1.schema.json beside this file; changes only add."""

from dataclasses import replace
from datetime import date
from typing import Any

from powertune.model import run_file
from powertune.model.budgets import Waiver
from powertune.model.configured import Place
from powertune.model.gate_rules import SEVERITIES
from powertune.model.json_node import Node, RunFileError
from powertune.model.judgement import CHECK_RESULTS, OUTCOMES, Check, GateResult, Judgement
from powertune.model.tuning_run import TuningRun

SCHEMA_VERSION = 1
KIND = "gate"
"""What `kind` says in a gate file; run files have none."""


def to_dict(result: GateResult) -> dict[str, Any]:
    """Return a result as plain JSON values. Runs are in the layout of the run file, without their single invocations.

    These belong to the run files of their own that hold them; the figures that were judged are all there.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "fails": result.fails,
        "judgements": [_judgement_to_dict(judgement) for judgement in result.judgements],
        "warnings": [run_file.warning_to_dict(warning) for warning in result.warnings],
        "next_command": result.next_command,
    }


def _judgement_to_dict(judgement: Judgement) -> dict[str, Any]:
    return {
        "function": judgement.function,
        "outcome": judgement.outcome,
        "fails": judgement.fails,
        "current_memory_mb": judgement.current_memory_mb,
        "recommended_memory_mb": judgement.recommended_memory_mb,
        "place": _place_to_dict(judgement.place),
        "checks": [_check_to_dict(check) for check in judgement.checks],
        "run": _run_to_dict(judgement.run),
        "baseline": _run_to_dict(judgement.baseline),
    }


def _run_to_dict(run: TuningRun | None) -> dict[str, Any] | None:
    return run_file.to_dict(replace(run, invocations=())) if run else None


def _check_to_dict(check: Check) -> dict[str, Any]:
    waiver = check.waiver
    return {
        "rule": check.rule,
        "result": check.result,
        "severity": check.severity,
        "fails_gate": check.fails_gate,
        "message": check.message,
        "hint": check.hint,
        "measured": check.measured,
        "ci95": check.ci95 and list(check.ci95),
        "limit": check.limit,
        "unit": check.unit,
        "waiver": waiver
        and {
            "function": waiver.function,
            "rule": waiver.rule,
            "reason": waiver.reason,
            "until": waiver.until.isoformat(),
            "place": _place_to_dict(waiver.place),
        },
    }


def _place_to_dict(place: Place | None) -> dict[str, Any] | None:
    return {"file": place.file, "line": place.line, "column": place.column} if place else None


def from_dict(document: object) -> GateResult:
    """Read a gate file's JSON value. Raises RunFileError, whose text names the place that is off."""
    top = Node(document, "the gate file")
    version = top.get("schema_version", Node.integer)
    if version != SCHEMA_VERSION:
        raise RunFileError(
            f"the gate file has schema_version {version}; this powertune reads version {SCHEMA_VERSION}: "
            "a newer powertune wrote it"
        )
    return GateResult(
        judgements=tuple(_read_judgement(node) for node in top.child("judgements").items()),
        warnings=tuple(run_file.read_warning(node) for node in top.child("warnings").items()),
        next_command=top.get_optional("next_command", Node.text) or "",
    )


def _read_judgement(node: Node) -> Judgement:
    return Judgement(
        function=node.get("function", Node.text),
        outcome=node.get("outcome", Node.choice(OUTCOMES)),
        current_memory_mb=node.get_optional("current_memory_mb", Node.memory),
        recommended_memory_mb=node.get_optional("recommended_memory_mb", Node.memory),
        checks=tuple(_read_check(item) for item in node.child("checks").items()),
        place=node.get_optional("place", _read_place),
        run=node.get_optional("run", _read_run),
        baseline=node.get_optional("baseline", _read_run),
    )


def _read_run(node: Node) -> TuningRun:
    return run_file.from_dict(node.value)


def _read_check(node: Node) -> Check:
    return Check(
        rule=node.get("rule", Node.text),
        result=node.get("result", Node.choice(CHECK_RESULTS)),
        severity=node.get("severity", Node.choice(SEVERITIES)),
        message=node.get("message", Node.text),
        fails_gate=node.get("fails_gate", Node.boolean),
        measured=node.get_optional("measured", Node.number),
        ci95=node.get_optional("ci95", Node.interval),
        limit=node.get_optional("limit", Node.number),
        unit=node.get_optional("unit", Node.text) or "",
        hint=node.get_optional("hint", Node.text) or "",
        waiver=node.get_optional("waiver", _read_waiver),
    )


def _read_waiver(node: Node) -> Waiver:
    return Waiver(
        function=node.get("function", Node.text),
        rule=node.get("rule", Node.text),
        reason=node.get("reason", Node.text),
        until=node.get("until", _read_date),
        place=node.get_optional("place", _read_place),
    )


def _read_date(node: Node) -> date:
    try:
        return date.fromisoformat(node.text())
    except ValueError as error:
        raise RunFileError(f"{node.place} should be a date such as 2027-01-31") from error


def _read_place(node: Node) -> Place:
    return Place(node.get("file", Node.text), node.get("line", Node.count), node.get("column", Node.count))
