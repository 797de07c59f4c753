"""What people see, fixed in files: made anew with `pytest --update-golden`, and then looked at."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from types import TracebackType

import pytest
from golden_files import STYLES, check, steady

import powertune
from powertune.aws_lambda.host_speed import HostSpeed, KernelSpeed
from powertune.aws_lambda.scale import Scale
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import Throttled
from powertune.model.source import SourceFacts
from powertune.report import Style, render

# The worked example of the AWS Lambda operator guide: a search for prime numbers, mean duration in ms by memory in MB.
PRIMES_MS = {128: 11722.965, 256: 6678.945, 512: 3194.954, 1024: 1465.984}

HOST = HostSpeed(
    "AMD EPYC 7R13",
    "3.13.1",
    "x86_64",
    "2026-11-26",
    [KernelSpeed("digests", 497.3, 372.9), KernelSpeed("sort", 9858.7, 14788.0), KernelSpeed("words", 31.5, None)],
)


class Written:
    """A source whose runs are written down, so that there is nothing to prepare."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class ScaledSource(Written):
    """A dry run whose calls are written down: 90 ms of CPU, 20 ms of waiting, no room at 128 MB."""

    sizes = (128, 256, 512, 1024, 1769, 3008)
    facts = SourceFacts(
        kind="local",
        basis="scaled",
        calibrated=False,
        billed=False,
        default_samples=5,
        function=FunctionFacts(name="shop.orders:handler", runtime="python3.13"),
    )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        for size, count in plan.items():
            if size == 128:
                yield Invocation(size, 0.0, status="out-of-memory", error="needs about 190 MB", max_memory_used_mb=190)
                continue
            scaled_ms = [90 * max(1.0, 1769 / size) * (1 + 0.01 * call) + 20 for call in range(count)]
            yield from (Invocation(size, duration_ms, max_memory_used_mb=190) for duration_ms in scaled_ms)
            yield Invocation(size, scaled_ms[0] * 1.2, init_ms=212.5, cold=True, max_memory_used_mb=190)


class LiveSource(Written):
    """A function on AWS that waits 20 ms and computes for 90, invoked with a mix of two payloads on unlike hosts.

    It does not fit into 128 MB, its partner failed once at 512 MB, and the account stops at 3,008 MB.
    """

    sizes = (128, 256, 512, 1024, 1769, 4096)
    facts = SourceFacts(
        kind="aws",
        default_samples=8,
        function=FunctionFacts("orders", "python3.13", "arm64", "eu-central-1", 1024),
        details={"run_id": "0123456789ab", "qualifier": "live", "durations_from_logs": 0, "throttled": 3},
        warnings=(RunWarning("throttled", "AWS throttled 3 invocations, which were sent again later", "try --serial"),),
        unavailable={4096: "this account offers at most 3,008 MB"},
        payload_weights={"usual": 0.75, "large": 0.25},
    )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        for size, count in plan.items():
            if size == 128:
                yield Invocation(
                    size, 812.5, 1063, 250.5, 128, cold=True, request_id="128-0", payload="usual",
                    status="out-of-memory", error="Runtime.OutOfMemory", environment="128/a",
                )  # fmt: skip
            if size in (128, 4096):
                continue
            for call in range(count + 2):
                environment = call % 2
                payload = "large" if call % 4 == 3 else "usual"
                work_ms = 90 * max(1.0, 1769 / size) * (2 if payload == "large" else 1) * (1 + 0.1 * environment)
                duration_ms = round(work_ms * (1 + 0.002 * call) + 20, 2)
                init_ms = 212.5 if call < 2 else None
                yield Invocation(
                    size, duration_ms, math.ceil(duration_ms + (init_ms or 0)), init_ms, 96, cold=call < 2,
                    request_id=f"{size}-{call}", payload=payload, environment=f"{size}/{'ab'[environment]}",
                )  # fmt: skip
            if size == 512:
                yield Invocation(
                    size, 61.2, 62, None, 96, request_id="512-x", payload="usual", status="failed",
                    error="PartnerError: no answer", environment="512/a",
                )  # fmt: skip


class NoisySource(Written):
    """A function on AWS that computes 400 ms, of which the runs scatter by 8 %, one in 40 is stuck, and caches warm."""

    sizes = (512, 1024, 1769, 2048)
    facts = SourceFacts(
        kind="aws",
        default_samples=12,
        function=FunctionFacts("thumbnails", "nodejs22.x", "x86_64", "us-east-1", 512, timeout_s=1),
    )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        chance = Random(5)  # noqa: S311 - noise, and the same each time
        for size, count in plan.items():
            for call in range(count):
                noise = chance.lognormvariate(0, 0.08) * (1.1 if call < count // 2 else 1.0)
                stuck_ms = 900 if (size, call) == (1024, 7) else 0
                duration_ms = round(400 * max(1.0, 1769 / size) * noise + stuck_ms, 2)
                yield Invocation(size, duration_ms, math.ceil(duration_ms), None, 120, request_id=f"{size}-{call}")


def noisy() -> powertune.TuningRun:
    return powertune.tune(
        NoisySource(), search="full", strategy="cost", max_duration_ms=1700, invocations_per_month=500_000
    )


def recorded() -> powertune.TuningRun:
    records = [Invocation(size, duration_ms) for size, duration_ms in PRIMES_MS.items()]
    return powertune.estimate(
        records, strategy="cost", price_gb_second="0.00001667", sizes=[*PRIMES_MS, 768], current_memory_mb=512
    )


def dry_run() -> powertune.TuningRun:
    return powertune.tune(ScaledSource(), current_memory_mb=512)


class VerifiedSource(ScaledSource):
    """The same, held against kernels known on Lambda, and run under the quota of three sizes."""

    facts = replace(
        ScaledSource.facts,
        calibrated=True,
        details=Scale(host=HOST, speed_ratio=1.2).details(),
        common_error={256: 0.4, 512: 0.4, 1024: 0.3, 1769: 0.3, 3008: 0.3},
        throttled={
            128: Throttled("cgroup v2", status="out-of-memory", reason="took more memory than 128 MB leave it"),
            512: Throttled("cgroup v2", 5, "ok", None, 318.4, 321.0, 1.02, 326.5, 74, 141.5),
            1024: Throttled("cgroup v2", 5, "ok", None, 171.0, 165.5, 1.0, 165.5, 31, 141.5),
        },
    )


def verified() -> powertune.TuningRun:
    return powertune.tune(VerifiedSource(), architecture="arm64")


def nothing_qualifies() -> powertune.TuningRun:
    return powertune.tune(ScaledSource(), max_duration_ms=100)


def in_china() -> powertune.TuningRun:
    return powertune.tune(ScaledSource(), region="cn-north-1", strategy="speed")


def live() -> powertune.TuningRun:
    return powertune.tune(LiveSource(), search="full")


def monthly() -> powertune.TuningRun:
    records = [
        Invocation(size, duration_ms * (1 + 0.004 * ((call * 7) % 5 - 2)), max_memory_used_mb=90)
        for size, duration_ms in {256: 822.4, 512: 409.3, 1024: 203.6, 2048: 117.9}.items()
        for call in range(20)
    ]
    return powertune.estimate(
        records, current_memory_mb=256, invocations_per_month=40_000_000, discount=0.12, strategy="cost"
    )


RUNS = {
    "recorded": recorded,
    "dry-run": dry_run,
    "nothing-qualifies": nothing_qualifies,
    "china": in_china,
    "live": live,
    "monthly": monthly,
    "noisy": noisy,
    "verified": verified,
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("run", RUNS)
def test_the_table_looks_as_it_did(run: str, style: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    table = render(RUNS[run](), "table", STYLES[style])
    check(f"{run}-{style}.txt", table, update=update_golden)


@pytest.mark.parametrize(
    ("format_name", "suffix"),
    [
        ("json", "json"),
        ("csv", "csv"),
        ("markdown", "md"),
        ("alpt", "alpt.json"),
        ("alpt-url", "alpt-url.txt"),
    ],
)
@pytest.mark.parametrize("run", RUNS)
def test_a_format_reads_as_it_did(run: str, format_name: str, suffix: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    check(f"{run}.{suffix}", steady(render(RUNS[run](), format_name)), update=update_golden)


@pytest.mark.parametrize("run", ["noisy", "nothing-qualifies"])
def test_a_page_reads_as_it_did(run: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    check(f"{run}.html", steady(render(RUNS[run](), "html")), update=update_golden)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("width", [40, 56, 72, 80, 100, 120, 200])
def test_no_line_of_the_table_is_wider_than_the_screen(run: str, width: int) -> None:
    assert max(map(len, render(RUNS[run](), "table", Style(width)).splitlines())) <= width


@pytest.mark.parametrize("run", RUNS)
def test_without_colour_there_is_no_escape_sequence_and_in_ascii_nothing_else(run: str) -> None:
    assert "\x1b" not in render(RUNS[run](), "table", Style(80))
    assert render(RUNS[run](), "table", Style(80, ascii_only=True)).isascii()
