"""The recommendation: picks on every axis, how sure the chosen one is, what it changes, and what else there is."""

import math
from collections.abc import Sequence
from dataclasses import replace

from powertune.analysis import reasons
from powertune.analysis.candidates import Candidate, Choice, Yardstick, candidates, objection
from powertune.analysis.comparison import are_comparable, judge
from powertune.analysis.limits import timeout_for
from powertune.analysis.picking import Pick, pareto, pick_size
from powertune.model.recommendation import STRATEGIES, Change, Confidence, Recommendation, Strategy, Verdict
from powertune.model.size_profile import SizeProfile

__all__ = ["Choice", "objection", "recommend"]

_ENOUGH_TO_TRUST = 20
_NARROW, _WIDE = 0.025, 0.10
"""How far the pick's mean may be off, or the next best size be better after all, as a share: up to the first confidence
is high, above the second low."""
_LEAST_ODDS = 0.8
"""Probability that a limit is kept below which confidence is low."""
_ALTERNATIVES_NAMED = 6


def recommend(sizes: Sequence[SizeProfile], choice: Choice) -> Recommendation:
    """Return the picks for cost, speed and balanced among the sizes that qualify, with reasons for the chosen one.

    Sizes are compared by what is `expected` of them where that is known, else by their own means.
    """
    known = candidates(sizes)
    options = [option for option in known if objection(option.profile, choice) is None]
    picks = {strategy: pick_size(options, strategy, choice) for strategy in STRATEGIES}
    picked = picks[choice.strategy]
    cost, speed, balanced = (pick.chosen.memory_mb if pick else None for pick in picks.values())
    unbeaten = pareto(options)
    found = Recommendation(
        strategy=choice.strategy,
        memory_mb=None,
        confidence="inconclusive",
        cost_memory_mb=cost,
        speed_memory_mb=speed,
        balanced_memory_mb=balanced,
        pareto=tuple(option.memory_mb for option in unbeaten),
    )
    if picked is None:
        return replace(found, reasons=(reasons.why_none(known, sizes, choice),))
    chosen = picked.chosen
    current = next((option for option in known if option.memory_mb == choice.current_memory_mb), None)
    verdict = _verdict(picked, choice)
    plain_mb = _plain_pick(sizes, choice, picked)
    return replace(
        found,
        memory_mb=chosen.memory_mb,
        confidence=_confidence(picked, known, choice, verdict),
        reasons=tuple(reasons.why(picks, known, choice, verdict, plain_mb)),
        versus_current=_change(chosen, current, choice, rivals=len(picked.among) - 1) if current else None,
        verdict=verdict,
        alternatives=tuple(
            reasons.price_of(option, chosen) for option in _alternatives(unbeaten, picks) if option is not chosen
        ),
        timeout_s=timeout_for(chosen.profile),
    )


def _verdict(pick: Pick, choice: Choice) -> Verdict | None:
    rival = pick.rival
    if rival is None or not are_comparable(pick.chosen, rival):
        return None
    # The best of many against the next best of many needs no correction: the more there are, the closer these lie.
    return judge(pick.chosen, rival, pick.yardstick, tolerance=choice.tolerance)


def _plain_pick(sizes: Sequence[SizeProfile], choice: Choice, picked: Pick) -> int | None:
    """Return what the means in the table would have given, where the pick rests on more than these."""
    if not any(option.profile.expected for option in picked.among):
        return None
    plain = candidates(replace(size, expected=None) for size in sizes)
    options = [option for option in plain if objection(option.profile, choice) is None]
    pick = pick_size(options, choice.strategy, choice)
    return pick.chosen.memory_mb if pick else None


def _alternatives(unbeaten: Sequence[Candidate], picks: dict[Strategy, Pick | None]) -> Sequence[Candidate]:
    """Return the sizes worth a sentence: all that none beats, or where these are many, the picks among them."""
    if len(unbeaten) <= _ALTERNATIVES_NAMED:
        return unbeaten
    picked = {pick.chosen.memory_mb for pick in picks.values() if pick}
    return [option for option in unbeaten if option.memory_mb in picked]


def _change(chosen: Candidate, current: Candidate, choice: Choice, *, rivals: int) -> Change:
    per_month, ci95 = None, None
    if chosen.cost.per_month is not None and current.cost.per_month is not None:
        before, after = current.cost.per_month, chosen.cost.per_month
        per_month = 0.0 if math.isclose(before, after, rel_tol=1e-12) else after - before  # no binary dust
        ci95 = _difference_interval(chosen, current, per_month)
    duration_verdict = cost_verdict = None
    if are_comparable(chosen, current):
        duration_verdict, cost_verdict = (
            judge(chosen, current, Yardstick(axis), tolerance=choice.tolerance, rivals=max(1, rivals))
            for axis in ("speed", "cost")
        )
    return Change(
        duration_pct=_difference_pct(chosen.duration.mean, current.duration.mean),
        cost_pct=_difference_pct(chosen.cost.per_invocation, current.cost.per_invocation),
        per_month=per_month,
        ci95_per_month=ci95,
        duration_verdict=duration_verdict,
        cost_verdict=cost_verdict,
    )


def _difference_interval(chosen: Candidate, current: Candidate, difference: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a month's difference: that of the difference of two independent means.

    None for sizes that were not measured, which share their samples, and for a size against itself.
    """
    if chosen is current or not all(option.profile.basis == "measured" for option in (chosen, current)):
        return None
    after, before = chosen.cost.ci95_per_month, current.cost.ci95_per_month
    if after is None or before is None:
        return None
    low_after, high_after = (end - (chosen.cost.per_month or 0.0) for end in after)
    low_before, high_before = (end - (current.cost.per_month or 0.0) for end in before)
    return difference - math.hypot(low_after, high_before), difference + math.hypot(high_after, low_before)


def _difference_pct(value: float, reference: float) -> float:
    return (value / reference - 1) * 100 if reference else 0.0


def _confidence(pick: Pick, known: Sequence[Candidate], choice: Choice, verdict: Verdict | None) -> Confidence:
    """Return a word for how far the pick can be trusted, from what it rests on, how often it was measured, and noise.

    One run, or one size, decides nothing; sizes that the runs cannot tell apart, or that were not measured on Lambda's
    scale, give little confidence. Where a model was fitted to all sizes, the runs of all count.
    """
    profile = pick.chosen.profile
    runs = sum(option.runs for option in known) if profile.expected else pick.chosen.runs
    if profile.basis == "measured" and (runs <= 1 or len(known) == 1):
        return "inconclusive"
    interval, mean_ms = pick.chosen.judged_ms_ci95, pick.chosen.judged_ms
    off = (interval[1] - interval[0]) / 2 / mean_ms if interval and mean_ms else 0.0
    own = pick.yardstick.value
    open_question = own(pick.chosen) > own(pick.best) * (1 + choice.tolerance)
    if verdict and verdict.kind == "inconclusive" and verdict.ci95_pct:
        off = max(off, verdict.ci95_pct[1] / 100)
    unsure = not choice.calibrated or profile.basis in ("interpolated", "extrapolated")
    broken = profile.limit_odds is not None and profile.limit_odds < _LEAST_ODDS
    if unsure or open_question or broken or off > _WIDE or len(pick.among) == 1:
        return "low"
    settled = profile.basis == "measured" and runs >= _ENOUGH_TO_TRUST and off <= _NARROW
    return "high" if settled else "medium"
