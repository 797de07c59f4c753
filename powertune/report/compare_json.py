"""A comparison of runs for programs."""

import json
from typing import Any

from powertune.model.run_comparison import Delta, FunctionComparison, RunsComparison, SizeComparison
from powertune.model.tuning_run import TuningRun
from powertune.report import Style

_SCHEMA_VERSION = 1


def render(comparison: RunsComparison, _style: Style) -> str:
    """Return JSON text. Changes are in per cent of A, intervals hold for all comparisons at once."""
    document = {
        "schema_version": _SCHEMA_VERSION,
        "kind": "comparison",
        "functions": [_function(compared) for compared in comparison.functions],
        "only_in_a": list(comparison.only_before),
        "only_in_b": list(comparison.only_after),
        "geometric_mean": {
            at: {
                "functions": mean.functions,
                "duration_ms": _delta(mean.duration),
                "cost_per_million": _delta(mean.cost),
            }
            for at, mean in comparison.means.items()
        },
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _function(compared: FunctionComparison) -> dict[str, Any]:
    return {
        "name": compared.name,
        "a": _about(compared.before),
        "b": _about(compared.after),
        "sizes": [_size(size) for size in compared.sizes],
        **{at: _size(size) for at, size in compared.at.items()},
        "notes": list(compared.notes),
    }


def _about(run: TuningRun) -> dict[str, Any]:
    return {
        "name": run.function.name,
        "architecture": run.function.architecture,
        "created_at": run.created_at,
        "kind": run.source.get("kind"),
        "qualifier": run.source.get("qualifier"),
        "current_memory_mb": run.function.current_memory_mb,
        "recommended_memory_mb": run.recommendation.memory_mb,
    }


def _size(size: SizeComparison) -> dict[str, Any]:
    return {
        "memory_mb": {"a": size.before_mb, "b": size.after_mb},
        "runs": {"a": size.before_runs, "b": size.after_runs},
        "duration_ms": _delta(size.duration_ms),
        "cost_per_million": _delta(size.cost_per_million),
        "currency": size.currency,
        "not_judged": size.not_judged,
    }


def _delta(delta: Delta | None) -> dict[str, Any] | None:
    if delta is None:
        return None
    return {
        "a": delta.before,
        "b": delta.after,
        "change_pct": delta.change_pct,
        "ci95_pct": delta.ci95_pct and list(delta.ci95_pct),
        "is_significant": delta.is_significant if delta.ci95_pct else None,
    }
