"""What the table and the markdown say alike: the rows in words, the headline, the small print."""

from powertune import text
from powertune.model.recommendation import STRATEGIES
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun

_STATUS_WORDS = {
    "out-of-memory": "out of memory",
    "timed-out": "timed out",
    "failed": "failed",
    "throttled": "throttled",
    "unavailable": "unavailable",
}


def picks_of(run: TuningRun, size: SizeProfile) -> list[str]:
    """Return the strategies that picked a size."""
    return [strategy for strategy in STRATEGIES if run.recommendation.pick(strategy) == size.memory_mb]


def note_of(run: TuningRun, size: SizeProfile) -> str:
    """Return what there is to say of a size in a word or two: its status, or its picks and what marks it."""
    if size.status != "ok":
        return _STATUS_WORDS[size.status]
    marks = picks_of(run, size)
    if size.memory_mb == run.function.current_memory_mb:
        marks.append("current")
    if size.basis in ("interpolated", "extrapolated"):
        marks.append(size.basis)
    if size.reason and size.basis != "extrapolated":
        marks.append(text.printable(size.reason))
    return ", ".join(marks)


def failures(run: TuningRun) -> list[str]:
    """Return why sizes failed, one line for all that share a reason."""
    sizes_of: dict[str, list[str]] = {}
    for size in run.sizes:
        if size.status != "ok":
            why = f"{_STATUS_WORDS[size.status]}: {text.printable(size.reason or 'no reason given')}"
            sizes_of.setdefault(why, []).append(str(size.memory_mb))
    return [f"{_some(sizes)} MB {why}" for why, sizes in sizes_of.items()]


def _some(sizes: list[str]) -> str:
    listed = sizes if len(sizes) <= 6 else [*sizes[:3], "...", sizes[-1]]  # noqa: PLR2004 - what fits on a line
    return ", ".join(listed)


def title(run: TuningRun) -> str:
    """Return the function and the circumstances its costs hold for."""
    name = text.printable(run.function.name, limit=60) if run.function.name else "recorded durations"
    return f"{name}, {run.function.architecture}, {text.printable(run.pricing.region, limit=30)}"


def headline(run: TuningRun) -> str:
    """Return the recommendation in one line."""
    recommendation = run.recommendation
    if recommendation.memory_mb is None:
        return f"No recommendation for {recommendation.strategy}"
    return (
        f"Recommended for {recommendation.strategy}: {recommendation.memory_mb} MB"
        f" (confidence: {recommendation.confidence})"
    )


def comparison(run: TuningRun) -> str | None:
    """Return the recommended size against the current one: `512 -> 1024 MB: 412 ms -> 208 ms (-50 %), ...`."""
    recommendation, current_mb = run.recommendation, run.function.current_memory_mb
    change = recommendation.versus_current
    if change is None or current_mb is None or recommendation.memory_mb is None:
        return None
    if current_mb == recommendation.memory_mb:
        return f"The current size, {current_mb} MB, is the recommended one."
    before, after = run.size(current_mb), run.size(recommendation.memory_mb)
    if not (before.duration_ms and after.duration_ms and before.cost and after.cost):
        return None
    currency = run.pricing.currency
    return (
        f"{current_mb} -> {recommendation.memory_mb} MB: "
        f"{text.duration(before.duration_ms.mean)} -> {text.duration(after.duration_ms.mean)}"
        f" ({text.percent(change.duration_pct)}), "
        f"{text.money(before.cost.per_million, currency)} -> {text.money(after.cost.per_million, currency)}"
        f" per million ({text.percent(change.cost_pct)})"
    )


def price_note(run: TuningRun) -> str:
    """Return what the costs rest on."""
    prices = run.pricing
    source = f"list of {prices.as_of}" if prices.as_of else "undated list" if prices.basis == "list" else "given"
    exact = f"{prices.per_gb_second:.12f}".rstrip("0").rstrip(".")
    return f"Prices: {text.symbol(prices.currency)}{exact} per GB-second ({source})"


def call_note(run: TuningRun) -> str | None:
    """Return what one call of a dry run took on the machine that ran it."""
    cpu_ms, wait_ms, memory_mb = (run.source.get(key) for key in ("cpu_ms", "wait_ms", "memory_needed_mb"))
    if not all(isinstance(value, int | float) for value in (cpu_ms, wait_ms, memory_mb)):
        return None
    waiting = text.duration(float(str(wait_ms))) if float(str(wait_ms)) >= 0.1 else "no"  # noqa: PLR2004 - the clocks' noise
    return (
        f"One call here: {text.duration(float(str(cpu_ms)))} CPU, {waiting} waiting,"
        f" about {float(str(memory_mb)):.0f} MB on Lambda."
    )


def basis_note(run: TuningRun) -> str | None:
    """Return what durations rest on where they were not measured on Lambda."""
    if not any(size.basis == "scaled" and size.status == "ok" for size in run.sizes):
        return None
    if run.source.get("calibrated") is False:
        return (
            "Durations are scaled from this machine's CPU: compare them, do not quote them."
            " --duration-at MB=MS anchors them to a duration known from production."
        )
    return "Durations are scaled by Lambda's CPU law from durations known from production."
