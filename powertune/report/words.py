"""What the table and the markdown say alike: the rows in words, the headline, the small print."""

from decimal import Decimal
from typing import TypeGuard

from powertune import text
from powertune.aws_lambda.bill import figure
from powertune.model.recommendation import STRATEGIES, Change, Verdict
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
    return change_between(before, after, change)


def change_between(before: SizeProfile, after: SizeProfile, change: Change) -> str | None:
    """Return what changes from one size to another: `512 -> 1024 MB: 412 ms -> 208 ms (-50 %), $3.51 -> ...`."""
    if not (before.duration_ms and after.duration_ms and before.cost and after.cost):
        return None
    return (
        f"{before.memory_mb} -> {after.memory_mb} MB: "
        f"{text.duration(before.duration_ms.mean)} -> {text.duration(after.duration_ms.mean)}"
        f" ({text.percent(change.duration_pct)}{_unsure(change.duration_verdict)}), "
        f"{text.money(before.cost.per_million, before.cost.currency)}"
        f" -> {text.money(after.cost.per_million, after.cost.currency)}"
        f" per million ({text.percent(change.cost_pct)}{_unsure(change.cost_verdict)})"
    )


def _unsure(verdict: Verdict | None) -> str:
    """Return what to add to a difference that the runs do not bear out."""
    return ", inconclusive" if verdict and verdict.ci95_pct and verdict.kind == "inconclusive" else ""


def is_monthly(run: TuningRun) -> bool:
    """Tell whether the run says what a month costs."""
    return any(size.cost and size.cost.per_month is not None for size in run.sizes)


def per_month(size: SizeProfile) -> str:
    """Return what a month costs at a size, empty where that is not known."""
    if size.cost is None or size.cost.per_month is None:
        return ""
    return text.money(size.cost.per_month, size.cost.currency)


def saving(run: TuningRun) -> str | None:
    """Return what the recommended size changes in a month, with its interval where the runs give one, and in time."""
    recommendation, change = run.recommendation, run.recommendation.versus_current
    invocations = run.choice.get("invocations_per_month")
    if change is None or change.per_month is None or not invocations:
        return None
    if recommendation.memory_mb == run.function.current_memory_mb:
        return None
    currency = run.pricing.currency
    is_cheaper = change.per_month < 0
    amount = text.money(abs(change.per_month), currency)
    what = f"saves {amount} a month" if is_cheaper else f"costs {amount} a month more"
    what = what if change.per_month else "costs the same"
    if change.ci95_per_month:
        ends = sorted(-end if is_cheaper else end for end in change.ci95_per_month)
        what += f" (95 % interval: {' to '.join(text.money(end, currency) for end in ends)})"
    faster = text.percent(abs(change.duration_pct)).removeprefix("+")
    speed = "as fast" if faster == "0.00 %" else f"{faster} {'faster' if change.duration_pct < 0 else 'slower'}"
    return f"At {invocations:,.0f} invocations a month it {what} and is {speed}{_payback(run)}."


def _payback(run: TuningRun) -> str:
    """Return when the recommendation has earned what measuring cost, where it cost anything and the runs can tell."""
    change = run.recommendation.versus_current
    interval = change and change.ci95_per_month
    if not run.spent.amount or (interval and interval[0] <= 0 <= interval[1]):
        return ""
    amount, days = text.money(run.spent.amount, run.pricing.currency), run.payback_days
    if days is None:
        return f"; the {amount} that measuring cost is never earned back"
    if days < 1 / 24:
        return f"; the {amount} that measuring cost is earned back within the hour"
    return f"; the {amount} that measuring cost is earned back in {_days(days)}"


def _days(days: float) -> str:
    if days < 1:
        return text.count(max(1, round(days * 24)), "hour")
    return text.count(round(days), "day") if days < 365 else "over a year"  # noqa: PLR2004 - a year


def alternatives(run: TuningRun) -> list[str]:
    """Return what other sizes would change against the recommended one, and the timeout to give it."""
    recommendation = run.recommendation
    said = list(recommendation.alternatives)
    if recommendation.timeout_s is not None:
        said.append(
            f"A timeout of {recommendation.timeout_s} s is at least 30 % above the slowest run"
            f" at {recommendation.memory_mb} MB"
        )
    return said


def price_note(run: TuningRun) -> str:
    """Return what the costs rest on."""
    prices, said = run.pricing, run.choice
    lists = {"list": "list", "refreshed": "AWS Price List"}
    source = f"{lists.get(prices.basis, 'list')} of {prices.as_of}" if prices.as_of else "given"
    if prices.basis == "list" and not prices.as_of:
        source = "undated list"
    exact = figure(Decimal(f"{prices.per_gb_second:.8g}"))
    notes = [f"{text.symbol(prices.currency)}{exact} per GB-second ({source})"]
    if said.get("edge"):
        notes.append("Lambda@Edge")
    if discount := said.get("discount"):
        notes.append(f"a discount of {discount * 100:g} % in it")
    if requests := said.get("requests_per_invocation"):
        notes.append(f"{requests:g} requests an event")
    if said.get("free_tier"):
        notes.append("a month less the free tier")
    if (environments := said.get("provisioned_environments")) and (busy := said.get("utilization")):
        pays = said.get("break_even_utilization")
        when = f"cheaper than on demand from {pays * 100:.0f} % on" if pays else "always dearer than on demand"
        notes.append(f"capacity of {environments:g} provisioned environments in it, {busy * 100:g} % busy; {when}")
    return f"Prices: {', '.join(notes)}"


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
    ratio = run.source.get("speed_ratio")
    arm = f", with arm64 taken to be {ratio:g} times as fast as x86_64, as was said" if _is_number(ratio) else ""
    if run.source.get("calibrated") is False:
        return (
            f"Durations rest on this machine alone{arm}: compare them, do not quote them. --duration-at MB=MS and"
            " --anchor FILE scale to durations known from production; --calibrate compares this machine with Lambda."
        )
    if run.source.get("rests_on") == "calibrated-kernels":
        return (
            f"Durations rest on kernels known on Lambda{arm}{_host_told(run)}. A duration known from production"
            " (--duration-at MB=MS, --anchor FILE) says more."
        )
    return f"Durations are scaled by Lambda's CPU law from durations known from production{arm}."


def _host_told(run: TuningRun) -> str:
    """Return how the machine of a dry run compares with Lambda, as its file says."""
    host = run.source.get("host_speed")
    kernels = host.get("kernels") if isinstance(host, dict) else None
    if not isinstance(host, dict) or not isinstance(kernels, list):
        return ""
    found = [kernel for kernel in kernels if isinstance(kernel, dict) and _is_number(kernel.get("here_ms"))]
    ratios = [
        f"{_KERNEL_WORDS.get(str(kernel.get('name')), 'another')} {kernel['lambda_ms'] / kernel['here_ms']:.2f}"
        for kernel in found
        if _is_number(kernel.get("lambda_ms")) and kernel["here_ms"] > 0
    ]
    unknown = [
        _KERNEL_WORDS.get(str(kernel.get("name")), "another") for kernel in found if kernel.get("lambda_ms") is None
    ]
    told = f": one core there takes {', '.join(ratios)} times as long as here" if ratios else ""
    told += f" ({' and '.join(unknown)}: not known there)" if unknown else ""
    spread = host.get("spread")
    return f"{told}, so figures may be off by a factor of {spread:.2g}" if _is_number(spread) else told


_KERNEL_WORDS = {"digests": "for SHA-256", "sort": "for a large sort", "words": "interpreted code"}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_verified(run: TuningRun) -> bool:
    """Tell whether sizes were also run under their quota."""
    return any(size.throttled for size in run.sizes)


def under_quota(size: SizeProfile) -> str:
    """Return what calls really took under the quota of a size, and how far from the prediction: `1.35 s (-0.8 %)`."""
    found = size.throttled
    if not found:
        return ""
    if found.status != "ok" or found.p50_ms is None:
        return _STATUS_WORDS.get(found.status, found.status)
    taken = text.duration(found.p50_ms)
    expected = found.predicted_at_cpu_ms
    return f"{taken} ({(found.p50_ms / expected - 1) * 100:+.1f} %)" if expected else taken


def quota_notes(run: TuningRun, *, in_full: bool = False) -> list[str]:
    """Return what the figures of the sizes that were run under their quota mean, and why some have none.

    `in_full` names the figures, too, for where there is no room for a column of them.
    """
    found = {size.memory_mb: size.throttled for size in run.sizes if size.throttled}
    if not found:
        return []
    way = text.printable(next(iter(found.values())).way, limit=40)
    meaning = (
        f"Under quota: median of calls run here with Lambda's quota and memory limit ({way}), at this machine's speed;"
        " in brackets how far that is from what the CPU law says of them."
    )
    listed = [f"{size.memory_mb} MB {under_quota(size)}" for size in run.sizes if size.throttled]
    notes = [meaning, *([f"Under quota: {', '.join(listed)}."] if in_full else [])]
    for memory_mb, one in found.items():
        if one.status != "ok":
            reason = text.printable(one.reason or "no reason given", limit=200)
            notes.append(f"{memory_mb} MB under quota: {_STATUS_WORDS.get(one.status, one.status)}: {reason}")
    return notes
