"""The run file: a TuningRun as JSON and back. Its schema is run-1.schema.json beside this file; changes only add."""

from typing import Any

from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import STATUSES, Invocation
from powertune.model.json_node import Node, RunFileError
from powertune.model.recommendation import (
    CONFIDENCES,
    STRATEGIES,
    VERDICT_KINDS,
    Change,
    Recommendation,
    Verdict,
)
from powertune.model.run_file_sizes import month_to_dict, read_size, size_to_dict
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun

__all__ = ["SCHEMA_VERSION", "RunFileError", "from_dict", "read_warning", "to_dict", "warning_to_dict"]

SCHEMA_VERSION = 1


def to_dict(run: TuningRun) -> dict[str, Any]:
    """Return `run` as plain JSON values. Money keys carry the currency's code, as `usd_per_million`."""
    code = run.pricing.currency.lower()
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "powertune", "version": run.tool_version},
        "created_at": run.created_at,
        "source": dict(run.source),
        "function": _function_to_dict(run.function),
        "pricing": {
            "region": run.pricing.region,
            "architecture": run.pricing.architecture,
            "currency": run.pricing.currency,
            "as_of": run.pricing.as_of,
            "per_gb_second": run.pricing.per_gb_second,
            "per_request": run.pricing.per_request,
            "basis": run.pricing.basis,
        },
        "sizes": [size_to_dict(size, code) for size in run.sizes],
        "recommendation": _recommendation_to_dict(run.recommendation, code),
        "choice": dict(run.choice),
        "spent": {
            "invocations": run.spent.invocations,
            code: run.spent.amount,
            **({} if run.payback_days is None else {"payback_days": run.payback_days}),
        },
        "warnings": [warning_to_dict(warning) for warning in run.warnings],
        "invocations": [_invocation_to_dict(invocation) for invocation in run.invocations],
    }


def _function_to_dict(function: FunctionFacts) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": function.name,
        "runtime": function.runtime,
        "architecture": function.architecture,
        "region": function.region,
        "current_memory_mb": function.current_memory_mb,
    }
    if function.ephemeral_storage_mb is not None:
        document["ephemeral_storage_mb"] = function.ephemeral_storage_mb
    if function.timeout_s is not None:
        document["timeout_s"] = function.timeout_s
    return document


def _recommendation_to_dict(recommendation: Recommendation, code: str) -> dict[str, Any]:
    picks: dict[str, Any] = {strategy: {"memory_mb": recommendation.pick(strategy)} for strategy in STRATEGIES}
    document: dict[str, Any] = {
        "strategy": recommendation.strategy,
        "memory_mb": recommendation.memory_mb,
        "confidence": recommendation.confidence,
        **picks,
        "reasons": list(recommendation.reasons),
        "versus_current": recommendation.versus_current and _change_to_dict(recommendation.versus_current, code),
        "pareto": list(recommendation.pareto),
        "alternatives": list(recommendation.alternatives),
    }
    if recommendation.verdict is not None:
        document["verdict"] = _verdict_to_dict(recommendation.verdict)
    if recommendation.timeout_s is not None:
        document["timeout_s"] = recommendation.timeout_s
    return document


def _change_to_dict(change: Change, code: str) -> dict[str, Any]:
    document = {"duration_pct": change.duration_pct, "cost_pct": change.cost_pct, **month_to_dict(change, code)}
    if change.duration_verdict is not None:
        document["duration_verdict"] = _verdict_to_dict(change.duration_verdict)
    if change.cost_verdict is not None:
        document["cost_verdict"] = _verdict_to_dict(change.cost_verdict)
    return document


def _verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    return {
        "memory_mb": verdict.memory_mb,
        "other_memory_mb": verdict.other_memory_mb,
        "axis": verdict.axis,
        "kind": verdict.kind,
        "difference_pct": verdict.difference_pct,
        "ci95_pct": verdict.ci95_pct and list(verdict.ci95_pct),
        "more_invocations": {str(memory_mb): count for memory_mb, count in verdict.more_invocations.items()},
    }


def warning_to_dict(warning: RunWarning) -> dict[str, Any]:
    """Return a warning as plain JSON values."""
    return {"code": warning.code, "memory_mb": warning.memory_mb, "message": warning.message, "hint": warning.hint}


def _invocation_to_dict(invocation: Invocation) -> dict[str, Any]:
    document: dict[str, Any] = {
        "memory_mb": invocation.memory_mb,
        "duration_ms": invocation.duration_ms,
        "billed_ms": invocation.billed_ms,
        "init_ms": invocation.init_ms,
        "max_memory_used_mb": invocation.max_memory_used_mb,
        "cold": invocation.cold,
        "request_id": invocation.request_id,
        "payload": invocation.payload,
        "error": invocation.error,
        "status": invocation.status,
    }
    if invocation.extra:
        document["extra"] = dict(invocation.extra)
    if invocation.environment is not None:
        document["environment"] = invocation.environment
    return document


def from_dict(document: object) -> TuningRun:
    """Read a run file's JSON value. Raises RunFileError, whose text names the place that is off."""
    top = Node(document, "the run file")
    version = top.get("schema_version", Node.integer)
    if version != SCHEMA_VERSION:
        raise RunFileError(
            f"the run file has schema_version {version}; this powertune reads version {SCHEMA_VERSION}: "
            "a newer powertune wrote it"
        )
    pricing = _read_pricing(top.child("pricing"))
    code = pricing.currency.lower()
    function = top.child("function")
    spent = top.child("spent")
    run = TuningRun(
        tool_version=top.child("tool").get("version", Node.text),
        created_at=top.get("created_at", Node.text),
        source=top.child("source").mapping(),
        function=FunctionFacts(
            name=function.get_optional("name", Node.text),
            runtime=function.get_optional("runtime", Node.text),
            architecture=function.get("architecture", Node.text),
            region=function.get_optional("region", Node.text),
            current_memory_mb=function.get_optional("current_memory_mb", Node.memory),
            ephemeral_storage_mb=function.get_optional("ephemeral_storage_mb", Node.integer),
            timeout_s=function.get_optional("timeout_s", Node.number),
        ),
        pricing=pricing,
        sizes=tuple(read_size(node, pricing.currency) for node in top.child("sizes").items()),
        recommendation=_read_recommendation(top.child("recommendation"), code),
        choice=_read_choice(top.optional_child("choice")),
        spent=Spent(spent.get("invocations", Node.count), spent.get(code, Node.number)),
        warnings=tuple(read_warning(node) for node in top.child("warnings").items()),
        invocations=tuple(_read_invocation(node) for node in top.child("invocations").items()),
    )
    _check_picks(run)
    return run


def _check_picks(run: TuningRun) -> None:
    """Raise RunFileError where a size is recommended that is none of the run's: whoever reads it looks that up."""
    picks = {run.recommendation.memory_mb, *map(run.recommendation.pick, STRATEGIES)}
    unknown = picks - {size.memory_mb for size in run.sizes} - {None}
    if unknown:
        named = min(filter(None, unknown))
        raise RunFileError(f"the run file, 'recommendation' names {named} MB, which is none of its 'sizes'")


def _read_pricing(node: Node) -> PricesUsed:
    return PricesUsed(
        region=node.get("region", Node.text),
        architecture=node.get("architecture", Node.text),
        currency=node.get("currency", Node.text),
        as_of=node.get_optional("as_of", Node.text),
        per_gb_second=node.get("per_gb_second", Node.number),
        per_request=node.get("per_request", Node.number),
        basis=node.get("basis", Node.text),
    )


def _read_recommendation(node: Node, code: str) -> Recommendation:
    def pick(name: str) -> int | None:
        return node.child(name).get_optional("memory_mb", Node.memory)

    change = node.optional_child("versus_current")
    pareto, alternatives = node.optional_child("pareto"), node.optional_child("alternatives")
    return Recommendation(
        strategy=node.get("strategy", Node.choice(STRATEGIES)),
        memory_mb=node.get_optional("memory_mb", Node.memory),
        confidence=node.get("confidence", Node.choice(CONFIDENCES)),
        cost_memory_mb=pick("cost"),
        speed_memory_mb=pick("speed"),
        balanced_memory_mb=pick("balanced"),
        reasons=tuple(item.text() for item in node.child("reasons").items()),
        versus_current=change and _read_change(change, code),
        verdict=_read_verdict(node.optional_child("verdict")),
        pareto=tuple(item.memory() for item in pareto.items()) if pareto else (),
        alternatives=tuple(item.text() for item in alternatives.items()) if alternatives else (),
        timeout_s=node.get_optional("timeout_s", Node.integer),
    )


def _read_change(node: Node, code: str) -> Change:
    return Change(
        node.get("duration_pct", Node.number),
        node.get("cost_pct", Node.number),
        node.get_optional(f"{code}_per_month", Node.number),
        node.get_optional(f"ci95_{code}_per_month", Node.interval),
        _read_verdict(node.optional_child("duration_verdict")),
        _read_verdict(node.optional_child("cost_verdict")),
    )


def _read_verdict(node: Node | None) -> Verdict | None:
    if node is None:
        return None
    more = node.child("more_invocations")
    return Verdict(
        node.get("memory_mb", Node.memory),
        node.get("other_memory_mb", Node.memory),
        node.get("axis", Node.choice(STRATEGIES)),
        node.get("kind", Node.choice(VERDICT_KINDS)),
        node.get("difference_pct", Node.number),
        node.get_optional("ci95_pct", Node.interval),
        {more.key_as_memory(key): more.get(key, Node.count) for key in more.mapping()},
    )


def _read_choice(node: Node | None) -> dict[str, float | None]:
    """Return the choice, which files of before it was kept do not have."""
    return {name: node.get_optional(name, Node.number) for name in node.mapping()} if node else {}


def read_warning(node: Node) -> RunWarning:
    """Return the warning that `warning_to_dict` wrote. Raises RunFileError."""
    return RunWarning(
        code=node.get("code", Node.text),
        message=node.get("message", Node.text),
        hint=node.get("hint", Node.text),
        memory_mb=node.get_optional("memory_mb", Node.memory),
    )


def _read_invocation(node: Node) -> Invocation:
    extra = node.optional_child("extra")
    return Invocation(
        memory_mb=node.get("memory_mb", Node.memory),
        duration_ms=node.get("duration_ms", Node.amount),
        billed_ms=node.get_optional("billed_ms", Node.amount),
        init_ms=node.get_optional("init_ms", Node.amount),
        max_memory_used_mb=node.get_optional("max_memory_used_mb", Node.amount),
        cold=node.get("cold", Node.boolean),
        request_id=node.get_optional("request_id", Node.text),
        payload=node.get_optional("payload", Node.text),
        error=node.get_optional("error", Node.text),
        # Files written by others may leave it out: an error is then the only sign of failure.
        status=node.get_optional("status", Node.choice(STATUSES))
        or ("failed" if node.get_optional("error", Node.text) else "ok"),
        extra={key: str(value) for key, value in extra.mapping().items()} if extra else {},
        environment=node.get_optional("environment", Node.text),
    )
