"""A comparison of runs for a pull request or a wiki."""

from powertune.model.run_comparison import FunctionComparison, RunsComparison
from powertune.report import Style, differences
from powertune.report.markdown import escape

_HEAD = ("| Memory | A | B | Time of B | A per 1M | B per 1M | Cost of B |", "|---:|---:|---:|---|---:|---:|---|")


def render(comparison: RunsComparison, _style: Style) -> str:
    """Return GitHub-flavoured markdown; what is more than noise is bold."""
    lines = [f"**{differences.sentence_of_mean(at, mean)}**\n" for at, mean in comparison.means.items()]
    for compared in comparison.functions:
        lines += [*_function(compared), ""]
    for where, names in (("A", comparison.only_before), ("B", comparison.only_after)):
        if names:
            lines += [f"Only in {where}: {', '.join(map(escape, names))}", ""]
    if comparison.functions:
        lines.append("*± is half the 95 % interval of the change, for all comparisons at once*")
    else:
        lines.append("**A and B have no function in common**")
    return "\n".join(lines).rstrip() + "\n"


def _function(compared: FunctionComparison) -> list[str]:
    lines = [f"**{escape(differences.name_of(compared))}**", ""]
    lines += [f"- {escape(line)}" for line in differences.about_runs(compared)]
    if compared.sizes:
        lines += ["", *_HEAD]
    for size in compared.sizes:
        duration, cost = size.duration_ms, size.cost_per_million
        time_told, cost_told = differences.duration_verdict(size), differences.cost_verdict(size)
        cells = [
            differences.memory_of(size),
            *differences.durations_of(size),
            f"**{time_told}**" if duration and duration.is_significant else time_told,
            *differences.costs_of(size),
            f"**{cost_told}**" if cost and cost.is_significant else cost_told,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    said = [differences.sentence_at(at, size) for at, size in compared.at.items()]
    return [*lines, "", *(f"- {escape(line)}" for line in (*said, *compared.notes))]
