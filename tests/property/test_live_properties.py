"""What must hold for live tuning however runs end, and in whatever order threads come."""

import base64
import io
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from queue import SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from powertune.aws_lambda.pricing import find_prices, rates_for
from powertune.aws_lambda.report_record import ReportRecord, format_report
from powertune.model.invocation import Invocation
from powertune.progress import NoProgress
from powertune.sources.aws.changes import Version
from powertune.sources.aws.invoker import Answer
from powertune.sources.aws.logs import LoggedReport, match
from powertune.sources.aws.measuring import Finished, Measuring, Pace, Processors
from powertune.sources.aws.size_job import SizeJob, Task, most_runs
from powertune.sources.aws.spending import Spending, longest_ms, most_per_run
from powertune.sources.aws.target import Target
from powertune.sources.events import Event, OneEvent, WeightedEvents, proportions

if TYPE_CHECKING:
    from powertune.sources.aws.clients import Aws

RATES = rates_for(find_prices("us-east-1", "x86_64"))
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Let threads take turns far more often than they do by themselves."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


# Events.

weights = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8)


@given(weights, st.integers(0, 200))
def test_proportions_add_up_and_are_as_near_as_whole_numbers_can_be(shares: list[float], spare: int) -> None:
    total = len(shares) + spare
    counts = proportions(shares, total)
    exact = [share / sum(shares) * total for share in shares]
    assert sum(counts) == total
    assert min(counts) >= 1
    if min(exact) >= 1:
        assert all(abs(count - share) < 1 + 1e-9 for count, share in zip(counts, exact, strict=True))
    # Where some are raised to 1, others give; but nobody has more than its share, rounded up.
    assert all(count <= max(1, share + 1 + 1e-9) for count, share in zip(counts, exact, strict=True))


@given(weights, st.integers(0, 20), st.data())
def test_a_deck_deals_its_proportions_whatever_is_taken_back_in_between(
    shares: list[float], spare: int, data: st.DataObject
) -> None:
    events = [Event(f'"{number}"', str(number), share) for number, share in enumerate(shares)]
    samples = len(events) + spare
    hand = WeightedEvents(events, seed=data.draw(seeds)).hand(512, samples)
    kept: Counter[str] = Counter()
    # Never more out at once than a round holds, but as many again as are taken back.
    while kept.total() < samples:
        event = hand.deal()
        assert event is not None
        if data.draw(st.booleans()) and data.draw(st.booleans()):
            hand.take_back(event)
        else:
            kept[event.name] += 1
    assert [kept[event.name] for event in events] == proportions(shares, samples)


@given(weights, st.integers(0, 20), st.integers(0, 60))
def test_a_deck_that_gets_all_back_begins_anew(shares: list[float], spare: int, opened: int) -> None:
    events = [Event(f'"{number}"', str(number), share) for number, share in enumerate(shares)]
    samples = len(events) + spare
    hand = WeightedEvents(events, seed=0).hand(512, samples)
    for event in [hand.deal() for _ in range(opened)]:
        assert event is not None
        hand.take_back(event)
    found = Counter(event.name for event in (hand.deal() for _ in range(samples)) if event)
    assert [found[event.name] for event in events] == proportions(shares, samples)


# Logs.

ids = st.sampled_from("abcdef")
sizes = st.sampled_from([128, 512])
versions = st.sampled_from(["1", "2", "11"])
moments = st.floats(0, 30)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    sent_at = draw(moments)
    invocation = Invocation(draw(sizes), 1.0, request_id=draw(st.none() | ids))
    return Answer(
        invocation, draw(versions), sent_at, sent_at + draw(moments), is_final=False, is_lost=draw(st.booleans())
    )


@st.composite
def logged_reports(draw: st.DrawFn) -> LoggedReport:
    record = ReportRecord(draw(ids), 1, 1, draw(sizes), 60)
    return LoggedReport(record, draw(st.just("custom") | versions.map(lambda name: f"[{name}]x")), draw(moments))


@given(st.lists(answers(), max_size=6), st.lists(logged_reports(), max_size=8), st.sets(ids, max_size=3))
def test_no_record_is_given_twice_and_none_to_a_run_that_cannot_be_its(
    waiting: list[Answer], reports: list[LoggedReport], taken: set[str]
) -> None:
    found = match(waiting, reports, taken)
    given_ids = [(report.record.request_id, report.record.memory_mb) for report in found.values()]
    assert len(set(given_ids)) == len(given_ids)
    for place, report in found.items():
        answer = waiting[place]
        assert report in reports
        assert report.record.memory_mb == answer.invocation.memory_mb
        if report.record.request_id != answer.invocation.request_id:
            assert report.record.request_id not in taken
            assert report.stream in ("custom", f"[{answer.version}]x")
            assert report.at >= answer.sent_at - 5
            assert answer.is_lost or report.at <= answer.ended_at + 5
    # Whoever left empty-handed could have had nothing of what is left over.
    own = {(answer.invocation.request_id, answer.invocation.memory_mb) for answer in waiting}
    for report in reports:
        key = (report.record.request_id, report.record.memory_mb)
        if key in own:
            assert key in given_ids


# Money.


@settings(max_examples=30)
@given(
    seeds,
    st.lists(
        st.lists(st.tuples(st.sampled_from([128, 1024, 10_240]), st.floats(0, 1)), min_size=1, max_size=10),
        min_size=2,
        max_size=6,
    ),
    st.floats(0, 20),
)
def test_no_limit_is_exceeded_whatever_runs_cost_and_whoever_comes_first(
    seed: int, plans: list[list[tuple[int, float]]], runs: float
) -> None:
    """`plans` are the sizes and the parts of the timeout of each thread's runs, `runs` what the limit is enough for."""
    limit = runs * most_per_run(RATES, 1024, 3)
    spending = Spending(RATES, timeout_s=3, limit=limit)
    made: list[float] = []
    refused: list[int] = []

    def work(number: int, plan: list[tuple[int, float]]) -> None:
        order = Random(f"{seed} {number}")  # noqa: S311 - the same in every run
        for memory_mb, part in plan:
            reserved = spending.reserve(memory_mb)
            if reserved is None:
                refused.append(memory_mb)
                continue
            if order.random() < 0.5:
                threading.Event().wait(0.0001)
            billed_ms = max(1.0, round(part * longest_ms(3)))
            made.append(spending.settle(reserved, Invocation(memory_mb, billed_ms, billed_ms)))
            assert spending.spent <= limit * (1 + 1e-12)

    in_threads(work, plans)
    assert spending.spent == pytest.approx(sum(made))
    assert spending.spent <= limit * (1 + 1e-12)
    assert spending.under_way == 0
    assert spending.is_exhausted == bool(refused)
    assert len(made) + len(refused) == sum(map(len, plans))
    if refused:
        # The money would not have been enough for the largest that was refused, even with nothing under way.
        assert spending.spent + most_per_run(RATES, max(refused), 3) > limit * (1 - 1e-12)


def in_threads(work: Any, plans: list[Any]) -> None:
    """Run `work(number, plan)` for each plan in a thread of its own, and see that all end well."""
    problems: list[BaseException] = []

    def guarded(number: int, plan: Any) -> None:
        try:
            work(number, plan)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that pytest watches
            problems.append(error)

    threads = [threading.Thread(target=guarded, args=one, daemon=True) for one in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    if problems:
        raise problems[0]


# The runs of one size, over all orders in which threads may take their steps.

FINALS = [
    Invocation(512, 20.0, 20.0),
    Invocation(512, 20.0, 20.0),
    Invocation(512, 20.0, 120.0, 100.0, cold=True),
    Invocation(512, 20.0, 20.0, status="failed", error="ValueError"),
]
REFUSED = Invocation(512, 0.0, 0.0, status="throttled", error="never run")
LOST = Invocation(512, 900.0, 900.0, status="unavailable", error="no answer")


class Simulation:
    """Threads as generators, of which a random one takes the next step; they do what those of `Measuring` do."""

    def __init__(self, seed: int) -> None:
        self.order = order = Random(seed)  # noqa: S311 - likewise
        samples = order.choice([0, 1, 2, 5, 10])
        self.parallel = order.randint(1, 4)
        openers = order.randint(0 if samples else 1, 6)
        self.versions = order.randint(1, min(3, max(1, openers)))
        self.most = most_runs(samples, openers, self.parallel)
        self.samples, self.openers = samples, openers
        self.kinds = order.choices(["final", "unread", "lost", "refused", "limit"], [60, 15, 15, 1, 1], k=50)
        self.is_unlucky = order.random() < 0.3
        self.job = SizeJob(
            512,
            samples,
            parallel=self.parallel,
            openers=openers,
            versions=self.versions,
            hand=OneEvent("{}").hand(512, samples),
            repeat_lost=order.random() < 0.5,
        )
        self.pool: list[Iterator[None]] = [self.publisher()]
        self.waiting: list[Iterator[None]] = []
        self.concurrency = order.randint(1, 8)
        self.issued = self.warming = self.finished = self.unread = 0
        self.opened_on: Counter[str] = Counter()

    def run(self) -> None:
        steps = 0
        while self.pool:
            thread = self.order.choice(self.pool)
            if next(thread, "done") == "done":
                self.pool.remove(thread)
            while self.waiting and len(self.pool) < self.concurrency + 1:
                self.pool.append(self.waiting.pop(0))
            steps += 1
            assert steps < 10_000, "threads go on for ever"

    def publisher(self) -> Iterator[None]:
        for number in range(1, self.versions + 1):
            for _ in range(self.order.randint(0, 60)):
                yield
            if self.order.random() < 0.1:
                self.finished += self.job.cancel_versions("no money left")
                return
            for _ in range(self.job.begin_version(str(number), is_new=True)):
                self.waiting.append(self.worker(str(number)))
            yield
            assert self.job.needs_another_version() == (number < self.versions)

    def worker(self, version: str) -> Iterator[None]:
        while True:
            yield
            task = self.job.take(version)
            if task is None:
                break
            yield from self.made(task, version)
        yield
        if self.job.leave():
            yield from self.wrap_up(version)

    def made(self, task: Task, version: str) -> Iterator[None]:
        self.issued += 1
        assert self.issued <= self.most
        self.warming += not task.is_opener
        assert self.warming <= self.parallel
        assert not self.finished
        self.opened_on[version] += task.is_opener
        for _ in range(self.order.randint(1, 8)):
            yield
        self.warming -= not task.is_opener
        kind = self.order.choice(self.kinds) if self.is_unlucky else self.order.choice(["final", "unread", "lost"])
        if kind == "limit":
            self.issued -= 1
            self.job.gave_up(task, "the spending limit was reached")
        else:
            self.unread += kind in ("unread", "lost")
            self.job.took(task, self.answer(kind))

    def answer(self, kind: str) -> Answer:
        invocation = {"lost": LOST, "refused": REFUSED}.get(kind) or self.order.choice(FINALS)
        failed = kind == "unread" and invocation.status == "failed"
        return Answer(
            invocation,
            "1",
            0.0,
            1.0,
            is_final=kind in ("final", "refused"),
            is_lost=kind == "lost",
            function_error="ValueError" if failed else None,
        )

    def wrap_up(self, version: str) -> Iterator[None]:
        while self.job.has_unread:
            yield
            unread = self.job.take_unread()
            for task, answer in unread:
                yield
                found = self.order.choice([answer.invocation, *FINALS])
                self.job.read(task, answer, found)
                self.unread -= 1
        yield
        missing = self.job.come_back()
        yield
        for _ in range(missing):
            self.waiting.append(self.worker(version))
        yield
        if not missing:
            self.finished += self.job.finish()


@settings(max_examples=1500)
@given(seeds)
def test_a_size_ends_once_and_within_its_bounds_in_whatever_order_its_threads_come(seed: int) -> None:
    simulation = Simulation(seed)
    simulation.run()
    assert simulation.finished == 1
    assert simulation.unread == 0, "each run that the logs have to tell of was looked for"
    assert simulation.issued <= simulation.most
    share = -(-simulation.openers // simulation.versions)
    assert all(count <= share for count in simulation.opened_on.values())
    assert simulation.job.take("1") is None or simulation.job.stopped is None
    assert simulation.job.finish() is False


# All sizes together, in real threads.


class InMemoryLambda:
    """Versions whose runs end as a seed has it, some of them without an answer, a report, or at all."""

    def __init__(self, seed: int, concurrency: int) -> None:
        self._order = Random(seed)  # noqa: S311 - likewise
        self._lock = threading.Lock()
        self._concurrency = concurrency
        self._inside: Counter[str] = Counter()
        self._opened: Counter[str] = Counter()
        self.runs: Counter[int] = Counter()
        self.problems: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.is_unlucky = self._order.random() < 0.3

    def invoking(self, timeout_s: int, connections: int) -> "InMemoryLambda":
        assert timeout_s == 3
        assert connections == self._concurrency
        return self

    @property
    def logs(self) -> "InMemoryLambda":
        return self

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        with self._lock:
            return {"events": list(self.events)}

    def invoke(self, *, Qualifier: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - as in boto3
        memory_mb = int(Qualifier)
        with self._lock:
            self._inside[Qualifier] += 1
            if self._inside.total() > self._concurrency:
                self.problems.append("too many runs side by side")
            fate = self._order.choices(
                ["runs", "no report", "lost", "never ran", "throttled", "refused", "fails"],
                [70, 8, 5, 2, 5, 2 * self.is_unlucky, 5 + 40 * self.is_unlucky],
            )[0]
            is_cold = self._order.random() < 0.2 or self._inside[Qualifier] > self._opened[Qualifier]
            self._opened[Qualifier] = max(self._opened[Qualifier], self._inside[Qualifier])
            number = self.runs.total()
            duration_ms = 10 + self._order.random()
        try:
            if number % 3 == 0:
                threading.Event().wait(0.0002)
            return self._answer(fate, Qualifier, memory_mb, number, duration_ms, is_cold=is_cold)
        finally:
            with self._lock:
                self._inside[Qualifier] -= 1

    def _answer(
        self, fate: str, version: str, memory_mb: int, number: int, duration_ms: float, *, is_cold: bool
    ) -> dict[str, Any]:
        if fate in ("throttled", "refused"):
            code, status = {
                "throttled": ("TooManyRequestsException", 429),
                "refused": ("SnapStartTimeoutException", 408),
            }[fate]
            error: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(error, "Invoke")
        with self._lock:
            self.runs[memory_mb] += 1
        if fate == "never ran":
            raise ReadTimeoutError(endpoint_url="https://lambda")
        request_id = f"request-{version}-{number}-{threading.get_ident()}-{duration_ms}"
        record = ReportRecord(request_id, duration_ms, 200 if is_cold else 11, memory_mb, 60)
        line = format_report(replace(record, init_ms=100.0) if is_cold else record)
        with self._lock:
            self.events.append(
                {"logStreamName": f"2026/11/25/[{version}]a", "timestamp": 1_800_000_000_000, "message": line}
            )
        if fate == "lost":
            raise ReadTimeoutError(endpoint_url="https://lambda")
        answer: dict[str, Any] = {
            "ResponseMetadata": {"RequestId": request_id},
            "Payload": io.BytesIO(b'{"errorType": "ValueError"}' if fate == "fails" else b"{}"),
        }
        if fate == "fails":
            answer["FunctionError"] = "Unhandled"
        if fate != "no report":
            answer["LogResult"] = base64.b64encode(line.encode()).decode()
        return answer


TARGET = Target(
    name="orders",
    arn="arn:aws:lambda:eu-central-1:123456789012:function:orders",
    region="eu-central-1",
    qualifier=None,
    config={"MemorySize": 512, "Timeout": 3},
    current_memory_mb=512,
)


@settings(max_examples=40)
@given(seeds, st.builds(Pace, parallel=st.integers(1, 4), serial=st.booleans()), st.integers(1, 8), st.integers(1, 8))
def test_all_sizes_end_once_and_all_threads_leave_however_runs_end(
    seed: int, pace: Pace, concurrency: int, samples: int
) -> None:
    function = InMemoryLambda(seed, concurrency)
    sink: SimpleQueue[Invocation | Finished | BaseException] = SimpleQueue()
    stopping = threading.Event()
    spending = Spending(RATES, timeout_s=3)
    before = set(threading.enumerate())
    measuring = Measuring(
        cast("Aws", function),
        TARGET,
        pace=replace(pace, time_scale=0, log_patience_s=0, lost_patience_s=0),
        concurrency=concurrency,
        spending=spending,
        stopping=stopping,
        sink=sink.put,
        progress=NoProgress(),
        processors=Processors(),
    )
    parallel, openers = pace.parallel, min(pace.parallel, samples)
    jobs = [
        SizeJob(
            memory_mb,
            samples,
            parallel=parallel,
            openers=openers,
            versions=1,
            hand=OneEvent("{}").hand(memory_mb, samples),
            repeat_lost=seed % 2 == 0,
        )
        for memory_mb in (128, 512, 1024)
    ]
    for job in jobs:
        version = Version(str(job.memory_mb), job.memory_mb, is_ours=True, is_active=True)
        measuring.start(job, version, is_new=True)
    rows, finished = drained(sink, len(jobs))
    measuring.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    assert sink.empty(), "nothing comes after the end"
    assert finished == {128: 1, 512: 1, 1024: 1}
    assert not function.problems
    assert spending.under_way == 0
    for job in jobs:
        assert function.runs[job.memory_mb] <= most_runs(samples, openers, parallel)
        own = [row for row in rows if row.memory_mb == job.memory_mb]
        assert len(own) == function.runs[job.memory_mb], "each run is a row, and each row a run"
        warm = sum(row.status == "ok" and not row.cold for row in own)
        assert warm <= samples + openers + parallel
    known = [row.request_id for row in rows if row.request_id]
    assert len(set(known)) == len(known), "no record counts twice"


@pytest.mark.parametrize("runs", [1.5, 3.5])
def test_no_thread_waits_for_money_that_a_run_which_stopped_everything_had_set_aside(runs: float) -> None:
    function = InMemoryLambda(0, 4)
    problems: SimpleQueue[Any] = SimpleQueue()
    stopping = threading.Event()
    spending = Spending(RATES, timeout_s=3, limit=runs * most_per_run(RATES, 512, 3))

    def failing(payload: str) -> str | None:
        raise ValueError(payload)  # a pre-processor, say

    before = set(threading.enumerate())
    measuring = Measuring(
        cast("Aws", function),
        TARGET,
        pace=Pace(time_scale=0),
        concurrency=4,
        spending=spending,
        stopping=stopping,
        sink=problems.put,
        progress=NoProgress(),
        processors=Processors(pre=failing),
    )
    job = SizeJob(512, 10, parallel=4, openers=4, versions=1, hand=OneEvent("{}").hand(512, 10))
    measuring.start(job, Version("512", 512, is_ours=True, is_active=True), is_new=True)
    assert isinstance(problems.get(timeout=60), ValueError)
    stopping.set()
    measuring.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    assert (spending.under_way, spending.spent) == (0, 0)
    assert not function.runs


def drained(
    sink: "SimpleQueue[Invocation | Finished | BaseException]", jobs: int
) -> tuple[list[Invocation], Mapping[int, int]]:
    """Return what measuring yields, and how often each size ended."""
    rows: list[Invocation] = []
    finished: Counter[int] = Counter()
    while finished.total() < jobs:
        item = sink.get(timeout=60)
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, Finished):
            finished[item.job.memory_mb] += 1
        else:
            rows.append(item)
    return rows, finished
