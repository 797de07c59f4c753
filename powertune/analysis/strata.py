"""Runs at one memory size by payload: what share of the whole each stands for, and which runs trimming leaves."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from powertune.model.invocation import Invocation


@dataclass(frozen=True, slots=True)
class Stratum:
    """Runs of one payload, or of all payloads where these have no weights."""

    share: float
    """Of the whole; the shares of all strata add up to 1."""
    runs: Sequence[Invocation]
    drawn_in_ms: Sequence[float]
    """Duration of each of `runs`, those dropped replaced by the nearest one kept of their payload (winsorised)."""
    kept: Sequence[Invocation]
    """What trimming left of `runs`: at least one."""

    @property
    def mean_ms(self) -> float:
        """Mean duration of the runs kept, in ms."""
        return math.fsum(run.duration_ms for run in self.kept) / len(self.kept)


def stratify(runs: Sequence[Invocation], payload_weights: Mapping[str, float], trim: float) -> list[Stratum]:
    """Return `runs` as strata: one for each weighted payload that ran, or one of all runs where fewer than two did.

    Runs of payloads without a positive weight are left out where there are weights for two payloads or more, and some
    weighted payload ran. `trim` is the share of runs dropped at each end by duration, 0 <= trim < 0.5: of each payload
    by itself, so that none is dropped as a whole. Raises ValueError for another `trim`.
    """
    if not 0 <= trim < 0.5:  # noqa: PLR2004 - half from each end leaves nothing
        raise ValueError(f"{trim} is no share to trim at each end: it is at least 0 and below 0.5")
    by_payload = _by_payload(runs)
    weights = weights_of(by_payload, payload_weights)
    if not weights:
        return [_stratum(1.0, by_payload.values(), trim)] if runs else []
    whole = math.fsum(weights.values())
    return [_stratum(weight / whole, [by_payload[payload]], trim) for payload, weight in weights.items()]


def weights_of(payloads: Iterable[str | None], payload_weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights that count among `payloads`, by name: none where fewer than two payloads have weights."""
    positive = {payload: weight for payload, weight in sorted(payload_weights.items()) if weight > 0}
    if len(positive) < 2:  # noqa: PLR2004 - a single weight weighs against nothing
        return {}
    there = set(payloads)
    return {payload: weight for payload, weight in positive.items() if payload in there}


def _by_payload(runs: Sequence[Invocation]) -> dict[str | None, list[Invocation]]:
    """Return runs by payload, shortest first; sorted throughout, so that the order of runs cannot matter."""
    found: dict[str | None, list[Invocation]] = defaultdict(list)
    for run in sorted(runs, key=_order):
        found[run.payload].append(run)
    return found


def _order(run: Invocation) -> tuple[float, float, str, str]:
    billed_ms = -1.0 if run.billed_ms is None else run.billed_ms
    return run.duration_ms, billed_ms, run.environment or "", run.payload or ""


def _stratum(share: float, payloads: Iterable[Sequence[Invocation]], trim: float) -> Stratum:
    runs: list[Invocation] = []
    drawn_in_ms: list[float] = []
    kept: list[Invocation] = []
    for one_payload in payloads:
        count = len(one_payload)
        dropped = min(int(count * trim), (count - 1) // 2)
        left = one_payload[dropped : count - dropped]
        lowest_ms, highest_ms = left[0].duration_ms, left[-1].duration_ms
        runs += one_payload
        drawn_in_ms += [min(max(run.duration_ms, lowest_ms), highest_ms) for run in one_payload]
        kept += left
    return Stratum(share, runs, drawn_in_ms, kept)
