"""A gate result as a comment on a pull request: a hidden mark, the headline, a table, and the details folded."""

import re
from collections.abc import Iterator

from powertune import text
from powertune.model.judgement import Check, GateResult, Judgement
from powertune.model.run_warning import RunWarning
from powertune.report import Style, verdicts
from powertune.report.markdown import escape

_HEAD = ("| | Function | Memory | Duration | Cost | Memory size is |", "|---|---|---:|---:|---:|---|")
_FOLD, _UNFOLD = "<details><summary>What was checked</summary>", "</details>"
_MOST_OF_ROWS = 0.6
"""Share of the room that rows of the table may take, so that there is some for the worst of the details."""
_SENTENCE = 3 * verdicts.LONGEST_MESSAGE
_RESERVE_BYTES = 200
"""For each sentence that says how much was left out."""


def render(result: GateResult, style: Style) -> str:
    """Return GitHub-flavoured markdown of at most `style.most_bytes` bytes.

    Functions and details that would go beyond that are left out, the worst last, and counted; the headline never is.
    """
    head = [mark(style.name), f"**{verdicts.headline(result)}**"]
    counts = verdicts.tally(result)
    head += ["", counts] if counts else []
    tail = ["", f"Next: {escape(result.next_command)}"] if result.next_command else []
    page = _Page(style.most_bytes - sum(map(_bytes, (*head, *tail))))
    judgements = verdicts.worst_first(result)
    table = page.fit(map(_row, judgements), _MOST_OF_ROWS)
    doubts = page.fit(map(_doubt, result.warnings), _MOST_OF_ROWS)
    details = page.fit(map(_details, judgements), 1.0)
    lines = [*head, *(["", *_HEAD, *table] if table else [])]
    if left_out := len(judgements) - len(table):
        lines += ["", f"{text.count(left_out, 'function')} more {'is' if left_out == 1 else 'are'} not shown here."]
    lines += [f"\n{doubt}" for doubt in doubts]
    if left_out := len(result.warnings) - len(doubts):
        lines += ["", f"{text.count(left_out, 'warning')} more {'is' if left_out == 1 else 'are'} not shown here."]
    if details:
        lines += ["", _FOLD, "", *details]
        if left_out := len(judgements) - len(details):
            lines += [f"Details of {text.count(left_out, 'function')} more are left out here.", ""]
        lines.append(_UNFOLD)
    return "\n".join([*lines, *tail]) + "\n"


def mark(name: str) -> str:
    """Return the hidden mark `<!-- powertune:NAME -->`, with nothing in the name that would end it early."""
    return f"<!-- powertune:{re.sub(r'[^A-Za-z0-9_.]+', '-', name[:100]).strip('-') or 'gate'} -->"


class _Page:
    """Room for so many bytes."""

    def __init__(self, room: int) -> None:
        self._room = room - sum(map(_bytes, (*_HEAD, _FOLD, _UNFOLD))) - 3 * _RESERVE_BYTES

    def fit(self, blocks: Iterator[str], share: float) -> list[str]:
        """Return as many of the first blocks as fit into that share of the room that is left, and take it away."""
        fitting: list[str] = []
        least = self._room * (1 - share)
        for block in blocks:
            if self._room - _bytes(block) < least:
                break
            fitting.append(block)
            self._room -= _bytes(block)
        return fitting


def _bytes(line: str) -> int:
    return len(line.encode("utf-8", "surrogatepass")) + len("\n")


def _row(judgement: Judgement) -> str:
    found = verdicts.change_of(judgement)
    state = verdicts.state(judgement)
    cells = [
        f"**{state}**" if state == "fails" else state,
        escape(verdicts.name_of(judgement)),
        escape(verdicts.memory_of(judgement)),
        text.percent(found[2].duration_pct) if found else "",
        text.percent(found[2].cost_pct) if found else "",
        escape(judgement.outcome),
    ]
    return f"| {' | '.join(cells)} |"


def _details(judgement: Judgement) -> str:
    """Return what was checked of a function."""
    where = verdicts.place_of(judgement.place)
    lines = [f"**{escape(verdicts.name_of(judgement))}** {escape(where)}".rstrip(), ""]
    lines += [f"- {_said(check)}" for check in verdicts.checks_worst_first(judgement)]
    about = (verdicts.untold_change(judgement), verdicts.basis_of(judgement))
    return "\n".join([*lines, *(f"- *{escape(line)}*" for line in about if line), ""])


def _doubt(warning: RunWarning) -> str:
    return f"> **{escape(warning.code)}**: {escape(warning.message)}. {escape(warning.hint)}."


def _said(check: Check) -> str:
    return f"{verdicts.state_of(check)} {escape(check.rule)}: {escape(verdicts.sentence_of(check), limit=_SENTENCE)}"
