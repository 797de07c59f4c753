"""The runs themselves: threads that invoke versions as soon as these exist, and read what is missing from the logs."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue

from powertune.errors import AwsError, UsageError
from powertune.model.invocation import Invocation
from powertune.progress import Progress
from powertune.sources.aws.changes import Version
from powertune.sources.aws.clients import Aws
from powertune.sources.aws.invoker import Answer, Invoker, judged
from powertune.sources.aws.logs import LoggedReport, LogReader, environments
from powertune.sources.aws.size_job import SizeJob, Task
from powertune.sources.aws.spending import Spending
from powertune.sources.aws.target import Target, settled_configuration
from powertune.sources.events import Counter

_MOST_ENVIRONMENT_PAGES = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard and how long to try. All times shrink with `time_scale`, for servers that compress time."""

    parallel: int = 4
    """Runs side by side at one size, and so about the number of its execution environments."""
    max_concurrency: int = 24
    """Runs side by side over all sizes."""
    serial: bool = False
    """One size after another, for functions whose runs disturb each other through what they use."""
    cold_starts: int = 0
    """Cold starts to force at each size, beside the warm runs."""
    only_cold: bool = False
    """Whether all runs shall be cold starts."""
    pause_ms: float = 100.0
    """Least time between the starts of two runs of one thread: an environment serves 10 requests a second."""
    log_patience_s: float = 60.0
    """How long to wait for the log of a run whose answer held no REPORT."""
    lost_patience_s: float = 20.0
    """How long to look for traces of a run whose answer never came."""
    throttle_patience_s: float = 300.0
    poll_s: float = 0.25
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that make no sense."""
        for name, value, least in (
            ("--parallel", self.parallel, 1),
            ("--max-concurrency", self.max_concurrency, 1),
            ("--cold-starts", self.cold_starts, 0),
        ):
            if value < least:
                raise UsageError(f"{name} {value} is too few", hint=f"give {least} or more")


@dataclass(frozen=True, slots=True)
class Processors:
    """What is called around each invocation; its time and cost are not counted."""

    pre: Callable[[str], str | None] | None = None
    """Takes the payload, and may return another."""
    post: Callable[[bytes], None] | None = None
    """Takes the response."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A size needs no more runs."""

    job: SizeJob


class Measuring:
    """Threads that make the runs of all sizes, within one limit of concurrency. What comes of them goes into `sink`."""

    def __init__(
        self,
        aws: Aws,
        target: Target,
        *,
        pace: Pace,
        concurrency: int,
        spending: Spending,
        stopping: threading.Event,
        sink: Callable[[Invocation | Finished | BaseException], None],
        progress: Progress,
        processors: Processors,
        allowed_errors: Sequence[str] = (),
        include_payloads: bool = False,
    ) -> None:
        self._aws = aws
        self._target = target
        self._pace = pace
        self._spending = spending
        self._stopping = stopping
        self._sink = sink
        self._progress = progress
        self._processors = processors
        self._allowed_errors = allowed_errors
        self._include_payloads = include_payloads
        self._threads = _Threads(concurrency)
        self._turns = _Turns() if pace.serial else None
        self._invoker = Invoker(
            aws,
            target,
            connections=concurrency,
            allowed_errors=allowed_errors,
            patience_s=pace.throttle_patience_s,
            time_scale=pace.time_scale,
            is_stopped=stopping.is_set,
        )
        self._reader = LogReader(aws, target.log_group, is_json=target.logs_json, time_scale=pace.time_scale)
        self._counter = Counter()
        self._known_ids: set[str] = set()
        self._active: set[str] = set()
        self._activation = threading.Lock()
        self._began_at = time.time()
        self._reports_in_answers = 0
        self.from_logs = 0
        """Runs whose durations came from CloudWatch Logs."""
        self.lost = 0
        """Runs whose answer never came and that left no trace: nobody knows whether they ran."""
        self.unread = 0
        """Runs that ended, and of whose durations there is no record."""

    @property
    def throttles(self) -> int:
        """How often AWS asked to come back later."""
        return self._invoker.gate.throttles

    def start(self, job: SizeJob, version: Version, *, is_new: bool) -> None:
        """Have a version measured, at once or, where sizes take turns, when it is this one's turn."""

        def go() -> None:
            workers = job.begin_version(version.number, is_new=is_new)
            self._progress.state(job.memory_mb, "opening environments" if is_new else "measuring")
            for _ in range(workers):
                self._threads.submit(lambda: self._work(job, version))

        if self._turns is None:
            go()
        else:
            self._turns.queue(go)

    def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()

    def environments(self) -> dict[str, str]:
        """Return which execution environment each run had, by request id, as far as the logs tell by now."""
        with suppress(AwsError):  # without the permission to read logs, the environments just stay unknown
            reports = self._reader.reports(self._began_at, time.time(), most_pages=_MOST_ENVIRONMENT_PAGES)
            return {name: where for name, where in environments(reports).items() if name in self._known_ids}
        return {}

    def _work(self, job: SizeJob, version: Version) -> None:
        """Make runs of one version until the job needs no more of this thread."""
        try:
            self._await_active(version)
            while not self._stopping.is_set():
                began = time.monotonic()
                task = job.take(version.number)
                if task is None:
                    break
                self._run(job, version, task)
                left_s = self._pace.pause_ms / 1000 * self._pace.time_scale - (time.monotonic() - began)
                if left_s > 0:
                    self._stopping.wait(left_s)
            if job.leave():
                self._all_have_left(job, version)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._sink(error)

    def _await_active(self, version: Version) -> None:
        """Wait until a new version can be invoked: with SnapStart, a VPC or an image that takes seconds to minutes."""
        if version.is_active:
            return
        with self._activation:  # one thread asks, the others wait with it
            if version.number in self._active or self._stopping.is_set():
                return
            config = settled_configuration(
                self._aws, self._target.arn, qualifier=version.number, poll_s=4 * self._pace.poll_s
            )
            if config.get("State") == "Failed":
                raise AwsError(
                    f"version {version.number} ({version.memory_mb} MB) cannot be invoked: {config.get('StateReason')}",
                    hint="mend what it names, and run it again",
                )
            self._active.add(version.number)

    def _run(self, job: SizeJob, version: Version, task: Task) -> None:
        reserved = self._spending.reserve(job.memory_mb)
        if reserved is None:
            job.gave_up(task, "the spending limit was reached")
            return
        try:
            payload = self._counter.filled(task.event.payload)
            if self._processors.pre is not None:
                payload = self._processors.pre(payload) or payload
            answer = self._invoker.invoke(version.number, job.memory_mb, payload, task.event.name)
        except BaseException:  # it did not run: what may have run is an answer
            self._spending.release(reserved)
            raise
        if self._include_payloads:
            kept = replace(answer.invocation, extra={**answer.invocation.extra, "payload_text": payload})
            answer = replace(answer, invocation=kept)
        cost = self._spending.settle(reserved, answer.invocation, is_lost=answer.is_lost)
        job.took(task, answer)
        if answer.invocation.request_id:
            self._known_ids.add(answer.invocation.request_id)
        if answer.is_final:
            self._reports_in_answers += answer.invocation.billed_ms is not None
            self._emit(job, answer.invocation, cost)
        else:
            self._progress.ran(job.memory_mb, duration_ms=None, amount=cost, counts=False)
        if self._processors.post is not None and answer.response:
            self._processors.post(answer.response)

    def _emit(self, job: SizeJob, invocation: Invocation, cost: float) -> None:
        if invocation.billed_ms == 0:
            return  # never run: it becomes a row only where a size has nothing else
        is_warm = invocation.status == "ok" and not invocation.cold
        counts = is_warm or (not job.samples and invocation.status == "ok")
        duration_ms = invocation.duration_ms if counts else None
        self._progress.ran(job.memory_mb, duration_ms=duration_ms, amount=cost, counts=counts)
        if is_warm:
            self._progress.state(job.memory_mb, "measuring")
        self._sink(invocation)

    def _all_have_left(self, job: SizeJob, version: Version) -> None:
        """Read from the logs what is still open, and go on if runs are missing; else it is the next one's turn."""
        while job.has_unread and not self._stopping.is_set():
            self._progress.state(job.memory_mb, "reading logs")
            self._read_logs(job, job.take_unread())
        missing = 0 if self._stopping.is_set() else job.come_back()
        for _ in range(missing):
            self._threads.submit(lambda: self._work(job, version))
        if missing:
            return
        if self._turns is not None:
            self._turns.next()
        if job.finish():
            self._sink(Finished(job))

    def _read_logs(self, job: SizeJob, unread: Sequence[tuple[Task, Answer]]) -> None:
        answers = [answer for _, answer in unread]
        only_lost = all(answer.is_lost for answer in answers)
        found: dict[int, LoggedReport] = {}
        try:
            found = self._reader.find(
                answers,
                taken=self._known_ids,
                patience_s=self._pace.log_patience_s,
                lost_patience_s=self._pace.lost_patience_s,
                is_stopped=self._stopping.is_set,
            )
        except AwsError:
            if not only_lost:
                raise
        for place, (task, answer) in enumerate(unread):
            report = found.get(place)
            invocation = self._unlogged(answer) if report is None else self._logged(answer, report)
            was_lost = answer.is_lost and report is not None
            difference = self._spending.correct(answer.invocation, invocation, was_lost=was_lost)
            job.read(task, answer, invocation)
            self._emit(job, invocation, difference)
        if not found and not only_lost and not self._reports_in_answers and not self.from_logs:
            raise AwsError(
                f"neither the answers of {self._target.name} nor its log group {self._target.log_group} hold a REPORT"
                " record, which tells how long a run took",
                hint="see that its role may write logs; powertune doctor looks into it",
            )

    def _unlogged(self, answer: Answer) -> Invocation:
        self.lost += answer.is_lost
        self.unread += not answer.is_lost
        if answer.invocation.status == "ok":
            billed_ms = math.ceil(answer.invocation.duration_ms)
            return replace(
                answer.invocation, status="unavailable", billed_ms=billed_ms, error="its log has no REPORT record"
            )
        return answer.invocation

    def _logged(self, answer: Answer, report: LoggedReport) -> Invocation:
        self.from_logs += 1
        self._known_ids.add(report.record.request_id)
        invocation = judged(report.record, None, self._allowed_errors, answer.invocation.payload)
        if answer.function_error is not None and invocation.status in ("ok", "failed"):
            invocation = replace(invocation, status=answer.invocation.status, error=answer.invocation.error)
        return replace(invocation, environment=report.stream or None, extra=answer.invocation.extra)


class _Threads:
    """Up to `most` threads that do what is submitted, in order. They never keep the process from ending."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._is_closed = False
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()

    def submit(self, task: Callable[[], None]) -> None:
        self._work.put(task)
        with self._lock:
            if self._count < self._most and not self._is_closed:
                self._count += 1
                threading.Thread(target=self._loop, daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for _ in range(self._count):
                self._work.put(None)

    def _loop(self) -> None:
        while (task := self._work.get()) is not None:
            task()


class _Turns:
    """Lets one go at a time."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_busy = False
        self._lock = threading.Lock()

    def queue(self, go: Callable[[], None]) -> None:
        """Let `go` happen when it is its turn, now if nobody else's is."""
        with self._lock:
            if self._is_busy:
                self._waiting.append(go)
                return
            self._is_busy = True
        go()

    def next(self) -> None:
        """End this turn, and begin the next one's if there is one."""
        with self._lock:
            go = self._waiting.popleft() if self._waiting else None
            self._is_busy = go is not None
        if go is not None:
            go()
