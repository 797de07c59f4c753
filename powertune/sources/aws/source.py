"""A function on AWS as a source: each memory size a version of its own, measured while the next one is prepared."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from powertune import text
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S, checked_size
from powertune.aws_lambda.pricing import Rates
from powertune.errors import AwsError, InterruptedRunError, PowertuneError, UsageError
from powertune.model.invocation import Invocation
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.aws.changes import Changes, DeployedMeanwhileError, fingerprint, marked_versions
from powertune.sources.aws.findings import Findings
from powertune.sources.aws.journal import Journal, journals, new_run_id
from powertune.sources.aws.measuring import Finished, Measuring, Pace, Processors
from powertune.sources.aws.preparing import Prepared, Preparing
from powertune.sources.aws.size_job import SizeJob, most_runs
from powertune.sources.aws.spending import Spending, most_per_run
from powertune.sources.aws.target import Target, connect, inspect
from powertune.sources.events import Events, OneEvent
from powertune.sources.payloads import json_text

DEFAULT_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do, before it does anything."""

    target: Target
    sizes_mb: tuple[int, ...]
    samples: int
    openers: int
    """Runs per size that open environments side by side, and are expected to be cold."""
    most_runs: int
    """Invocations in all, at most."""
    most_cost: float
    """If each of them takes the function's whole timeout."""
    currency: str
    versions: int
    """Temporary versions of the function."""


class _Interrupted:
    """Somebody wants the run to stop."""


class AwsSource:
    """Re-invokes a function on AWS: publishes a version per memory size, measures them, and puts everything back.

    `function` is a name, a part of an ARN or all of it, with or without a version or alias; `sizes` are in MB;
    `payload` is any JSON value ({} if None), in whose place `events` may give each run its own. `max_spend` is in the
    currency of the prices. Nothing is changed before `measure` is called; on exit `$LATEST` has its memory again and
    the versions are gone. Raises PowertuneError.
    """

    def __init__(
        self,
        function: str,
        *,
        sizes: Sequence[int] | None = None,
        payload: object = None,
        events: Events | None = None,
        region: str | None = None,
        profile: str | None = None,
        qualifier: str | None = None,
        tune_latest: bool = False,
        tenant_id: str | None = None,
        pace: Pace | None = None,
        max_spend: float | None = None,
        allowed_errors: Sequence[str] = (),
        repeat_lost: bool = False,
        include_payloads: bool = False,
        processors: Processors | None = None,
        progress: Progress | None = None,
        state_folder: Path | None = None,
    ) -> None:
        self.aws, self._named = connect(function, region=region, profile=profile)
        self._asked_sizes = tuple(sorted({checked_size(size) for size in sizes or DEFAULT_SIZES_MB}))
        self._events: Events = events or OneEvent(json_text(payload))
        self._qualifier = qualifier
        self._tune_latest = tune_latest
        self._tenant_id = tenant_id
        self._pace = pace or Pace()
        self._max_spend = max_spend
        self._allowed_errors = tuple(allowed_errors)
        self._repeat_lost = repeat_lost
        self._include_payloads = include_payloads
        self._processors = processors or Processors()
        self.progress: Progress = progress or NoProgress()
        self._state_folder = state_folder
        self._profile = profile
        self.rates: Rates | None = None
        """What runs cost; set by the tuning loop before it measures."""
        self.keep_recording = False
        """Whether the record of runs outlives a good end, for a caller that deletes it once the result is safe."""
        self.verbose = False
        """Whether progress tells of each run."""
        self._run_id = new_run_id()
        self._target: Target | None = None
        self._session: _Session | None = None
        self._queue: SimpleQueue[Invocation | Finished | BaseException | Prepared | _Interrupted] = SimpleQueue()
        self._stopping = threading.Event()
        self._findings = Findings()

    # Before anything is changed

    def inspect(self) -> Target:
        """Read the function and refuse what cannot be tuned; changes nothing. Raises PowertuneError."""
        if self._target is None:
            target = inspect(
                self.aws,
                self._named,
                qualifier=self._qualifier,
                tune_latest=self._tune_latest,
                tenant_id=self._tenant_id,
            )
            self._refuse_leftovers(target)
            self._target = target
        return self._target

    def _refuse_leftovers(self, target: Target) -> None:
        """Raise AwsError where another run has not put the function back: what it has now may not be its own."""
        for journal in journals(self._state_folder):
            if journal.entry.function_arn == target.arn:
                if journal.is_running:
                    raise AwsError(f"another powertune is tuning {target.name}", hint="wait until it is done")
                raise AwsError(
                    f"a run of {journal.entry.created_at} that was interrupted may have left {target.name} changed",
                    hint=f"put it back first: powertune restore {target.name}",
                )
        marked = marked_versions(self.aws, target.arn)
        if marked:
            raise AwsError(
                f"{target.name} has {text.count(len(marked), 'version')} of a powertune run that is under way elsewhere"
                " or was killed",
                hint=f"let it end; if it is dead, put the function back: powertune restore {target.name}",
            )

    def plan(self, rates: Rates, samples: int | None = None, *, at_most: int | None = None) -> Plan:
        """Return what `measure` is going to do. Raises PowertuneError.

        `samples` is the number of warm runs at each size, or with `at_most` of one batch at a size, where a search
        decides on sizes and asks for no more than `at_most` runs in such batches.
        """
        target = self.inspect()
        asked = DEFAULT_SAMPLES if samples is None else samples
        openers, count = self._openers_and_samples(asked)
        per_size = most_runs(count, openers, self._pace.parallel)
        most = per_size * len(self.sizes) + (at_most or 0)
        self._events.check(most, asked)
        least = min(most_per_run(rates, size, target.timeout_s) for size in self.sizes)
        if self._max_spend is not None and self._max_spend < least:
            currency = rates.prices.currency
            raise UsageError(
                f"--max-spend {text.money(self._max_spend, currency)} does not cover one run, which can cost"
                f" {text.money(least, currency)}",
                hint=f"allow more, or lower the function's timeout of {target.timeout_s} s",
            )
        return Plan(
            target=target,
            sizes_mb=tuple(self.sizes),
            samples=count,
            openers=openers,
            most_runs=most,
            most_cost=self._most_cost(rates, per_size, most),
            currency=rates.prices.currency,
            versions=len(self.sizes) * self._versions_per_size(asked, self._concurrency(target)),
        )

    def _most_cost(self, rates: Rates, per_size: int, most: int) -> float:
        """Return what `most` runs can cost: so many at each size, and the rest at the dearest."""
        dearest_first = sorted(
            (most_per_run(rates, size, self.inspect().timeout_s) for size in self.sizes), reverse=True
        )
        return per_size * sum(dearest_first) + (most - per_size * len(dearest_first)) * dearest_first[0]

    def _openers_and_samples(self, asked: int) -> tuple[int, int]:
        """Return how many runs open environments of a new version, and how many warm ones follow."""
        if self._pace.only_cold:
            return asked, 0
        return max(self._pace.cold_starts, min(self._pace.parallel, asked)), asked

    @property
    def round_runs(self) -> int:
        """Runs in which every payload of a weighted mix has its turn."""
        return max(1, len(self._events.weights))

    # The source

    @property
    def sizes(self) -> Sequence[int]:
        """The sizes that were asked for, and the function's own."""
        current = [self._target.current_memory_mb] if self._target else []
        return sorted({*self._asked_sizes, *current})

    @property
    def facts(self) -> SourceFacts:
        """What is known of the function and of how it was measured."""
        target, session = self.inspect(), self._session
        measuring = session and session.measuring
        found = self._findings.warnings(session.measuring, session.spending, session.currency) if session else ()
        return SourceFacts(
            kind="aws",
            default_samples=DEFAULT_SAMPLES,
            function=target.facts,
            details={
                "run_id": self._run_id,
                **target.details,
                "durations_from_logs": measuring.from_logs if measuring else 0,
                "throttled": measuring.throttles if measuring else 0,
            },
            warnings=(*target.warnings, *found),
            unavailable=dict(self._findings.unavailable),
            payload_weights=self._events.weights,
            environments=session.measuring.environments() if session else {},
            stopped="the spending limit was reached" if session and session.spending.is_exhausted else "",
        )

    def __enter__(self) -> Self:
        """Read the function; nothing is changed yet."""
        self.inspect()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put the function back, whatever happened, and see that it is. Raises AwsError where that fails."""
        self._stopping.set()
        try:
            if self._session is not None:
                self._session.preparing.join()
                self._session.measuring.close()
                self._put_back(self._session, exc)
        except PowertuneError:
            if self._session is not None:
                self._tell_of_unfinished(self._session)
            raise
        finally:
            if self._session is not None:
                self._session.journal.release()
            self.progress.end()
        if self._session is None:
            return
        if exc is None and not self.keep_recording:
            self._session.journal.forget_recording()
        elif exc is not None:
            self._tell_of_unfinished(self._session)

    def _tell_of_unfinished(self, session: "_Session") -> None:
        """Say what a run that stopped early has cost, and where its measurements are."""
        under_way = session.spending.under_way
        more = f"; {text.count(under_way, 'invocation')} still under way will be billed, too" if under_way else ""
        self.progress.note(f"Spent so far: {text.money(session.spending.spent, session.currency)}{more}")
        if session.journal.has_recording:
            path = text.printable(session.journal.recording_path)
            self.progress.note(f"What was measured is kept: powertune estimate {path}")

    def _put_back(self, session: "_Session", exc: BaseException | None) -> None:
        """Restore and clean up, tell what was done, and drop the journal. Raises AwsError where something is left."""
        changes, name = session.changes, self.inspect().name
        problems: list[PowertuneError] = []
        deleted: list[str] = []
        try:
            with _collected(problems):
                changes.put_back()
        finally:  # after a bug, too
            with _collected(problems):
                deleted = changes.delete_versions()
        if not problems:
            session.journal.forget()
            self.progress.note(
                f"{name}: $LATEST has its {changes.memory_mb} MB again,"
                f" {text.count(len(deleted), 'temporary version')} deleted"
            )
            return
        problem = problems[0]
        if isinstance(problem, DeployedMeanwhileError) and len(problems) == 1:
            if not problem.memory_is_ours:  # whoever deployed has chosen the memory, too: nothing is left to do
                session.journal.forget()
            if isinstance(exc, DeployedMeanwhileError):
                return  # it says the same
            raise problem from exc
        commands = "; ".join(changes.by_hand())
        raise AwsError(
            f"{name} could not be put back: {problem.message}",
            hint=f"powertune restore {name} tries again (its journal is {session.journal.path}); by hand: {commands}",
        ) from (exc or problem)

    def forget_recording(self) -> None:
        """Delete the record of runs: the result is safe elsewhere."""
        if self._session is not None:
            self._session.journal.forget_recording()

    def interrupt(self) -> None:
        """Stop measuring as soon as may be, from any thread or signal handler: `measure` then raises."""
        self._queue.put(_Interrupted())

    def by_hand(self) -> Sequence[str]:
        """Return the commands that put the function back without powertune; none where nothing has been changed."""
        return self._session.changes.by_hand() if self._session else ()

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Run the function at each size and yield every run as it ends, cold and failed ones, too.

        A count is the number of warm runs wanted; none is made once the spending limit was reached. Raises
        PowertuneError for what all sizes share, and InterruptedRunError.
        """
        session = self._session = self._session or self._begin()
        if session.spending.is_exhausted:
            return
        versions = session.preparing.versions
        jobs = [self._job(session, size, count) for size, count in sorted(plan.items())]
        self.progress.sizes({job.memory_mb: job.samples or job.openers for job in jobs}, session.currency)
        new = [job for job in jobs if job.memory_mb not in versions]
        for job in jobs:
            if job not in new:
                session.measuring.start(job, versions[job.memory_mb], is_new=False)
        if new:
            session.preparing.start(new)
        waiting_for = len(jobs) + bool(new)
        while waiting_for:
            item = self._queue.get()
            if isinstance(item, Invocation):
                session.journal.record(item)
                if self.verbose:
                    self.progress.note(_in_words(item))
                yield item
            elif isinstance(item, Finished):
                waiting_for -= 1
                if item.job.never_run is not None:
                    yield item.job.never_run
                self._findings.take(item.job)
                words = text.printable(item.job.stopped or "done", limit=30)
                self.progress.state(item.job.memory_mb, words, final=True)
            elif isinstance(item, Prepared):
                waiting_for -= 1
            elif isinstance(item, _Interrupted):
                raise InterruptedRunError("interrupted", hint="run it again to measure anew")
            else:
                raise item

    def _begin(self) -> "_Session":
        """Write the journal, and get everything ready that needs no call to AWS."""
        target = self.inspect()
        if self.rates is None:
            raise AssertionError("the tuning loop sets the rates")
        concurrency = self._concurrency(target)
        spending = Spending(self.rates, timeout_s=min(target.timeout_s, MAX_TIMEOUT_S), limit=self._max_spend)
        changes = Changes.of(
            target,
            self.aws,
            run_id=self._run_id,
            sizes_mb=self.sizes,
            poll_s=self._pace.poll_s,
            tell=self.progress.note,
        )
        measuring = Measuring(
            self.aws,
            target,
            pace=self._pace,
            concurrency=concurrency,
            spending=spending,
            stopping=self._stopping,
            sink=self._queue.put,
            progress=self.progress,
            processors=self._processors,
            allowed_errors=self._allowed_errors,
            include_payloads=self._include_payloads,
        )
        journal = Journal.begin(
            run_id=self._run_id,
            function_arn=target.arn,
            region=target.region,
            memory_mb=target.memory_mb,
            sizes_mb=tuple(self.sizes),
            deployed=fingerprint(target.config),
            profile=self._profile,
            folder=self._state_folder,
        )
        preparing = Preparing(
            changes,
            journal,
            measuring,
            spending,
            stopping=self._stopping,
            sink=self._queue.put,
            progress=self.progress,
        )
        currency = self.rates.prices.currency
        return _Session(journal, changes, preparing, measuring, spending, concurrency, currency)

    def _concurrency(self, target: Target) -> int:
        return min(self._pace.max_concurrency, target.reserved_concurrency or self._pace.max_concurrency)

    def _versions_per_size(self, asked: int, concurrency: int) -> int:
        """Return how many versions a size needs: more cold starts than can run at once need fresh environments."""
        cold_wanted = asked if self._pace.only_cold else self._pace.cold_starts
        return max(1, -(-cold_wanted // concurrency))

    def _job(self, session: "_Session", memory_mb: int, asked: int) -> SizeJob:
        is_new = memory_mb not in session.preparing.versions
        openers, samples = self._openers_and_samples(asked)
        cold_wanted = asked if self._pace.only_cold else self._pace.cold_starts
        return SizeJob(
            memory_mb,
            samples,
            parallel=self._pace.parallel,
            openers=openers if is_new else 0,
            versions=self._versions_per_size(asked, session.concurrency) if is_new else 0,
            cold_wanted=cold_wanted if is_new else 0,
            hand=self._events.hand(memory_mb, asked),
            repeat_lost=self._repeat_lost,
        )


def _in_words(invocation: Invocation) -> str:
    """Return a run on one line, for whoever watches."""
    init = f" + init {text.duration(invocation.init_ms)}" if invocation.init_ms is not None else ""
    ending = "cold" if invocation.cold else "warm"
    if invocation.status != "ok":
        ending = text.printable(invocation.error or invocation.status)
    took = f"{text.duration(invocation.duration_ms)}{init}"
    return f"{invocation.memory_mb} MB: {took}, {ending}, {invocation.request_id or 'no request id'}"


@dataclass(slots=True)
class _Session:
    """What exists from the first change on."""

    journal: Journal
    changes: Changes
    preparing: Preparing
    measuring: Measuring
    spending: Spending
    concurrency: int
    currency: str


class _collected(suppress):  # noqa: N801 - a context manager, named like suppress
    """Keeps errors of putting back, so that the next step of it is still done."""

    def __init__(self, into: list[PowertuneError]) -> None:
        super().__init__(PowertuneError)
        self._into = into

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(exc, PowertuneError):
            self._into.append(exc)
        return super().__exit__(exc_type, exc, traceback)
