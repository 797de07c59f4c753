"""Recorded durations as a source: what was measured before, handed out as if it were measured now."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from powertune import text
from powertune.aws_lambda.bill import HOURS_PER_MONTH
from powertune.errors import BadInputError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.cpu_times import CpuTimes
from powertune.sources.recorded_files import Engine, read_files, silent_files_in_words
from powertune.sources.recording import NO_ORIGIN, Hints, Origin, Recording, Run

_MOST_NAMED = 5
_HOUR_MS = 3_600_000
_SHORTEST_SPAN_MS = 24 * _HOUR_MS
"""Time that a recording has to span before its rate says anything about a month: a day has its ups and downs."""
_REPEATED_ENOUGH = 0.01
"""Share of records standing twice, as an estimate, from which it is worth a word."""
_NO_DURATIONS = "there are no recorded durations"


class RecordedSource:
    """Files of recorded durations of one function, or records given as they are.

    `files` may hold folders, patterns, `-` for standard input and `s3://bucket/prefix`; `recording` is what was read
    from them before. `function` and `architecture` choose where files hold several, `region` says that the region
    recorded does not matter. Reading happens on entry. Raises BadInputError for a file that cannot be read, UsageError
    where it is open which function is meant.
    """

    def __init__(
        self,
        files: Sequence[str | Path] = (),
        *,
        records: Sequence[Invocation | Aggregate] = (),
        recording: Recording | None = None,
        function: str | None = None,
        architecture: str | None = None,
        region: str | None = None,
        skip_invalid: bool = False,
        engine: Engine = Engine(),  # noqa: B008 - frozen
        progress: Progress | None = None,
    ) -> None:
        self._files = [str(file) for file in files]
        self._given = records
        self._read_before = recording
        self._function = function
        self._architecture = architecture
        self._region = region
        self._skip_invalid = skip_invalid
        self._engine = engine
        self._progress = progress or NoProgress()
        self._recording = Recording()
        self._chosen: set[Origin] = set()
        self._origin = Origin()
        self._invocations: dict[int, list[Invocation]] = defaultdict(list)
        self._aggregates: list[Aggregate] = []
        self._recorded_on: set[str | None] = set()
        self._last_seen: tuple[int, int] | None = None
        self._rate: float | None = None
        self._repeated = 0

    def __enter__(self) -> Self:
        """Read everything."""
        self._recording = self._read()
        every = list(self._recording.kept_runs())
        found = self._recording.origins(every)
        if not found:
            raise BadInputError(_NO_DURATIONS, hint="name at least one file, or - for standard input")
        chosen = self._choose(found, "function", self._function, "--function")
        if len({origin.architecture for origin in chosen} - {None}) > 1:  # else a given one only changes the prices
            chosen = self._choose(chosen, "architecture", self._architecture, "--arch")
        if self._region is None:  # a region given prices everything, wherever it was recorded
            self._choose(chosen, "region", None, "--region")
        self._recorded_on = {origin.architecture for origin in found} - {None}
        self._chosen = set(chosen)
        self._origin = _common_origin(chosen, self._function, self._architecture)
        runs = [run for run in every if run.origin in self._chosen]
        for run in self._each_once(runs):
            self._invocations[run.invocation.memory_mb].append(run.invocation)
        self._aggregates = [aggregate for origin, aggregate in self._recording.aggregates if origin in self._chosen]
        self._aggregates += self._digested()
        self._look_at_times(runs)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing was changed."""
        self._progress.end()

    @property
    def sizes(self) -> Sequence[int]:
        """Memory sizes in MB that were recorded."""
        return sorted({*self._invocations, *(aggregate.memory_mb for aggregate in self._aggregates)})

    @property
    def facts(self) -> SourceFacts:
        """What the files hold."""
        hints = self._hints()
        return SourceFacts(
            kind="recorded",
            basis="scaled" if hints.scaled else "measured",
            calibrated=hints.calibrated,
            billed=False,
            default_samples=max((len(runs) for runs in self._invocations.values()), default=1),
            aggregates=tuple(self._aggregates),
            function=FunctionFacts(
                name=self._origin.function,
                runtime=self._origin.runtime,
                architecture=self._origin.architecture,
                region=self._origin.region,
                current_memory_mb=self._current_mb(hints),
            ),
            details={"files": list(self._files)},
            warnings=tuple(self._warnings(hints)),
            invocations_per_month=self._rate,
            duration_at_ms=self._by_cpu_law(),
        )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Yield the recorded runs of the asked sizes, as many as there are up to each count."""
        for memory_mb, count in sorted(plan.items()):
            yield from self._invocations.get(memory_mb, [])[:count]

    # --- reading and choosing ---

    def _read(self) -> Recording:
        if self._read_before is not None:
            return self._read_before
        recording = Recording()
        if self._files:
            recording = read_files(
                self._files, skip_invalid=self._skip_invalid, engine=self._engine, progress=self._progress
            )
        recording.merge(given(self._given))
        return recording

    def _choose(self, origins: Iterable[Origin], what: str, wanted: str | None, option: str) -> list[Origin]:
        """Return the origins with the wanted function or architecture; those that do not say belong to any."""
        origins = list(origins)
        named = sorted({getattr(origin, what) for origin in origins} - {None})
        if wanted is None:
            if len(named) > 1:
                raise UsageError(
                    f"the files hold {len(named)} {what}s: {_some_of(named)}", hint=f"choose one with {option} NAME"
                )
            return origins
        if named and wanted not in named:
            near = text.nearest(wanted, named) or f"there are: {_some_of(named)}"
            raise UsageError(f"the files hold no {what} {text.printable(wanted, limit=80)!r}", hint=near)
        return [origin for origin in origins if getattr(origin, what) in (None, wanted)]

    def _each_once(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Yield runs, those that stand in the files twice once."""
        runs = list(runs)
        # Lambda Insights and the REPORT record tell of the same invocation; the record is the finer one.
        reported = {run.invocation.request_id for run in runs if not _is_from_insights(run)} - {None}
        seen: set[tuple[str, int, float]] = set()
        for run in runs:
            invocation = run.invocation
            if invocation.request_id:
                if _is_from_insights(run) and invocation.request_id in reported:
                    continue
                key = (invocation.request_id, invocation.memory_mb, invocation.duration_ms)
                if key in seen:
                    self._repeated += 1
                    continue
                seen.add(key)
            yield run

    def _digested(self) -> Iterator[Aggregate]:
        for key, digest in sorted(self._recording.digests.items(), key=lambda item: _order(item[0])):
            if key.origin in self._chosen:
                yield digest.to_aggregate(key.memory_mb, cold=key.cold, status=key.status, error=key.error)

    # --- what is known beside the runs ---

    def _hints(self) -> Hints:
        hints = Hints()
        for function, found in self._recording.hints.items():
            if function in {origin.function for origin in self._chosen}:
                hints.merge(found)
        return hints

    def _current_mb(self, hints: Hints) -> int | None:
        if len(hints.current_mb) == 1:
            return next(iter(hints.current_mb))
        return self._last_seen[1] if self._last_seen and not hints.current_mb else None

    def _look_at_times(self, runs: Sequence[Run]) -> None:
        """Find out the rate of runs, and which memory size the last one had, where all say when they were."""
        spans = [(run.at_ms, run.at_ms, run.invocation.memory_mb, 1) for run in runs]
        spans += [
            (digest.first_ms, digest.last_ms, key.memory_mb, digest.durations.count)
            for key, digest in self._recording.digests.items()
            if key.origin in self._chosen
        ]
        known = [
            (first, last, memory_mb, count)
            for first, last, memory_mb, count in spans
            if first is not None and last is not None
        ]
        if not known or len(known) < len(spans):
            return
        first_ms, last_ms = min(span[0] for span in known), max(span[1] for span in known)
        self._last_seen = max((last, memory_mb) for _, last, memory_mb, _ in known)
        if last_ms - first_ms >= _SHORTEST_SPAN_MS:
            count = sum(count for *_, count in known) - self._repeated
            self._rate = (count - 1) / (last_ms - first_ms) * _HOUR_MS * HOURS_PER_MONTH

    def _by_cpu_law(self) -> Callable[[int], float] | None:
        """Return how long a run takes at any memory size, where CPU time was recorded at some."""
        by_size: dict[int, CpuTimes] = defaultdict(CpuTimes)
        for (origin, memory_mb), times in self._recording.cpu_times.items():
            if origin in self._chosen:
                by_size[memory_mb].merge(times)
        if not by_size:
            return None
        memory_mb, times = max(by_size.items(), key=lambda item: (item[1].count, -item[0]))
        work = times.work_at(memory_mb)
        scale = times.duration_us / 1000 / times.count / work.duration_at_ms(memory_mb)
        return lambda size_mb: work.duration_at_ms(size_mb) * scale

    def _warnings(self, hints: Hints) -> Iterator[RunWarning]:
        recording = self._recording
        if recording.damaged:
            yield RunWarning(
                "damaged-records",
                f"{text.count(recording.damaged, 'REPORT record')} could not be read and was left out"
                if recording.damaged == 1
                else f"{text.count(recording.damaged, 'REPORT record')} could not be read and were left out",
                "look for lines that were cut where the log was copied or exported",
            )
        yield from self._repeat_warnings()
        recorded = self._recorded_on
        if self._architecture and recorded and self._architecture not in recorded:
            yield RunWarning(
                "other-architecture",
                f"the runs were recorded on {', '.join(sorted(map(str, recorded)))}: {self._architecture} changes their"
                " prices, not their durations",
                "record runs there to compare the two",
            )
        if recording.whole_ms:
            yield RunWarning(
                "whole-milliseconds",
                "durations are in whole milliseconds: each is billed as one more, for the fraction that was cut off",
                "record fractions, or add a billed_ms column",
            )
        if recording.invalid:
            yield RunWarning(
                "invalid-rows",
                f"{text.count(recording.invalid, 'invalid row')} left out; the first: {recording.complaints[0]}",
                "mend them in the file and run without --skip-invalid",
            )
        if self._last_seen and not hints.current_mb and len(self.sizes) > 1:
            yield RunWarning(
                "current-size",
                f"{self._last_seen[1]} MB, which the last run had, is taken for the current size",
                "if it is another one, give it with --current",
            )
        silent = silent_files_in_words(recording)
        if silent:
            yield RunWarning("silent-files", silent, "name the files that count, one by one, to be told of each")
        for note in recording.notes:
            yield RunWarning("damaged-file", note, "copy or export the file again")

    def _repeat_warnings(self) -> Iterator[RunWarning]:
        if self._repeated:
            yield RunWarning(
                "repeated-records",
                f"{text.count(self._repeated, 'record')} stood twice in the files and counted once",
                "exports that overlap hold the same runs",
            )
        elif self._recording.runs is None and self._recording.repeats.share > _REPEATED_ENOUGH:
            yield RunWarning(
                "repeated-records",
                f"about {self._recording.repeats.share:.0%} of the records stand in the files more than once, and count"
                " each time",
                "exports that overlap hold the same runs: name files that do not",
            )


def given(records: Sequence[Invocation | Aggregate]) -> Recording:
    """Return records as a recording."""
    recording = Recording()
    for record in records:
        if isinstance(record, Aggregate):
            recording.add_aggregate(NO_ORIGIN, record)
        else:
            recording.add_run(NO_ORIGIN, record)
    # What a program gives is taken at its word: these are no files that lost their fractions.
    recording.has_fractions = True
    return recording


def _is_from_insights(run: Run) -> bool:
    return "cpu_ms" in run.invocation.extra


def _order(key: object) -> str:
    return repr(key)


def _some_of(names: Sequence[str]) -> str:
    shown = ", ".join(text.printable(name, limit=60) for name in names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"


def _common_origin(origins: Sequence[Origin], function: str | None, architecture: str | None) -> Origin:
    """Return what all records that say something agree on."""

    def common(what: str) -> str | None:
        said = {getattr(origin, what) for origin in origins} - {None}
        return said.pop() if len(said) == 1 else None

    return Origin(
        function or common("function"), architecture or common("architecture"), common("region"), common("runtime")
    )
