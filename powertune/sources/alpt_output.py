"""What AWS Lambda Power Tuning (ALPT) leaves behind: its output JSON, and links to its chart.

Layouts as of ALPT 4.4.0. Its durations are trimmed means of Duration and Init together; how many runs stand behind each
is not said. Its costs are not read: powertune applies its own prices.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from powertune.aws_lambda.memory import MAX_MEMORY_MB, MAX_TIMEOUT_S, MIN_MEMORY_MB
from powertune.model.invocation import Aggregate

_PART = r"[A-Za-z0-9+/%]{4,}={0,2}"
_CHART = re.compile(
    rf"(?:https?://|\blambda-power-tuning\.)[^\s#\"'<>]*#({_PART});({_PART});({_PART})"
    rf"(?:;({_PART});({_PART});({_PART});([^;\s\"'<>]*);([^;\s\"'<>]*))?"
)
_LONGEST_MS = MAX_TIMEOUT_S * 1000 * 1.1


class DamagedChartError(ValueError):
    """A link that looks like one to ALPT's chart and does not hold its figures."""


def is_alpt_output(document: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is ALPT's output."""
    return "power" in document and "duration" in document and ("stateMachine" in document or "cost" in document)


def read_alpt_output(document: Mapping[str, Any]) -> list[Aggregate]:
    """Return the sizes in ALPT's output: all of `stats`, else those of the chart, else the one that was chosen.

    Raises DamagedChartError.
    """
    stats = document.get("stats")
    if isinstance(stats, list) and stats:
        return [_aggregate(_of(row, "value"), _of(row, "averageDuration")) for row in stats]
    machine = document.get("stateMachine")
    link = machine.get("visualization") if isinstance(machine, dict) else None
    charts = list(read_charts(link)) if isinstance(link, str) else []
    if charts:
        return charts[0][1]
    return [_aggregate(document["power"], document["duration"])]


def has_chart(line: str) -> bool:
    """Tell whether a line of text holds a link to a chart."""
    return "#" in line and _CHART.search(line) is not None


def read_charts(line: str) -> Iterator[tuple[str | None, list[Aggregate]]]:
    """Yield the results that the links in a line hold, each with its label where two are compared.

    Raises DamagedChartError.
    """
    for link in _CHART.finditer(line):
        first, second, labels = link.groups()[:3], link.groups()[3:6], link.groups()[6:]
        if not labels[0] and not second[0]:
            yield None, _decoded(*first)
            continue
        yield unquote(labels[0] or "") or "first", _decoded(*first)
        yield unquote(labels[1] or "") or "second", _decoded(*second)


def _decoded(sizes: str, durations: str, costs: str) -> list[Aggregate]:
    size_bytes, duration_bytes, cost_bytes = (_base64(part) for part in (sizes, durations, costs))
    count = len(size_bytes) // 2
    if not count or len(size_bytes) != 2 * count or len(duration_bytes) != 4 * count or len(cost_bytes) != 4 * count:
        raise DamagedChartError("the link's arrays differ in length")
    sizes_mb = struct.unpack(f"<{count}h", size_bytes)
    durations_ms = struct.unpack(f"<{count}f", duration_bytes)
    return [_aggregate(size_mb, duration_ms) for size_mb, duration_ms in zip(sizes_mb, durations_ms, strict=True)]


def _base64(part: str) -> bytes:
    try:
        return base64.b64decode(unquote(part), validate=True)
    except binascii.Error:
        raise DamagedChartError("the link is cut off") from None


def _of(row: object, key: str) -> object:
    return row.get(key) if isinstance(row, dict) else None


def _aggregate(memory: object, duration: object) -> Aggregate:
    memory_mb, duration_ms = _number(memory), _number(duration)
    if not memory_mb.is_integer() or not MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB:
        raise DamagedChartError("a memory size that is none")
    if not 0 <= duration_ms <= _LONGEST_MS:
        raise DamagedChartError("a duration that is none")
    return Aggregate(int(memory_mb), duration_ms)


def _number(value: object) -> float:
    """Return a number, which ALPT writes as text for sizes that come from its settings."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DamagedChartError("a figure that is none")
    return number
