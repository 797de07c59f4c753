"""The output of AWS Lambda Power Tuning 4.4.0 (ALPT): for pipelines that read it, and as the link to its chart.

Its figures leave the request fee out. What it says of its own orchestration is 0 here: there is none.
"""

import base64
import json
import struct

from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.report import Style

CHART_URL = "https://lambda-power-tuning.show/"

_DIGITS = 12
"""Digits that count in an amount; what is beyond them comes from taking one float off another."""
_LARGEST_FLOAT32 = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


def render(run: TuningRun, _style: Style) -> str:
    """Return ALPT's output as JSON: `power` in MB, `duration` in ms, `cost` of one invocation in the run's currency.

    The three are null where there is no recommendation. `stats` is always there, a row for each size with figures.
    """
    rows = rows_with_figures(run)
    stats = [
        {"value": memory_mb, "averagePrice": cost, "averageDuration": duration_ms}
        for memory_mb, duration_ms, cost in rows
    ]
    chosen = [row for row in rows if row[0] == run.recommendation.memory_mb]
    power, duration, cost = chosen[0] if chosen else (None, None, None)
    document = {
        "power": power,
        "cost": cost,
        "duration": duration,
        "stateMachine": {
            "executionCost": 0,
            "lambdaCost": _without_fee(run, run.spent.amount, run.spent.invocations),
            "visualization": chart_url(run),
        },
        "stats": stats,
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def rows_with_figures(run: TuningRun) -> list[tuple[int, float, float]]:
    """Return memory in MB, mean duration in ms and cost without the request fee, by memory, of sizes that have them."""
    rows = [_row(run, size) for size in run.sizes]
    return sorted(row for row in rows if row is not None)


def _row(run: TuningRun, size: SizeProfile) -> tuple[int, float, float] | None:
    if size.duration_ms is None or size.cost is None:
        return None
    requests = run.choice.get("requests_per_invocation") or 1
    return size.memory_mb, size.duration_ms.mean, _without_fee(run, size.cost.per_invocation, requests)


def _without_fee(run: TuningRun, amount: float, requests: float) -> float:
    rest = max(0.0, amount - requests * run.pricing.per_request)
    return float(f"{rest:.{_DIGITS}g}")


def chart_url(run: TuningRun, base: str = CHART_URL) -> str:
    """Return the link to ALPT's chart of the run.

    Behind the `#`, which no server gets to see, are three arrays in base64: sizes as 16-bit integers, durations in ms
    and costs as 32-bit floats, all little-endian and by ascending memory.
    """
    rows = rows_with_figures(run)
    sizes = struct.pack(f"<{len(rows)}h", *(memory_mb for memory_mb, _, _ in rows))
    durations = _float32s([duration_ms for _, duration_ms, _ in rows])
    costs = _float32s([cost for _, _, cost in rows])
    currency = "?currency=CNY" if run.pricing.currency == "CNY" else ""
    fragment = ";".join(base64.b64encode(array).decode("ascii") for array in (sizes, durations, costs))
    return f"{base}{currency}#{fragment}"


def _float32s(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *(min(value, _LARGEST_FLOAT32) for value in values))
