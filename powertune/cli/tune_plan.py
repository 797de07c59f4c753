"""What `powertune tune` is going to do, in words, before it does anything."""

import textwrap
from typing import TYPE_CHECKING

from powertune import text
from powertune.cli.tune_options import Measuring

if TYPE_CHECKING:
    from powertune.sources.aws.source import Plan

_MOST_SIZES_NAMED = 12
_PLAN_WIDTH = 80


def plan_in_words(
    plan: "Plan", measuring: Measuring, *, is_full: bool, apply: bool, alias: str | None, asks: bool
) -> str:
    """Return the plan as lines of text no wider than the screen: sizes, runs, costs, changes, and who is touched."""
    target, facts = plan.target, plan.target.facts
    sizes = ", ".join(map(str, plan.sizes_mb))
    if len(plan.sizes_mb) > _MOST_SIZES_NAMED:
        sizes = f"{len(plan.sizes_mb)} from {plan.sizes_mb[0]} to {plan.sizes_mb[-1]}"
    if is_full:
        parts = [f"{plan.openers} that open environments"] if plan.openers else []
        parts += [f"{plan.samples} warm"] if plan.samples else []
        usual = f"{' + '.join(parts)} at each size"
    else:
        usual = "some 20 of each payload, at the sizes where they tell most"
    money = text.money(plan.most_cost, plan.currency)
    limit = (
        ""
        if measuring.max_spend is None
        else (f", and stops before {text.money(measuring.max_spend, plan.currency)} (--max-spend)")
    )
    platform = f"{facts.runtime or 'custom runtime'}, {facts.architecture}, {target.region}"
    versions = f"{'' if is_full else 'up to '}{text.count(plan.versions, 'temporary version')}"
    most = "" if measuring.precision else f", {plan.most_runs:,} invocations at most"
    more = ", and what --precision adds" if measuring.precision else ""
    runs = f"{usual}{most}"
    told = [
        ("Sizes", f"{sizes} MB"),
        ("Runs", f"{runs}: real ones, with all that the function does to databases, queues and people"),
        ("Costs", f"{money} at most, if each run took its whole timeout{more}{limit}"),
    ]
    if set(plan.sizes_mb) == {target.memory_mb}:
        told.append(("Changes", f"nothing but {versions}, deleted at the end"))
    else:
        when = f"put back as soon as the last size {'' if is_full else 'of a batch '}is published"
        told.append(("Changes", f"the memory of $LATEST, {when}, and {versions}, deleted at the end"))
        told.append(("Callers", "of $LATEST meet those sizes meanwhile; those of an alias or a version do not"))
    if apply:
        where = f" and points the alias {text.printable(alias)} at it" if alias else ""
        told.append(("Then", f"sets the recommended memory{where}{', after a question' if asks else ''}"))
    told += [("Note", text.printable(warning.message, limit=400)) for warning in target.warnings]
    asked = f"{target.name}:{target.qualifier}" if target.qualifier else target.name
    memory = f"{target.current_memory_mb} MB"
    if target.current_memory_mb != target.memory_mb:
        memory += f" (and $LATEST {target.memory_mb} MB)"
    lines = [f"{asked}: {memory}, timeout {target.timeout_s} s, {platform}"]
    for name, words in told:
        indent = f"  {name:<9}"
        lines += textwrap.wrap(words, _PLAN_WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))
    return "\n".join(lines)
