"""Gate results made by hand, for tests of what is shown of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import powertune
from powertune.model.budgets import Waiver
from powertune.model.configured import Place
from powertune.model.invocation import Invocation
from powertune.model.judgement import Check, GateResult, Judgement
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import TuningRun

# Bell code in a title, colours, markup, HTML, links, mentions, references, workflow commands of three systems, XML's
# forbidden characters, quotes, and what ends a cell, a comment, a CDATA section or a fold too early.
HOSTILE = (
    "::error::pwned %0A::add-mask::x\n::set-output name=a::b ##[group]x ##vso[task.complete] \x1b]0;t\x07\x1b[31m\x00"
    "\x9b </details></table><script>alert(1)</script><img src=x onerror=y> [x](javascript:alert(1)) ![i](//e.example/p)"
    " @everyone #1 !2 &3 GH-4 ~5 `code` ```fence | cell | --> ]]> \N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}"
    "\ud800\ufffe\uffff =cmd() \"quoted\" 'single' www.e.example https://e.example/\n\n# head\n- item\n> quote"
)


def run(name: str, by_memory_ms: dict[int, float], current_mb: int, *, scatter: float = 0.01) -> TuningRun:
    """Return a run of 12 recorded invocations at each size."""
    records = [
        Invocation(memory_mb, mean_ms * (1 + scatter * ((call * 7) % 5 - 2)), max_memory_used_mb=90)
        for memory_mb, mean_ms in by_memory_ms.items()
        for call in range(12)
    ]
    found = powertune.estimate(records, current_memory_mb=current_mb, region="eu-west-1")
    return replace(
        found,
        function=replace(found.function, name=name),
        created_at="2026-11-23T12:00:00+00:00",
        tool_version="0.0.0",
    )


def passing() -> GateResult:
    """Return the result of one function that is well sized."""
    checks = (
        Check("over-provisioned", "pass", "error", "512 MB is the recommended size"),
        Check("max-p95", "pass", "error", "p95 of 412 ms is within 800 ms", measured=412.0, limit=800.0, unit="ms"),
    )
    found = run("Thumbnails", {256: 822.4, 512: 409.3, 1024: 400.6}, 512)
    return GateResult((Judgement("Thumbnails", "optimized", 512, 512, checks, Place("template.yaml", 31), found),))


def mixed() -> GateResult:
    """Return a result with all there is: failing, waived, noted, undecided and passing checks, and doubts."""
    waiver = Waiver("Reports", "max-usd-per-million", "moves to a queue, ticket 1204", date(2027, 1, 31))
    orders = Judgement(
        "Orders",
        "under-provisioned",
        256,
        1024,
        (
            Check("under-provisioned", "fail", "error", "256 → 1024 MB: 821 → 204 ms, $3.62 → $3.61 per million",
                  fails_gate=True, measured=-75.1, ci95=(-75.9, -74.3), limit=5.0, unit="%",
                  hint="write it into the template: powertune apply gate.json"),
            Check("max-p95", "fail", "error", "p95 of 839 ms is over 800 ms by 4.9 %", fails_gate=True, measured=839.0,
                  limit=800.0, unit="ms", hint="raise max_p95_ms, or give it more memory"),
            Check("regression-duration", "unknown", "error", "3.1 % slower than the baseline, in the noise (±4.0 %)",
                  measured=3.1, ci95=(-0.9, 7.1), limit=10.0, unit="%", hint="more runs would tell: --samples 40"),
            Check("max-memory", "pass", "error", "256 MB is within 2048 MB", measured=256, limit=2048, unit="MB"),
        ),
        Place("services/orders/template.yaml", 12, 7),
        run("Orders", {256: 822.4, 512: 409.3, 1024: 204.6}, 256),
    )  # fmt: skip
    reports = Judgement(
        "Reports",
        "over-provisioned",
        3008,
        1769,
        (
            Check("over-provisioned", "fail", "warning", "3008 → 1769 MB: 399 → 401 ms, $19.75 → $11.76 per million",
                  measured=-40.5, ci95=(-42.0, -40.4), unit="%",
                  hint="write it into the template: powertune apply gate.json"),
            Check("max-usd-per-million", "fail", "error", "$9.81 per million is over $5.00", measured=9.81, limit=5.0,
                  unit="USD per million", waiver=waiver),
        ),
        Place("services/reports/template.yaml", 40),
        run("Reports", {1024: 690.1, 1769: 402.0, 3008: 400.0}, 3008),
    )  # fmt: skip
    broken = Judgement(
        "Imports",
        "inconclusive",
        None,
        None,
        (
            Check("function-failed", "fail", "error", "KeyError: 'Records' at every size", fails_gate=True,
                  hint="see what it prints: powertune dry-run -v"),
        ),
    )  # fmt: skip
    return GateResult(
        (reports, orders, *passing().judgements, broken),
        (
            RunWarning(
                "unused-waiver", "the waiver of max-memory for Legacy waives nothing", "take it out of the settings"
            ),
        ),
        next_command="powertune apply gate.json",
    )


def hostile() -> GateResult:
    """Return a result in which everything that may come from outside tries to do harm."""
    waiver = Waiver(HOSTILE, HOSTILE, HOSTILE, date(2027, 1, 31))
    checks = (
        Check(HOSTILE, "fail", "error", HOSTILE, fails_gate=True, measured=1.0, unit=HOSTILE, hint=HOSTILE),
        Check("max-p95", "fail", "warning", HOSTILE, hint=HOSTILE, waiver=waiver),
        Check("fail-if", "unknown", "note", HOSTILE, hint=HOSTILE),
    )
    found = run(HOSTILE, {256: 822.4, 512: 409.3}, 256)
    placed = Judgement(HOSTILE, "under-provisioned", 256, 512, checks, Place(HOSTILE, 3), found)
    return GateResult(
        (placed, Judgement(HOSTILE, "inconclusive", None, None, checks)),
        (RunWarning(HOSTILE, HOSTILE, HOSTILE),),
        next_command=HOSTILE,
    )


def large(count: int) -> GateResult:
    """Return a result with so many functions, of which one in three fails."""
    return GateResult(
        tuple(
            Judgement(
                f"Function{number:05}",
                "under-provisioned" if number % 3 == 0 else "optimized",
                256,
                512 if number % 3 == 0 else 256,
                (
                    Check("under-provisioned", "fail" if number % 3 == 0 else "pass", "error",
                          f"512 MB is {number} ms faster", fails_gate=number % 3 == 0),
                ),
                Place(f"services/{number}/template.yaml", number + 1),
            )
            for number in range(count)
        )
    )  # fmt: skip


RESULTS: dict[str, Callable[[], GateResult]] = {"passing": passing, "mixed": mixed, "nothing": lambda: GateResult(())}
