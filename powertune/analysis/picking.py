"""The size that is best on an axis, or as good as the best and better on the other; and the sizes that none beats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from powertune.analysis.candidates import Candidate, Choice, Yardstick
from powertune.analysis.comparison import are_comparable, difference_interval
from powertune.model.recommendation import Strategy

# Below this many warm runs at both sizes an interval is too wide to call two sizes alike.
_ENOUGH_TO_COMPARE = 5
_ALIKE = 2.0
"""Tolerances up to which an interval may reach to either side for two sizes to be called alike. If it is wider, the
runs do not show that two sizes are alike: they show nothing, and the best as measured is kept."""


@dataclass(frozen=True, slots=True)
class Pick:
    """The size picked on one axis, and the plain best one that it was preferred to, if any."""

    chosen: Candidate
    best: Candidate
    among: Sequence[Candidate]
    """All sizes that could have been picked."""
    yardstick: Yardstick

    @property
    def rival(self) -> Candidate | None:
        """The size to hold the pick against: the best if that was not picked, else the next best."""
        if self.chosen is not self.best:
            return self.best
        rest = [option for option in self.among if option is not self.chosen]
        return min(rest, key=lambda option: (self.yardstick.value(option), option.memory_mb), default=None)


def pick_size(options: Sequence[Candidate], strategy: Strategy, choice: Choice) -> Pick | None:
    """Return the pick among the sizes that qualify: the best, or one as good that wins on the other axis.

    As good is what lies within the tolerance, or what the runs cannot tell from the best although they are many enough
    to show that it is no more than twice the tolerance off. None where no size may be picked.
    """
    if not choice.allow_unmeasured:
        options = [option for option in options if option.profile.basis == "measured"]
    if not options:
        return None
    yardstick = Yardstick.among(options, strategy, choice.balanced_weight)
    own, other = yardstick.value, yardstick.other_value
    best = min(options, key=lambda option: (own(option), other(option), option.memory_mb))
    if choice.tolerance == 0 or strategy == "balanced":  # balanced has both axes in it: nothing is left to win on
        return Pick(best, best, options, yardstick)
    limit = own(best) * (1 + choice.tolerance)
    # A size that another beats on both axes never wins here, however little is known of it.
    unbeaten = pareto(options)
    equals = [option for option in options if own(option) <= limit]
    equals += [
        option for option in unbeaten if own(option) > limit and _are_alike(option, best, yardstick, choice.tolerance)
    ]
    chosen = min(equals, key=lambda option: (other(option), own(option), option.memory_mb))
    return Pick(chosen, best, options, yardstick)


def _are_alike(one: Candidate, best: Candidate, yardstick: Yardstick, tolerance: float) -> bool:
    """Tell whether the runs leave open which of two sizes is better, and show that the difference is small."""
    known = all(option.profile.expected or option.runs >= _ENOUGH_TO_COMPARE for option in (one, best))
    if not (known and are_comparable(one, best)):
        return False
    ci95 = difference_interval(yardstick.figure(one), yardstick.figure(best))
    return ci95 is not None and ci95[0] <= 0 and (ci95[1] - ci95[0]) / 2 <= _ALIKE * tolerance


def pareto(options: Iterable[Candidate]) -> list[Candidate]:
    """Return the sizes to which no other is at once no dearer and no slower, and better in one of both; by memory."""
    found: list[Candidate] = []
    for option in sorted(options, key=lambda option: (option.judged_cost, option.judged_ms, option.memory_mb)):
        if not found or option.judged_ms < found[-1].judged_ms:
            found.append(option)
    return sorted(found, key=lambda option: option.memory_mb)
