"""Which memory size to choose: cheapest, fastest, balanced, among the sizes that qualify, and the reasons in words."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from powertune import text
from powertune.aws_lambda.memory import MEMORY_HEADROOM
from powertune.errors import UsageError
from powertune.model.recommendation import STRATEGIES, Change, Confidence, Recommendation, Strategy
from powertune.model.size_profile import Cost, Distribution, SizeProfile

# Below this many warm runs at both sizes an interval is too wide to call two sizes alike.
_ENOUGH_TO_COMPARE = 5
_ENOUGH_TO_TRUST = 20
_FAILURES_ALLOWED = 0.05
"""Share of failed runs above which a size is not recommended, however fast and cheap the others were."""
_NARROW, _WIDE = 0.025, 0.10
"""Half-width of the mean's interval, as a share of the mean, up to which confidence is high, and above which low."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants of the recommendation."""

    strategy: Strategy = "balanced"
    balanced_weight: float = 0.5
    """Weight of cost against duration under `balanced`: 1 is all cost."""
    tolerance: float = 0.02
    """How much worse than the best a size may be on its own axis, as a share, to win on the other axis."""
    max_duration_ms: float | None = None
    max_cost_per_million: float | None = None
    current_memory_mb: int | None = None
    allow_unmeasured: bool = True
    """False where a size has to be measured before it is recommended for speed or balanced: live tuning."""
    calibrated: bool = True

    def __post_init__(self) -> None:
        """Raise UsageError for wishes that make no sense."""
        if self.strategy not in STRATEGIES:
            near = text.nearest(self.strategy, STRATEGIES) or f"choose from {', '.join(STRATEGIES)}"
            raise UsageError(f"there is no strategy {text.printable(self.strategy, limit=40)!r}", hint=near)
        if not 0 <= self.balanced_weight <= 1:
            raise UsageError(f"a balanced weight of {self.balanced_weight} is not between 0 and 1", hint="0.5 is even")
        if not 0 <= self.tolerance < math.inf:
            raise UsageError(f"a tolerance of {self.tolerance} is no share", hint="0.02 is 2 %, 0 the plain best")


@dataclass(frozen=True, slots=True)
class _Option:
    """A size that has figures."""

    profile: SizeProfile
    duration: Distribution
    cost: Cost

    @property
    def memory_mb(self) -> int:
        return self.profile.memory_mb

    @property
    def judged_ms(self) -> float:
        """The duration that sizes are compared by: what all of them together say, where a model was fitted to them."""
        expected = self.profile.expected
        return expected.duration_ms if expected else self.duration.mean

    @property
    def judged_cost(self) -> float:
        """The cost of one invocation that sizes are compared by."""
        expected = self.profile.expected
        return expected.cost_per_invocation if expected else self.cost.per_invocation


@dataclass(frozen=True, slots=True)
class _Pick:
    """The size picked on one axis, and the plain best one that it was preferred to, if any."""

    chosen: _Option
    best: _Option
    among: Sequence[_Option]
    """All sizes that could have been picked."""


def objection(profile: SizeProfile, choice: Choice) -> str | None:
    """Return why a size cannot be recommended, or None if it can.

    `max_duration_ms` is held against the 95th percentile where it is known, else against the mean.
    """
    if profile.status != "ok" or profile.duration_ms is None or profile.cost is None:
        return profile.reason or profile.status
    runs = profile.invocations
    if profile.basis == "extrapolated":  # nobody should be sent to a size that lies beyond all that was measured
        return "beyond the recorded sizes"
    if runs.failed > _FAILURES_ALLOWED * (runs.failed + runs.warm + runs.cold):
        return f"{runs.failed} of {runs.failed + runs.warm + runs.cold} runs failed"
    used_mb = profile.max_memory_used_mb
    if used_mb is not None and used_mb > (1 - MEMORY_HEADROOM) * profile.memory_mb:
        free = max(0.0, 1 - used_mb / profile.memory_mb)
        return f"only {free:.0%} memory free"
    return _broken_limit(profile.duration_ms, profile.cost, choice)


def _broken_limit(duration: Distribution, cost: Cost, choice: Choice) -> str | None:
    name, slow_ms = ("mean", duration.mean) if duration.p95 is None else ("p95", duration.p95)
    if choice.max_duration_ms is not None and slow_ms > choice.max_duration_ms:
        return f"{name} {text.duration(slow_ms)} > {text.duration(choice.max_duration_ms)}"
    if choice.max_cost_per_million is not None and cost.per_million > choice.max_cost_per_million:
        return f"over {text.money(choice.max_cost_per_million, cost.currency)}"
    return None


def recommend(sizes: Sequence[SizeProfile], choice: Choice) -> Recommendation:
    """Return the picks for cost, speed and balanced among the sizes that qualify, with reasons for the chosen one."""
    known = [_Option(size, size.duration_ms, size.cost) for size in sizes if size.duration_ms and size.cost]
    options = [option for option in known if objection(option.profile, choice) is None]
    picks = {strategy: _pick(options, strategy, choice) for strategy in STRATEGIES}
    picked = picks[choice.strategy]
    current = next((option for option in known if option.memory_mb == choice.current_memory_mb), None)
    cost, speed, balanced = (pick.chosen.memory_mb if pick else None for pick in picks.values())
    if picked is None:
        return Recommendation(
            choice.strategy, None, "inconclusive", cost, speed, balanced, reasons=(_why_none(known, sizes, choice),)
        )
    chosen = picked.chosen
    return Recommendation(
        strategy=choice.strategy,
        memory_mb=chosen.memory_mb,
        confidence=_confidence(picked, known, choice),
        cost_memory_mb=cost,
        speed_memory_mb=speed,
        balanced_memory_mb=balanced,
        reasons=tuple(_reasons(picks, known, choice)),
        versus_current=_change(chosen, current) if current else None,
    )


def _pick(options: Sequence[_Option], strategy: Strategy, choice: Choice) -> _Pick | None:
    """Return the pick on one axis: the best, or one as good within the tolerance that wins on the other axis."""
    if strategy != "cost" and not choice.allow_unmeasured:
        options = [option for option in options if option.profile.basis == "measured"]
    if not options:
        return None
    own, other = _axes(options, strategy, choice.balanced_weight)
    best = min(options, key=lambda option: (own(option), other(option), option.memory_mb))
    if choice.tolerance == 0 or strategy == "balanced":  # balanced has both axes in it: nothing is left to win on
        return _Pick(best, best, options)
    limit = own(best) * (1 + choice.tolerance)
    equals = [option for option in options if own(option) <= limit or _indistinguishable(option, best, strategy)]
    chosen = min(equals, key=lambda option: (other(option), own(option), option.memory_mb))
    return _Pick(chosen, best, options)


def _axes(
    options: Sequence[_Option], strategy: Strategy, weight: float
) -> tuple[Callable[[_Option], float], Callable[[_Option], float]]:
    """Return what a strategy minimises, and what decides among equals."""

    def cost(option: _Option) -> float:
        return option.judged_cost

    def duration(option: _Option) -> float:
        return option.judged_ms

    def score(option: _Option) -> float:
        return weight * _share(cost(option), highest_cost) + (1 - weight) * _share(duration(option), slowest)

    highest_cost, slowest = max(map(cost, options)), max(map(duration, options))
    return {"cost": (cost, duration), "speed": (duration, cost), "balanced": (score, cost)}[strategy]


def _share(value: float, highest: float) -> float:
    return value / highest if highest else 0.0


def _indistinguishable(one: _Option, other: _Option, strategy: Strategy) -> bool:
    """Tell whether the samples of two measured sizes leave open which of them is better on the strategy's axis.

    The difference is held against the 95 % interval of a difference of two means. Scaled and interpolated sizes share
    their samples, so their intervals say nothing about the difference.
    """
    enough = all(
        option.profile.basis == "measured" and option.profile.invocations.warm >= _ENOUGH_TO_COMPARE
        for option in (one, other)
    )
    if not enough:
        return False
    if strategy == "cost":
        gap = one.cost.per_million - other.cost.per_million
        intervals = (one.cost.ci95_per_million, other.cost.ci95_per_million)
    else:
        gap = one.duration.mean - other.duration.mean
        intervals = (one.duration.ci95, other.duration.ci95)
    halves = [(interval[1] - interval[0]) / 2 for interval in intervals if interval]
    return len(halves) == 2 and abs(gap) <= math.hypot(*halves)  # noqa: PLR2004 - both of them


def _change(chosen: _Option, current: _Option) -> Change:
    per_month, ci95 = None, None
    if chosen.cost.per_month is not None and current.cost.per_month is not None:
        before, after = current.cost.per_month, chosen.cost.per_month
        per_month = 0.0 if math.isclose(before, after, rel_tol=1e-12) else after - before  # no binary dust
        ci95 = _difference_interval(chosen, current, per_month)
    return Change(
        duration_pct=_difference_pct(chosen.duration.mean, current.duration.mean),
        cost_pct=_difference_pct(chosen.cost.per_invocation, current.cost.per_invocation),
        per_month=per_month,
        ci95_per_month=ci95,
    )


def _difference_interval(chosen: _Option, current: _Option, difference: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a month's difference: that of the difference of two independent means.

    None for sizes that were not measured, which share their samples, and for a size against itself.
    """
    intervals = [option.cost.ci95_per_month for option in (chosen, current) if option.profile.basis == "measured"]
    halves = [(interval[1] - interval[0]) / 2 for interval in intervals if interval]
    if len(halves) < 2 or chosen is current:  # noqa: PLR2004 - both of them
        return None
    half = math.hypot(*halves)
    return difference - half, difference + half


def _difference_pct(value: float, reference: float) -> float:
    return (value / reference - 1) * 100 if reference else 0.0


def _confidence(pick: _Pick, known: Sequence[_Option], choice: Choice) -> Confidence:
    """Return a word for how far the pick can be trusted, from what it rests on, how often it was measured, and noise.

    One run, or one size, decides nothing; sizes that the samples cannot tell apart, or that were not measured on
    Lambda's scale, give little confidence.
    """
    profile, duration = pick.chosen.profile, pick.chosen.duration
    runs = profile.invocations.warm or profile.invocations.cold
    if profile.basis == "measured" and (runs <= 1 or len(known) == 1):
        return "inconclusive"
    half_width = (duration.ci95[1] - duration.ci95[0]) / 2 / duration.mean if duration.ci95 and duration.mean else 0.0
    own, _ = _axes(pick.among, choice.strategy, choice.balanced_weight)
    open_question = own(pick.chosen) > own(pick.best) * (1 + choice.tolerance)
    unsure = not choice.calibrated or profile.basis in ("interpolated", "extrapolated")
    if unsure or open_question or half_width > _WIDE or len(pick.among) == 1:
        return "low"
    settled = profile.basis == "measured" and runs >= _ENOUGH_TO_TRUST and half_width <= _NARROW
    return "high" if settled else "medium"


def _reasons(picks: Mapping[Strategy, _Pick | None], known: Sequence[_Option], choice: Choice) -> Iterator[str]:
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
    else:
        yield _why_preferred(pick, choice) if chosen is not pick.best else _why_best(pick, known, choice)
    if chosen.profile.basis == "interpolated":
        yield f"{chosen.memory_mb} MB was never recorded: its figures are interpolated."


def _why_balanced(picks: Mapping[Strategy, _Pick | None], chosen: _Option) -> str:
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


def _why_best(pick: _Pick, known: Sequence[_Option], choice: Choice) -> str:
    chosen = pick.chosen
    word = "cheapest" if choice.strategy == "cost" else "fastest"
    among = "" if len(pick.among) == len(known) else f" of the {text.count(len(pick.among), 'size')} that qualify"
    rest = [option for option in pick.among if option is not chosen]
    if not rest:
        return f"{chosen.memory_mb} MB is the only size that qualifies."
    own, _ = _axes(pick.among, choice.strategy, choice.balanced_weight)
    runner_up = min(rest, key=own)
    compared = _compare(chosen, runner_up, choice.strategy)
    return f"{chosen.memory_mb} MB is the {word}{among}: {compared} than the next {word}, {runner_up.memory_mb} MB."


def _why_preferred(pick: _Pick, choice: Choice) -> str:
    chosen, best = pick.chosen, pick.best
    own, _ = _axes([chosen, best], choice.strategy, choice.balanced_weight)
    within = own(chosen) <= own(best) * (1 + choice.tolerance)
    ground = f"within {choice.tolerance * 100:g} % of the best" if within else "where the samples cannot tell two apart"
    word, other = ("cheapest", "faster") if choice.strategy == "cost" else ("fastest", "cheaper")
    return (
        f"{chosen.memory_mb} MB is {_compare(chosen, best, choice.strategy)} than the {word}, {best.memory_mb} MB:"
        f" {ground}, the {other} size wins."
    )


def _compare(one: _Option, other: _Option, first: Strategy = "cost") -> str:
    """Return `0.04 % dearer and 8.0 times faster`: how one size differs from another on both axes."""
    cost = _relation(one.cost.per_invocation, other.cost.per_invocation, "dearer", "cheaper")
    speed = _relation(one.duration.mean, other.duration.mean, "slower", "faster")
    return f"{speed} and {cost}" if first == "speed" else f"{cost} and {speed}"


def _relation(value: float, reference: float, more: str, less: str) -> str:
    if not value or not reference or math.isclose(value, reference, rel_tol=5e-5):
        return f"no {more}"
    word = more if value > reference else less
    ratio = max(value, reference) / min(value, reference)
    if ratio >= 2:  # noqa: PLR2004 - from here on "times" reads better than per cent
        return f"{ratio:.3g} times {word}"
    return f"{text.percent(abs(value / reference - 1) * 100).removeprefix('+')} {word}"


def _why_none(known: Sequence[_Option], sizes: Sequence[SizeProfile], choice: Choice) -> str:
    if not known:
        return f"No size gave a result: {text.printable(sizes[0].reason or sizes[0].status)}." if sizes else "No sizes."
    fastest = min(known, key=lambda option: (option.duration.mean, option.memory_mb))
    cheapest = min(known, key=lambda option: (option.cost.per_invocation, option.memory_mb))

    def why_not(option: _Option) -> str:
        return objection(option.profile, choice) or f"its figures are {option.profile.basis}"

    return (
        f"No size qualifies. The fastest, {fastest.memory_mb} MB, takes {text.duration(fastest.duration.mean)}"
        f" ({why_not(fastest)}); the cheapest, {cheapest.memory_mb} MB, costs"
        f" {text.money(cheapest.cost.per_million, cheapest.cost.currency)} per million ({why_not(cheapest)})."
    )
