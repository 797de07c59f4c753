"""The rules that a function can break, how grave each is, and which of them fail a gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from powertune import text
from powertune.errors import UsageError
from powertune.model.gate_rules import SEVERITY_OF, Severity
from powertune.model.judgement import Check

_GROUPS: Mapping[str, Sequence[str]] = {
    "budgets": ("max-p95", "max-usd-per-million", "max-memory"),
    "regression": ("regression-duration", "regression-cost"),
    "size": ("over-provisioned", "under-provisioned"),
}
_SEVERITIES: Sequence[Severity] = ("error", "warning", "note")
NEVER = "never"
_OPEN = frozenset({"insufficient-data", "inconclusive", "unresolved"})
"""Rules about what cannot be told: they fail a gate that is asked to fail on them, and are no finding else."""


@dataclass(frozen=True, slots=True)
class FailOn:
    """Which rules fail the gate. `fail-if` conditions always do, unless it never fails: somebody wrote them down."""

    rules: frozenset[str] = frozenset(rule for rule, severity in SEVERITY_OF.items() if severity == "error")
    never: bool = False
    needs_baseline: bool = False
    """Whether regressions were asked for by name: without a baseline to compare with, nothing can be said then."""

    def settle(self, check: Check) -> Check:
        """Return the check with its severity, and whether the gate fails because of it."""
        asked = check.rule in self.rules or check.rule == "fail-if"
        result = "fail" if check.rule in _OPEN and asked and not self.never else check.result
        fails = result == "fail" and asked and not self.never and check.waiver is None
        return replace(check, result=result, fails_gate=fails)


def parse_fail_on(words: Sequence[str]) -> FailOn:
    """Return which rules fail the gate, from names of rules, groups and severities, each maybe several with commas.

    A severity stands for all rules that grave or graver. Raises UsageError for other words.
    """
    found: set[str] = set()
    names = [word.strip() for item in words for word in item.split(",")]
    for name in names:
        if name in SEVERITY_OF:
            found.add(name)
        elif name in _GROUPS:
            found.update(_GROUPS[name])
        elif name in _SEVERITIES:
            graver = _SEVERITIES[: _SEVERITIES.index(name) + 1]
            found.update(rule for rule, severity in SEVERITY_OF.items() if severity in graver)
        elif name != NEVER:
            known = [NEVER, *_SEVERITIES, *_GROUPS, *SEVERITY_OF]
            raise UsageError(
                f"--fail-on {text.printable(name, limit=40)!r} is no rule",
                hint=text.nearest(name, known) or f"choose from {', '.join(known)}",
            )
    if NEVER in names and len(names) > 1:
        raise UsageError(f"--fail-on {NEVER} and other rules exclude each other", hint="give one of them")
    needs_baseline = any(name.startswith("regression") for name in names)
    return FailOn(frozenset(found), never=NEVER in names, needs_baseline=needs_baseline)
