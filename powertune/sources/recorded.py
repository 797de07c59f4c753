"""Recorded durations as a source: what was measured before, handed out as if it were measured now."""

import io
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from powertune import text
from powertune.errors import BadInputError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.recorded_rows import Origin, Recording
from powertune.sources.recording_formats import read_recording

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST_NAMED = 5
_MEGABYTE = 1 << 20


class _CountedReader(io.RawIOBase):
    """Reads on behalf of another reader and reports a step for each megabyte."""

    def __init__(self, raw: io.RawIOBase, progress: Progress) -> None:
        self._raw = raw
        self._progress = progress
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        count = self._raw.readinto(buffer)
        before, self._bytes = self._bytes, self._bytes + (count or 0)
        if steps := self._bytes // _MEGABYTE - before // _MEGABYTE:
            self._progress.step(steps)
        return count


def _size_of(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:  # standard input, or a file whose absence is told when it is opened
        return 0


class RecordedSource:
    """Files of recorded durations of one function, or records given as they are.

    `files` may hold `-` for standard input. `function` and `architecture` choose where files hold several, `region`
    says that the region recorded does not matter. Reading
    happens on entry. Raises BadInputError for a file that cannot be read, UsageError where it is open which function
    is meant.
    """

    def __init__(
        self,
        files: Sequence[str | Path] = (),
        *,
        records: Sequence[Invocation | Aggregate] = (),
        function: str | None = None,
        architecture: str | None = None,
        region: str | None = None,
        skip_invalid: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._files = [str(file) for file in files]
        self._given = records
        self._function = function
        self._architecture = architecture
        self._region = region
        self._skip_invalid = skip_invalid
        self._progress = progress or NoProgress()
        self._invocations: dict[int, list[Invocation]] = defaultdict(list)
        self._aggregates: list[Aggregate] = []
        self._recordings: list[Recording] = []
        self._origin = Origin()
        self._repeated = 0

    def __enter__(self) -> Self:
        """Read everything."""
        if self._files:
            megabytes = sum(_size_of(file) for file in self._files) // _MEGABYTE
            self._progress.begin("reading recorded durations, in MB", total=megabytes or None)
        self._recordings = [self._read(file) for file in self._files]
        if self._given:
            self._recordings.append(Recording([(Origin(), record) for record in self._given]))
        records = [record for recording in self._recordings for record in recording.records]
        if not records:
            raise BadInputError(
                "there are no recorded durations", hint="name at least one file, or - for standard input"
            )
        records = self._choose(records, "function", self._function, "--function")
        if len({origin.architecture for origin, _ in records} - {None}) > 1:  # else a given one only changes the prices
            records = self._choose(records, "architecture", self._architecture, "--arch")
        if self._region is None:  # a region given prices everything, wherever it was recorded
            self._choose(records, "region", None, "--region")
        self._origin = _common_origin([origin for origin, _ in records], self._function, self._architecture)
        seen: set[tuple[str, int, float]] = set()
        for _, record in records:
            if not isinstance(record, Invocation):
                self._aggregates.append(record)
                continue
            if record.request_id:
                key = (record.request_id, record.memory_mb, record.duration_ms)
                if key in seen:
                    self._repeated += 1
                    continue
                seen.add(key)
            self._invocations[record.memory_mb].append(record)
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
        current = {recording.current_memory_mb for recording in self._recordings}
        bases = {recording.basis for recording in self._recordings}
        return SourceFacts(
            kind="recorded",
            basis="scaled" if "scaled" in bases else "measured",
            calibrated=all(recording.calibrated for recording in self._recordings),
            billed=False,
            default_samples=max((len(runs) for runs in self._invocations.values()), default=1),
            aggregates=tuple(self._aggregates),
            function=FunctionFacts(
                name=self._origin.function,
                runtime=self._origin.runtime,
                architecture=self._origin.architecture,
                region=self._origin.region,
                current_memory_mb=current.pop() if len(current) == 1 else None,
            ),
            details={"files": list(self._files)},
            warnings=tuple(self._warnings()),
        )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Yield the recorded runs of the asked sizes, as many as there are up to each count."""
        for memory_mb, count in sorted(plan.items()):
            yield from self._invocations.get(memory_mb, [])[:count]

    def _read(self, file: str) -> Recording:
        if file == "-":
            if sys.stdin is None or sys.stdin.closed:
                raise BadInputError("standard input is closed", hint="pipe a recording in, or name a file")
            return read_recording(
                io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer)),
                "standard input",
                skip_invalid=self._skip_invalid,
            )
        try:
            with Path(file).open("rb", buffering=0) as raw:
                stream = io.BufferedReader(_CountedReader(raw, self._progress), _MEGABYTE)
                return read_recording(stream, file, skip_invalid=self._skip_invalid)
        except IsADirectoryError:
            raise BadInputError(f"{text.printable(file)} is a folder", hint="name the files in it") from None
        except OSError as error:
            raise BadInputError(
                f"{text.printable(file)} cannot be read: {error.strerror or error}",
                hint="check its name and permissions",
            ) from error

    def _choose(
        self, records: list[tuple[Origin, Invocation | Aggregate]], what: str, wanted: str | None, option: str
    ) -> list[tuple[Origin, Invocation | Aggregate]]:
        """Return the records of the wanted function or architecture; those that do not say belong to any."""
        found = Counter(getattr(origin, what) for origin, _ in records)
        named = [name for name in found if name is not None]
        if wanted is None:
            if len(named) > 1:
                raise UsageError(
                    f"the files hold {len(named)} {what}s: {_some_of(named)}", hint=f"choose one with {option} NAME"
                )
            return records
        if named and wanted not in named:
            near = text.nearest(wanted, named) or f"there are: {_some_of(named)}"
            raise UsageError(f"the files hold no {what} {text.printable(wanted, limit=80)!r}", hint=near)
        return [(origin, record) for origin, record in records if getattr(origin, what) in (None, wanted)]

    def _warnings(self) -> Iterator[RunWarning]:
        damaged = sum(recording.damaged for recording in self._recordings)
        if damaged:
            yield RunWarning(
                "damaged-records",
                f"{text.count(damaged, 'REPORT record')} could not be read and was left out"
                if damaged == 1
                else f"{text.count(damaged, 'REPORT record')} could not be read and were left out",
                "look for lines that were cut where the log was copied or exported",
            )
        if self._repeated:
            yield RunWarning(
                "repeated-records",
                f"{text.count(self._repeated, 'record')} stood twice in the files and counted once",
                "exports that overlap hold the same runs",
            )
        recorded = {origin.architecture for recording in self._recordings for origin, _ in recording.records} - {None}
        if self._architecture and recorded and self._architecture not in recorded:
            yield RunWarning(
                "other-architecture",
                f"the runs were recorded on {', '.join(sorted(map(str, recorded)))}: {self._architecture} changes their"
                " prices, not their durations",
                "record runs there to compare the two",
            )
        if any(recording.whole_ms for recording in self._recordings):
            yield RunWarning(
                "whole-milliseconds",
                "durations are in whole milliseconds: each is billed as one more, for the fraction that was cut off",
                "record fractions, or add a billed_ms column",
            )
        invalid = [row for recording in self._recordings for row in recording.invalid_rows]
        if invalid:
            yield RunWarning(
                "invalid-rows",
                f"{text.count(len(invalid), 'invalid row')} left out; the first: {invalid[0]}",
                "mend them in the file and run without --skip-invalid",
            )


def _some_of(names: Sequence[str]) -> str:
    shown = ", ".join(text.printable(name, limit=60) for name in sorted(names)[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"


def _common_origin(origins: Sequence[Origin], function: str | None, architecture: str | None) -> Origin:
    """Return what all records that say something agree on."""

    def common(what: str) -> str | None:
        said = {getattr(origin, what) for origin in set(origins)} - {None}
        return said.pop() if len(said) == 1 else None

    return Origin(
        function or common("function"), architecture or common("architecture"), common("region"), common("runtime")
    )
