"""Findings that a team has decided to live with for a while: they are shown, and do not fail the gate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase

from powertune import text
from powertune.model.budgets import Waiver
from powertune.model.judgement import Check, Judgement
from powertune.model.run_warning import RunWarning


@dataclass(frozen=True, slots=True)
class Waivers:
    """Waivers as they count on a day."""

    given: Sequence[Waiver]
    today: date

    def of(self, function: str, check: Check) -> Waiver | None:
        """Return the waiver of a finding, None where there is none in force."""
        return next((waiver for waiver in self._in_force() if _covers(waiver, function, check)), None)

    def apply(self, judgement: Judgement) -> Judgement:
        """Return a judgement whose findings carry their waivers; those do not fail the gate."""
        return replace(judgement, checks=tuple(self._waived(judgement.function, check) for check in judgement.checks))

    def doubts(self, judgements: Iterable[Judgement]) -> Sequence[RunWarning]:
        """Return what should be known of the waivers: those that have run out, and those that nothing needs."""
        used = [check.waiver for judgement in judgements for check in judgement.checks]
        found = []
        for waiver in self.given:
            name, rule = text.printable(waiver.function, limit=80), text.printable(waiver.rule, limit=40)
            if waiver.until < self.today:
                found.append(
                    RunWarning(
                        "expired-waiver",
                        f"the waiver of {rule} for {name} has run out on {waiver.until}"
                        f" ({text.printable(waiver.reason, limit=120)})",
                        "mend what it was for, or give it another date with `until`",
                    )
                )
            elif waiver not in used:
                found.append(
                    RunWarning(
                        "unused-waiver",
                        f"nothing that was found needs the waiver of {rule} for {name}",
                        "take it out of the settings, so that it hides nothing new",
                    )
                )
        return found

    def _in_force(self) -> Iterable[Waiver]:
        return (waiver for waiver in self.given if waiver.until >= self.today)

    def _waived(self, function: str, check: Check) -> Check:
        waiver = self.of(function, check) if check.result == "fail" else None
        return check if waiver is None else replace(check, waiver=waiver, fails_gate=False)


def _covers(waiver: Waiver, function: str, check: Check) -> bool:
    return waiver.rule in ("*", check.rule) and fnmatchcase(function, waiver.function)
