"""What all formats of a comparison say alike: slower or faster, and whether it is more than noise, in words."""

from powertune import text
from powertune.model.run_comparison import At, Delta, FunctionComparison, Mean, SizeComparison

_AT_WORDS: dict[At, str] = {"current": "Current", "recommended": "Recommended"}


def duration_verdict(compared: SizeComparison) -> str:
    """Return `1.42 x slower ±3 %`, `not significant ±4 %`, or why nobody can tell."""
    return verdict(compared.duration_ms, ("slower", "faster"), compared.not_judged)


def cost_verdict(compared: SizeComparison) -> str:
    """Return the same of cost; empty where nothing is paid, and where the durations say why nobody can tell."""
    is_unlike = compared.cost_per_million is None and not compared.not_judged
    return verdict(compared.cost_per_million, ("dearer", "cheaper"), "other currency" if is_unlike else None)


def verdict(delta: Delta | None, words: tuple[str, str], not_judged: str | None) -> str:
    """Return what changed in words: `words` say more and less."""
    if delta is None or delta.ci95_pct is None:
        return f"not judged: {not_judged}" if not_judged else ""
    margin = f"±{(delta.ci95_pct[1] - delta.ci95_pct[0]) / 2:.2g} %"
    if not delta.is_significant:
        return f"not significant {margin}"
    more, less = words
    ratio = delta.after / delta.before if delta.after >= delta.before else delta.before / delta.after
    return f"{ratio:.2f} x {more if delta.after >= delta.before else less} {margin}"


def memory_of(compared: SizeComparison) -> str:
    """Return the memory size, or that of A and that of B."""
    if compared.before_mb == compared.after_mb:
        return f"{compared.after_mb} MB"
    return f"{compared.before_mb} -> {compared.after_mb} MB"


def durations_of(compared: SizeComparison) -> tuple[str, str]:
    """Return the durations in A and B."""
    delta = compared.duration_ms
    return (text.duration(delta.before), text.duration(delta.after)) if delta else ("", "")


def costs_of(compared: SizeComparison) -> tuple[str, str]:
    """Return what a million invocations cost in A and B."""
    delta, currency = compared.cost_per_million, compared.currency
    return (text.money(delta.before, currency), text.money(delta.after, currency)) if delta else ("", "")


def sentence_at(at: At, compared: SizeComparison) -> str:
    """Return what changes at the sizes that A and B have, or should have."""
    durations, costs = durations_of(compared), costs_of(compared)
    said = [f"{_AT_WORDS[at]} size, {memory_of(compared)}"]
    if compared.duration_ms:
        said.append(f"{' -> '.join(durations)} ({duration_verdict(compared)})")
    elif compared.not_judged:
        said.append(compared.not_judged)
    if compared.cost_per_million:
        cost = cost_verdict(compared)
        said.append(f"{' -> '.join(costs)} per million{f' ({cost})' if cost else ''}")
    return f"{said[0]}: {', '.join(said[1:])}"


def sentence_of_mean(at: At, mean: Mean) -> str:
    """Return the geometric mean over functions in a sentence."""
    time = verdict(mean.duration, ("slower", "faster"), None)
    cost = verdict(mean.cost, ("dearer", "cheaper"), None)
    return f"Geometric mean of {text.count(mean.functions, 'function')} at their {at} sizes: time {time}, cost {cost}"


def name_of(compared: FunctionComparison) -> str:
    """Return the function's name, safe to show."""
    return text.printable(compared.name, limit=200)


def about_runs(compared: FunctionComparison) -> list[str]:
    """Return what A and B are, safe to show."""
    lines = []
    for name, run in (("A", compared.before), ("B", compared.after)):
        said = [
            run.function.architecture or "",
            str(run.source.get("kind", "")),
            str(run.source.get("qualifier") or ""),
            run.created_at,
        ]
        lines.append(f"{name}: {', '.join(text.printable(words, limit=80) for words in said if words)}")
    return lines
