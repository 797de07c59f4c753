"""Why a size is recommended, in words."""

import math
from collections.abc import Iterator, Mapping, Sequence

from powertune import text
from powertune.analysis.candidates import Candidate, Choice, objection
from powertune.analysis.comparison import WORTHWHILE_RUNS
from powertune.analysis.picking import Pick
from powertune.model.recommendation import Strategy, Verdict
from powertune.model.size_profile import SizeProfile


def why(
    picks: Mapping[Strategy, Pick | None],
    known: Sequence[Candidate],
    choice: Choice,
    verdict: Verdict | None,
    plain_mb: int | None,
) -> Iterator[str]:
    """Yield the reasons for the pick of the strategy, a sentence or two each; none where there is no pick.

    `known` are all sizes with figures, `plain_mb` is the pick by the means of single sizes, without a model of all.
    """
    pick = picks[choice.strategy]
    if pick is None:
        return
    chosen = pick.chosen
    if len(known) == 1 and chosen.profile.basis == "measured":
        yield (
            f"{chosen.memory_mb} MB is the only size with figures, and they say nothing about other sizes: record some,"
            " or run powertune dry-run with --duration-at."
        )
        return
    if choice.strategy == "balanced":
        yield _why_balanced(picks, chosen)
        if verdict and is_founded(verdict):
            yield _lead(verdict)
    elif chosen is not pick.best:
        yield _why_preferred(pick, choice, verdict)
    else:
        yield _why_best(pick, known, choice, verdict)
    if chosen.profile.basis == "interpolated":
        yield f"{chosen.memory_mb} MB was never recorded: its figures are interpolated."
    if plain_mb not in (None, chosen.memory_mb):
        yield _why_not_plain(known, choice, plain_mb)
    odds = chosen.profile.limit_odds
    if odds is not None and choice.max_duration_ms is not None:
        limit = text.duration(choice.max_duration_ms)
        yield f"Its p95 keeps to {limit} with a probability of {_odds(odds)} ({text.count(chosen.runs, 'run')})."


def is_founded(verdict: Verdict) -> bool:
    """Tell whether a verdict rests on any spread at all: of single runs, there is nothing to say but that they are."""
    return verdict.ci95_pct is not None or bool(verdict.more_invocations)


def in_words(verdict: Verdict) -> str:
    """Return `significant`, `a tie`, or `inconclusive: 40 more invocations of 512 and 1024 MB would tell`."""
    if verdict.kind == "significant":
        return "significant"
    if verdict.kind == "tie":
        return "a tie"
    more = verdict.more_invocations
    if not more:
        return "inconclusive: more invocations would tell"
    sizes = " and ".join(str(memory_mb) for memory_mb in more)
    if sum(more.values()) > WORTHWHILE_RUNS:
        return f"inconclusive, and over {WORTHWHILE_RUNS:,} more invocations of {sizes} MB would be needed to tell"
    return f"inconclusive: {text.count(sum(more.values()), 'more invocation')} of {sizes} MB would tell"


def price_of(alternative: Candidate, chosen: Candidate) -> str:
    """Return what another size costs and gains: `512 MB: 12 % cheaper and 1.9 times slower`."""
    return f"{alternative.memory_mb} MB: {_compare(alternative, chosen)}"


def why_none(known: Sequence[Candidate], sizes: Sequence[SizeProfile], choice: Choice) -> str:
    """Return why no size is recommended, with those that come nearest."""
    if not known:
        return f"No size gave a result: {text.printable(sizes[0].reason or sizes[0].status)}." if sizes else "No sizes."
    fastest = min(known, key=lambda option: (option.judged_ms, option.memory_mb))
    cheapest = min(known, key=lambda option: (option.judged_cost, option.memory_mb))

    def why_not(option: Candidate) -> str:
        return objection(option.profile, choice) or f"its figures are {option.profile.basis}"

    return (
        f"No size qualifies. The fastest, {fastest.memory_mb} MB, takes {text.duration(fastest.duration.mean)}"
        f" ({why_not(fastest)}); the cheapest, {cheapest.memory_mb} MB, costs"
        f" {text.money(cheapest.cost.per_million, cheapest.cost.currency)} per million ({why_not(cheapest)})."
    )


def _why_balanced(picks: Mapping[Strategy, Pick | None], chosen: Candidate) -> str:
    """Return how the balanced pick compares with the pick for cost, or where it is that one, with that for speed."""
    both = [pick for pick in (picks["cost"], picks["speed"]) if pick]
    for pick, word in zip(both, ("cost", "speed"), strict=False):
        if pick.chosen is not chosen:
            return (
                f"{chosen.memory_mb} MB balances best: {_compare(chosen, pick.chosen)} than the pick for {word},"
                f" {pick.chosen.memory_mb} MB."
            )
    if len(both[0].among) == 1:
        return f"{chosen.memory_mb} MB is the only size that qualifies."
    if all(pick.best is chosen for pick in both):
        return f"{chosen.memory_mb} MB is both the cheapest and the fastest."
    return f"{chosen.memory_mb} MB is the pick for cost and for speed, too."


def _lead(verdict: Verdict) -> str:
    other = f"the next best, {verdict.other_memory_mb} MB"
    return f"It ties with {other}." if verdict.kind == "tie" else f"Its lead over {other}, is {in_words(verdict)}."


def _why_best(pick: Pick, known: Sequence[Candidate], choice: Choice, verdict: Verdict | None) -> str:
    chosen, runner_up = pick.chosen, pick.rival
    word = "cheapest" if choice.strategy == "cost" else "fastest"
    among = "" if len(pick.among) == len(known) else f" of the {text.count(len(pick.among), 'size')} that qualify"
    if runner_up is None:
        return f"{chosen.memory_mb} MB is the only size that qualifies."
    compared = _compare(chosen, runner_up, choice.strategy)
    return (
        f"{chosen.memory_mb} MB is the {word}{among}: {compared} than the next {word},"
        f" {runner_up.memory_mb} MB{_in_brackets(verdict)}."
    )


def _why_preferred(pick: Pick, choice: Choice, verdict: Verdict | None) -> str:
    chosen, best = pick.chosen, pick.best
    within = pick.yardstick.value(chosen) <= pick.yardstick.value(best) * (1 + choice.tolerance)
    ground = f"within {choice.tolerance * 100:g} % of the best" if within else "where the runs cannot tell two apart"
    word, other = ("cheapest", "faster") if choice.strategy == "cost" else ("fastest", "cheaper")
    known = _in_brackets(verdict) if within else ""
    return (
        f"{chosen.memory_mb} MB is {_compare(chosen, best, choice.strategy)} than the {word},"
        f" {best.memory_mb} MB{known}: {ground}, the {other} size wins."
    )


def _in_brackets(verdict: Verdict | None) -> str:
    return f" ({in_words(verdict)})" if verdict and is_founded(verdict) else ""


def _why_not_plain(known: Sequence[Candidate], choice: Choice, plain_mb: int | None) -> str:
    """Return why the pick is not the one that the means in the table would give."""
    strays = [option.duration.mean / option.judged_ms - 1 for option in known if option.profile.expected]
    typical = math.sqrt(math.fsum(stray**2 for stray in strays) / max(1, len(strays)))
    words = {"cost": "for cost", "speed": "for speed", "balanced": "to balance both"}
    return (
        f"By the means in the table {plain_mb} MB would be the pick {words[choice.strategy]}, but they stray by"
        f" {_percent(typical)} from what all sizes together say, which decides."
    )


def _compare(one: Candidate, other: Candidate, first: Strategy = "cost") -> str:
    """Return `0.04 % dearer and 8.0 times faster`: how one size differs from another on both axes."""
    cost = _relation(one.judged_cost, other.judged_cost, "dearer", "cheaper")
    speed = _relation(one.judged_ms, other.judged_ms, "slower", "faster")
    return f"{speed} and {cost}" if first == "speed" else f"{cost} and {speed}"


def _relation(value: float, reference: float, more: str, less: str) -> str:
    if not value or not reference or math.isclose(value, reference, rel_tol=5e-5):
        return f"no {more}"
    word = more if value > reference else less
    ratio = max(value, reference) / min(value, reference)
    if ratio >= 2:  # noqa: PLR2004 - from here on "times" reads better than per cent
        return f"{ratio:.3g} times {word}"
    return f"{_percent(abs(value / reference - 1))} {word}"


def _percent(share: float) -> str:
    return text.percent(share * 100).removeprefix("+")


def _odds(probability: float) -> str:
    """Return a probability that is neither sure nor impossible, however close."""
    if probability > 0.99:  # noqa: PLR2004 - what rounds to certainty
        return "over 99 %"
    return "under 1 %" if probability < 0.01 else f"{probability * 100:.0f} %"  # noqa: PLR2004 - and to impossibility
