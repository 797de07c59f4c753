"""The run file: a TuningRun as JSON and back. Its schema is run-1.schema.json beside this file; changes only add."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import STATUSES, Invocation
from powertune.model.recommendation import CONFIDENCES, STRATEGIES, Change, Recommendation
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import BASES, Cost, Counts, Distribution, InitTime, SizeProfile, Throttled
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun

SCHEMA_VERSION = 1

_MEMORY_MB = (128, 10_240)
_LARGEST_AMOUNT = 1e9
"""In ms or MB; what is larger was not measured on Lambda."""

Choice = TypeVar("Choice", bound=str)
Value = TypeVar("Value")


class RunFileError(ValueError):
    """The document is no run file that this version can read; the text says where it is off."""


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
        "sizes": [_size_to_dict(size, code) for size in run.sizes],
        "recommendation": _recommendation_to_dict(run.recommendation, code),
        "choice": dict(run.choice),
        "spent": {"invocations": run.spent.invocations, code: run.spent.amount},
        "warnings": [
            {"code": warning.code, "memory_mb": warning.memory_mb, "message": warning.message, "hint": warning.hint}
            for warning in run.warnings
        ],
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
    return document


def _size_to_dict(size: SizeProfile, code: str) -> dict[str, Any]:
    duration, init, cost = size.duration_ms, size.init_ms, size.cost
    return {
        "memory_mb": size.memory_mb,
        "status": size.status,
        "reason": size.reason,
        "basis": size.basis,
        "invocations": {
            "warm": size.invocations.warm,
            "cold": size.invocations.cold,
            "failed": size.invocations.failed,
        },
        "duration_ms": duration
        and {
            "mean": duration.mean,
            "p50": duration.p50,
            "p95": duration.p95,
            "p99": duration.p99,
            "stddev": duration.stddev,
            "ci95": duration.ci95 and list(duration.ci95),
        },
        "init_ms": init and {"mean": init.mean, "p95": init.p95},
        "max_memory_used_mb": size.max_memory_used_mb,
        "cost": cost
        and {
            f"{code}_per_invocation": cost.per_invocation,
            f"{code}_per_million": cost.per_million,
            f"ci95_{code}_per_million": cost.ci95_per_million and list(cost.ci95_per_million),
            **_month_to_dict(cost, code),
        },
        **({"throttled": asdict(size.throttled)} if size.throttled else {}),
    }


def _month_to_dict(item: Cost | Change, code: str) -> dict[str, Any]:
    """Return the keys of the monthly view, which are there only where it was asked for."""
    if item.per_month is None:
        return {}
    interval = item.ci95_per_month
    return {f"{code}_per_month": item.per_month, f"ci95_{code}_per_month": interval and list(interval)}


def _recommendation_to_dict(recommendation: Recommendation, code: str) -> dict[str, Any]:
    change = recommendation.versus_current
    picks: dict[str, Any] = {strategy: {"memory_mb": recommendation.pick(strategy)} for strategy in STRATEGIES}
    return {
        "strategy": recommendation.strategy,
        "memory_mb": recommendation.memory_mb,
        "confidence": recommendation.confidence,
        **picks,
        "reasons": list(recommendation.reasons),
        "versus_current": change
        and {"duration_pct": change.duration_pct, "cost_pct": change.cost_pct, **_month_to_dict(change, code)},
    }


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
    top = _Node(document, "the run file")
    version = top.get("schema_version", _Node.integer)
    if version != SCHEMA_VERSION:
        raise RunFileError(
            f"the run file has schema_version {version}; this powertune reads version {SCHEMA_VERSION}: "
            "a newer powertune wrote it"
        )
    pricing = _read_pricing(top.child("pricing"))
    code = pricing.currency.lower()
    function = top.child("function")
    spent = top.child("spent")
    return TuningRun(
        tool_version=top.child("tool").get("version", _Node.text),
        created_at=top.get("created_at", _Node.text),
        source=top.child("source").mapping(),
        function=FunctionFacts(
            name=function.get_optional("name", _Node.text),
            runtime=function.get_optional("runtime", _Node.text),
            architecture=function.get("architecture", _Node.text),
            region=function.get_optional("region", _Node.text),
            current_memory_mb=function.get_optional("current_memory_mb", _Node.memory),
            ephemeral_storage_mb=function.get_optional("ephemeral_storage_mb", _Node.integer),
        ),
        pricing=pricing,
        sizes=tuple(_read_size(node, pricing.currency) for node in top.child("sizes").items()),
        recommendation=_read_recommendation(top.child("recommendation"), code),
        choice=_read_choice(top.optional_child("choice")),
        spent=Spent(spent.get("invocations", _Node.count), spent.get(code, _Node.number)),
        warnings=tuple(_read_warning(node) for node in top.child("warnings").items()),
        invocations=tuple(_read_invocation(node) for node in top.child("invocations").items()),
    )


def _read_pricing(node: "_Node") -> PricesUsed:
    return PricesUsed(
        region=node.get("region", _Node.text),
        architecture=node.get("architecture", _Node.text),
        currency=node.get("currency", _Node.text),
        as_of=node.get_optional("as_of", _Node.text),
        per_gb_second=node.get("per_gb_second", _Node.number),
        per_request=node.get("per_request", _Node.number),
        basis=node.get("basis", _Node.text),
    )


def _read_size(node: "_Node", currency: str) -> SizeProfile:
    counts = node.child("invocations")
    duration = node.optional_child("duration_ms")
    init = node.optional_child("init_ms")
    cost = node.optional_child("cost")
    code = currency.lower()
    return SizeProfile(
        memory_mb=node.get("memory_mb", _Node.memory),
        status=node.get("status", _Node.choice(STATUSES)),
        reason=node.get_optional("reason", _Node.text),
        basis=node.get("basis", _Node.choice(BASES)),
        invocations=Counts(
            warm=counts.get("warm", _Node.count),
            cold=counts.get("cold", _Node.count),
            failed=counts.get("failed", _Node.count),
        ),
        duration_ms=duration
        and Distribution(
            mean=duration.get("mean", _Node.amount),
            p50=duration.get_optional("p50", _Node.amount),
            p95=duration.get_optional("p95", _Node.amount),
            p99=duration.get_optional("p99", _Node.amount),
            stddev=duration.get_optional("stddev", _Node.amount),
            ci95=duration.get_optional("ci95", _Node.interval),
        ),
        init_ms=init and InitTime(init.get("mean", _Node.amount), init.get_optional("p95", _Node.amount)),
        max_memory_used_mb=node.get_optional("max_memory_used_mb", _Node.amount),
        cost=cost
        and Cost(
            per_invocation=cost.get(f"{code}_per_invocation", _Node.number),
            per_million=cost.get(f"{code}_per_million", _Node.number),
            ci95_per_million=cost.get_optional(f"ci95_{code}_per_million", _Node.interval),
            currency=currency,
            per_month=cost.get_optional(f"{code}_per_month", _Node.number),
            ci95_per_month=cost.get_optional(f"ci95_{code}_per_month", _Node.interval),
        ),
        throttled=_read_throttled(node.optional_child("throttled")),
    )


def _read_throttled(node: "_Node | None") -> Throttled | None:
    return node and Throttled(
        way=node.get("way", _Node.text),
        calls=node.get("calls", _Node.count),
        status=node.get("status", _Node.choice(STATUSES)),
        reason=node.get_optional("reason", _Node.text),
        p50_ms=node.get_optional("p50_ms", _Node.amount),
        predicted_ms=node.get_optional("predicted_ms", _Node.amount),
        cpu_ratio=node.get_optional("cpu_ratio", _Node.amount),
        predicted_at_cpu_ms=node.get_optional("predicted_at_cpu_ms", _Node.amount),
        throttled_periods=node.get("throttled_periods", _Node.count),
        peak_memory_mb=node.get_optional("peak_memory_mb", _Node.amount),
    )


def _read_recommendation(node: "_Node", code: str) -> Recommendation:
    def pick(name: str) -> int | None:
        return node.child(name).get_optional("memory_mb", _Node.memory)

    change = node.optional_child("versus_current")
    return Recommendation(
        strategy=node.get("strategy", _Node.choice(STRATEGIES)),
        memory_mb=node.get_optional("memory_mb", _Node.memory),
        confidence=node.get("confidence", _Node.choice(CONFIDENCES)),
        cost_memory_mb=pick("cost"),
        speed_memory_mb=pick("speed"),
        balanced_memory_mb=pick("balanced"),
        reasons=tuple(item.text() for item in node.child("reasons").items()),
        versus_current=change
        and Change(
            change.get("duration_pct", _Node.number),
            change.get("cost_pct", _Node.number),
            change.get_optional(f"{code}_per_month", _Node.number),
            change.get_optional(f"ci95_{code}_per_month", _Node.interval),
        ),
    )


def _read_choice(node: "_Node | None") -> dict[str, float | None]:
    """Return the choice, which files of before it was kept do not have."""
    return {name: node.get_optional(name, _Node.number) for name in node.mapping()} if node else {}


def _read_warning(node: "_Node") -> RunWarning:
    return RunWarning(
        code=node.get("code", _Node.text),
        message=node.get("message", _Node.text),
        hint=node.get("hint", _Node.text),
        memory_mb=node.get_optional("memory_mb", _Node.memory),
    )


def _read_invocation(node: "_Node") -> Invocation:
    extra = node.optional_child("extra")
    return Invocation(
        memory_mb=node.get("memory_mb", _Node.memory),
        duration_ms=node.get("duration_ms", _Node.amount),
        billed_ms=node.get_optional("billed_ms", _Node.amount),
        init_ms=node.get_optional("init_ms", _Node.amount),
        max_memory_used_mb=node.get_optional("max_memory_used_mb", _Node.amount),
        cold=node.get("cold", _Node.boolean),
        request_id=node.get_optional("request_id", _Node.text),
        payload=node.get_optional("payload", _Node.text),
        error=node.get_optional("error", _Node.text),
        # Files written by others may leave it out: an error is then the only sign of failure.
        status=node.get_optional("status", _Node.choice(STATUSES))
        or ("failed" if node.get_optional("error", _Node.text) else "ok"),
        extra={key: str(value) for key, value in extra.mapping().items()} if extra else {},
        environment=node.get_optional("environment", _Node.text),
    )


class _Node:
    """A JSON value together with its place in the document, so that every complaint can name the place."""

    def __init__(self, value: object, place: str) -> None:
        self.value = value
        self.place = place

    def mapping(self) -> Mapping[str, object]:
        if not isinstance(self.value, dict):
            raise self._complaint("an object")
        return self.value

    def child(self, key: str) -> "_Node":
        if key not in self.mapping():
            raise RunFileError(f"{self.place} has no {key!r}")
        return _Node(self.mapping()[key], f"{self.place}, {key!r}")

    def __bool__(self) -> Literal[True]:
        return True

    def optional_child(self, key: str) -> "_Node | None":
        return self.child(key) if self.mapping().get(key) is not None else None

    def items(self) -> Iterator["_Node"]:
        if not isinstance(self.value, list):
            raise self._complaint("a list")
        return (_Node(item, f"{self.place}[{index}]") for index, item in enumerate(self.value))

    def get(self, key: str, read: Callable[["_Node"], Value]) -> Value:
        return read(self.child(key))

    def get_optional(self, key: str, read: Callable[["_Node"], Value]) -> Value | None:
        node = self.optional_child(key)
        return read(node) if node else None

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self._complaint("text")
        return self.value

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            raise self._complaint("true or false")
        return self.value

    def number(self) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not _is_finite(self.value):
            raise self._complaint("a number")
        return float(self.value)

    def integer(self) -> int:
        if not self.number().is_integer():
            raise self._complaint("a whole number")
        return int(self.number())

    def count(self) -> int:
        if self.integer() < 0:
            raise self._complaint("a count")
        return self.integer()

    def memory(self) -> int:
        if not _MEMORY_MB[0] <= self.integer() <= _MEMORY_MB[1]:
            raise self._complaint(f"a memory size from {_MEMORY_MB[0]} to {_MEMORY_MB[1]} MB")
        return self.integer()

    def amount(self) -> float:
        if not 0 <= self.number() <= _LARGEST_AMOUNT:
            raise self._complaint("a duration or a memory size")
        return self.number()

    def interval(self) -> tuple[float, float]:
        bounds = [item.number() for item in self.items()]
        if len(bounds) != 2:  # noqa: PLR2004 - an interval has two ends
            raise self._complaint("two numbers")
        return bounds[0], bounds[1]

    @staticmethod
    def choice(options: tuple[Choice, ...]) -> Callable[["_Node"], Choice]:
        def read(node: "_Node") -> Choice:
            for option in options:
                if option == node.value:
                    return option
            raise node._complaint(f"one of {', '.join(options)}")  # noqa: SLF001 - the class's own

        return read

    def _complaint(self, wanted: str) -> RunFileError:
        found = str(self.value) if isinstance(self.value, float) else type(self.value).__name__
        return RunFileError(f"{self.place} should be {wanted}, not {found}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
