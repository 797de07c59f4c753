"""The rules of the gate in words, for pipelines that show what a finding means beside it. Ids never change."""

from collections.abc import Mapping
from dataclasses import dataclass

from powertune import text


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule is about, in one sentence, and what to do about a finding."""

    summary: str
    help: str


RULES: Mapping[str, Rule] = {
    "over-provisioned": Rule(
        "The function has more memory than it makes use of.",
        "A smaller memory size costs less and is not slower by more than is tolerated. powertune apply writes the"
        " recommended size into the template.",
    ),
    "under-provisioned": Rule(
        "The function has too little memory: more would make it faster, or cheaper, or keep it from failing.",
        "On Lambda memory buys CPU. powertune apply writes the recommended size into the template.",
    ),
    "insufficient-data": Rule(
        "There are too few runs to judge the memory size by.",
        "Measure the function more often: --samples, or a longer recording.",
    ),
    "inconclusive": Rule(
        "The runs differ too much from each other to tell the memory sizes apart.",
        "More runs would tell: --samples. A difference inside the noise never fails a build.",
    ),
    "max-p95": Rule(
        "The 95th percentile of duration goes beyond its limit.",
        "Give the function more memory, make it faster, or raise max_p95_ms.",
    ),
    "max-usd-per-million": Rule(
        "A million invocations cost more than their limit.",
        "Take a cheaper memory size, make the function faster, or raise max_usd_per_million.",
    ),
    "max-memory": Rule(
        "The memory size is larger than its limit.",
        "Take a smaller memory size, or raise max_memory_mb.",
    ),
    "regression-duration": Rule(
        "The function became slower than its baseline.",
        "Look at what changed in the code since the baseline was saved; if it is meant to be, save a new baseline.",
    ),
    "regression-cost": Rule(
        "The function became dearer than its baseline.",
        "Look at what changed in the code since the baseline was saved; if it is meant to be, save a new baseline.",
    ),
    "fail-if": Rule(
        "A condition given with --fail-if holds.",
        "Mend what it is about, or change the condition.",
    ),
    "function-failed": Rule(
        "The function failed when it was run.",
        "Mend the function or its payload first: powertune dry-run -v shows what a handler prints.",
    ),
    "unresolved": Rule(
        "The memory size cannot be read from the template.",
        "It depends on what only a deployment knows. Say it with --current, or give a parameter its value.",
    ),
}
"""By id. GitHub and GitLab know findings again by it."""


def rule(rule_id: str) -> Rule:
    """Return a rule; one of a newer powertune, in a file that it wrote, is known by its id alone."""
    return RULES.get(rule_id) or Rule(f"{text.printable(rule_id, limit=100)}.", "A newer powertune knows this rule.")
