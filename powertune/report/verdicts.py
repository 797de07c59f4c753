"""What all formats of a gate result say alike: who fails, what it would change, where it is written, in words."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from powertune import text
from powertune.model.configured import Place
from powertune.model.gate_rules import SEVERITIES, Severity
from powertune.model.judgement import Check, GateResult, Judgement
from powertune.model.recommendation import Change
from powertune.model.size_profile import SizeProfile
from powertune.report import words

State = Literal["fails", "waived", "noted", "unknown", "passes"]
_STATES: tuple[State, ...] = ("fails", "noted", "waived", "unknown", "passes")
"""Worst first. `noted`: there are findings, of a severity that is not to fail the gate.
`unknown`: no check could tell."""
_RESULTS = ("fail", "unknown", "pass")
_ON_SIZE = ("over-provisioned", "under-provisioned")

LONGEST_NAME, LONGEST_MESSAGE = 200, 500


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that failed, with the function it failed for."""

    judgement: Judgement
    check: Check
    fingerprint: str
    """Stays the same between runs for the same file, function and rule, and is unlike any other in the result."""

    @property
    def place(self) -> Place | None:
        """Where the memory size is written, if anywhere."""
        return self.judgement.place

    @property
    def level(self) -> Severity:
        """How loudly to tell it: what fails the gate is an error, what is waived no more than a note."""
        if self.check.fails_gate:
            return "error"
        return "note" if self.check.waiver else self.check.severity


def findings(result: GateResult) -> list[Finding]:
    """Return all findings, waived ones included, the worst first."""
    found = list(_numbered(result))
    return sorted(
        found,
        key=lambda one: (
            not one.check.fails_gate,
            one.check.waiver is not None,
            SEVERITIES.index(one.check.severity),
        ),
    )


def _numbered(result: GateResult) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], int] = {}
    for judgement in result.judgements:
        place = judgement.place
        for check in judgement.findings:
            identity = (place.file if place else "", judgement.function, check.rule)
            number = seen[identity] = seen.get(identity, 0) + 1
            marked = "\0".join((*identity, str(number))).encode("utf-8", "surrogatepass")
            yield Finding(judgement, check, hashlib.sha256(marked).hexdigest()[:32])


def state(judgement: Judgement) -> State:
    """Return in a word how a function stands."""
    if judgement.fails:
        return "fails"
    if not judgement.findings:
        could_tell = not judgement.checks or any(check.result == "pass" for check in judgement.checks)
        return "passes" if could_tell else "unknown"
    return "waived" if all(check.waiver for check in judgement.findings) else "noted"


def state_of(check: Check) -> str:
    """Return in a word how a check stands."""
    if check.fails_gate:
        return "fails"
    if check.result == "fail":
        return "waived" if check.waiver else "noted"
    return {"pass": "passes", "unknown": "unknown"}[check.result]


def worst_first(result: GateResult) -> list[Judgement]:
    """Return the judgements, those that fail first, and otherwise in their order."""
    return sorted(result.judgements, key=lambda judgement: _STATES.index(state(judgement)))


def checks_worst_first(judgement: Judgement) -> list[Check]:
    """Return what was checked, findings first, and otherwise in their order."""
    return sorted(judgement.checks, key=lambda check: (not check.fails_gate, _RESULTS.index(check.result)))


def headline(result: GateResult) -> str:
    """Return the verdict in one line."""
    count = len(result.judgements)
    failed = sum(judgement.fails for judgement in result.judgements)
    if not count:
        return "No function was judged"
    untold = sum(state(judgement) == "unknown" for judgement in result.judgements)
    if count == 1:
        return (
            "The function fails" if failed else "The function could not be judged" if untold else "The function passes"
        )
    if untold == count:
        return f"None of {count:,} functions could be judged"
    untold_too = f", {untold:,} could not be judged" if untold else ""
    if failed:
        return f"{failed:,} of {count:,} functions {'fails' if failed == 1 else 'fail'}{untold_too}"
    if untold:
        return f"{count - untold:,} of {count:,} functions {'passes' if count - untold == 1 else 'pass'}{untold_too}"
    return f"All {count:,} functions pass"


def tally(result: GateResult) -> str:
    """Return how many checks failed the gate, were waived, or could not tell; empty where all passed."""
    states = [state_of(check) for judgement in result.judgements for check in judgement.checks]
    words_of = {"fails": "failed", "noted": "noted", "waived": "waived", "unknown": "undecided"}
    counts = [f"{states.count(one):,} {word}" for one, word in words_of.items() if one in states]
    return f"{text.count(len(states), 'check')}: {', '.join(counts)}" if counts else ""


def name_of(judgement: Judgement, limit: int = LONGEST_NAME) -> str:
    """Return the function's name, safe to show."""
    return text.printable(judgement.function, limit=limit) or "(unnamed)"


def memory_of(judgement: Judgement) -> str:
    """Return the memory size now and the recommended one: `512 -> 1024 MB`, `512 MB` where they are the same."""
    now, better = judgement.current_memory_mb, judgement.recommended_memory_mb
    if now is None:
        return "" if better is None else f"? -> {better} MB"
    return f"{now} MB" if better in (None, now) else f"{now} -> {better} MB"


def place_of(place: Place | None) -> str:
    """Return where something is written, as `template.yaml:12`, safe to show; empty where that is not known."""
    return f"{text.printable(place.file, limit=LONGEST_NAME)}:{place.line}" if place else ""


def change_of(judgement: Judgement) -> tuple[SizeProfile, SizeProfile, Change] | None:
    """Return the size now, the recommended one and what changes; None where they are the same or not known."""
    now, better, run = judgement.current_memory_mb, judgement.recommended_memory_mb, judgement.run
    if run is None or now is None or better in (None, now):
        return None
    sizes = {size.memory_mb: size for size in run.sizes if size.duration_ms and size.cost}
    before, after = sizes.get(now), sizes.get(better or 0)
    if before is None or after is None:
        return None
    told = run.recommendation.versus_current
    if told and (run.function.current_memory_mb, run.recommendation.memory_mb) == (now, better):
        return before, after, told
    return before, after, _plain_change(before, after)


def _plain_change(before: SizeProfile, after: SizeProfile) -> Change:
    def percent(old: float, new: float) -> float:
        return (new / old - 1) * 100 if old else 0.0

    old_ms, new_ms = (size.duration_ms.mean if size.duration_ms else 0.0 for size in (before, after))
    old_cost, new_cost = (size.cost.per_invocation if size.cost else 0.0 for size in (before, after))
    return Change(percent(old_ms, new_ms), percent(old_cost, new_cost))


def untold_change(judgement: Judgement) -> str:
    """Return what the recommended size changes, as `512 -> 1024 MB: 412 ms -> 208 ms (-50 %), ...`.

    Empty where a finding on the memory size tells it, and where nothing changes or nobody knows.
    """
    if any(check.rule in _ON_SIZE for check in judgement.findings):
        return ""
    found = change_of(judgement)
    return (words.change_between(*found) or "") if found else ""


def basis_of(judgement: Judgement) -> str:
    """Return what the figures rest on: `local run, 12 runs at 512 MB, prices of 2026-09-19`."""
    run, now = judgement.run, judgement.current_memory_mb
    if run is None:
        return ""
    said = [f"{text.printable(run.source.get('kind', 'unknown'), limit=40)} run"]
    for size in run.sizes:
        if size.memory_mb == now:
            counts = size.invocations
            said.append(f"{text.count(counts.warm or counts.cold, 'run')} at {now} MB, {size.basis}")
    said.append(f"prices of {text.printable(run.pricing.as_of, limit=40)}" if run.pricing.as_of else "prices as given")
    return ", ".join(said)


def message_of(check: Check) -> str:
    """Return what a check says, safe to show."""
    return text.printable(check.message, limit=LONGEST_MESSAGE)


def sentence_of(check: Check) -> str:
    """Return in one line what a check says, whether it is waived, and what to do about it, safe to show."""
    return "; ".join(words for words in (message_of(check), waiver_of(check), hint_of(check)) if words)


def hint_of(check: Check) -> str:
    """Return what to do about a finding, safe to show; empty where there is nothing to do."""
    return text.printable(check.hint, limit=LONGEST_MESSAGE)


def waiver_of(check: Check) -> str:
    """Return until when a finding is waived and why, safe to show; empty where it is not."""
    waiver = check.waiver
    return f"waived until {waiver.until}: {text.printable(waiver.reason, limit=LONGEST_NAME)}" if waiver else ""


def without_place(result: GateResult) -> list[Finding]:
    """Return the findings that no line of a file can be shown for."""
    return [one for one in findings(result) if one.place is None]
