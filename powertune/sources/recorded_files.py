"""Reads all files of a recording, side by side where that is worth it, into one."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial

from powertune import text
from powertune.errors import AwsError, BadInputError
from powertune.progress import NoProgress, Progress
from powertune.sources.engines import EngineName, Here, executor_for, in_order, usable_processors
from powertune.sources.inputs import Inputs, find_inputs, split
from powertune.sources.reading import STANDARD_INPUT, Part, Reading, complaint_of_nothing, read_part
from powertune.sources.recording import Recording

_MEGABYTE = 1 << 20
_WORTH_PROCESSES = 32 << 20
"""Bytes in all from which it is worth the time to have other processes read, too."""
_PARTS_PER_WORKER = 4
"""So that none is left with nothing to do while another has much."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Where to read."""

    name: EngineName = "local"
    jobs: int | None = None
    """Processes side by side; None for one for each processor, where there is enough to read."""
    scheduler: str | None = None
    """Address of Dask's scheduler."""


def read_files(
    names: Sequence[str],
    *,
    skip_invalid: bool = False,
    engine: Engine = Engine(),
    progress: Progress | None = None,
) -> Recording:
    """Return what files hold: paths, folders, patterns, `-`, `s3://bucket/prefix`. Raises PowertuneError.

    The figures are the same, bit for bit, whatever the engine and however many read.
    """
    progress = progress or NoProgress()
    inputs = find_inputs(names)
    size = sum(inputs.sizes.values())
    progress.begin("reading recorded durations, in MB", total=size // _MEGABYTE or None)
    workers = engine.jobs or (usable_processors() if size >= _WORTH_PROCESSES else 1)
    with executor_for(engine.name, workers=workers, scheduler=engine.scheduler) as (executor, count):
        whole = Recording()
        reader = _Reader(executor, count, skip_invalid=skip_invalid, progress=progress, is_far=engine.name != "local")
        for part, readings in reader.read(inputs):
            whole.merge(reader.finished(part, readings))
    whole.pack()
    whole.silent_files += inputs.unreadable
    if whole.is_empty and whole.silent_files:
        raise BadInputError(
            f"there are no recorded durations; {whole.silent_files[0]}", hint="name files that hold some"
        )
    return whole


class _Reader:
    """Has the parts of files read, and puts them together again."""

    def __init__(
        self, executor: Executor, workers: int, *, skip_invalid: bool, progress: Progress, is_far: bool
    ) -> None:
        self._executor = executor
        self._workers = workers
        self._skip_invalid = skip_invalid
        self._is_here = isinstance(executor, Here)
        self._is_far = is_far
        self._steps = _Megabytes(progress)

    def read(self, inputs: Inputs) -> Iterator[tuple[Part, list[Reading]]]:
        """Yield each file with what reading its parts led to, in order."""
        pieces = 1 if self._is_here else self._workers * _PARTS_PER_WORKER
        files = [(part, split(part, pieces)) for part in inputs.files]
        readings = in_order(
            self._submit, (part for _, parts in files for part in parts), 1 if self._is_here else self._workers
        )
        for part, parts in files:
            found = []
            for piece in parts:
                found.append(next(readings))
                if not self._is_here:
                    self._steps.add((piece.end or inputs.sizes.get(piece.name, 0)) - piece.begin)
            yield part, found

    def finished(self, part: Part, readings: Sequence[Reading]) -> Recording:
        """Return what a file holds, all of it. Raises BadInputError where it is of no use."""
        whole = self._put_together(part, readings)
        if isinstance(whole, Reading):  # its functions can be told apart only by what came before
            whole = self._put_together(part, [whole])
        assert isinstance(whole, Recording)  # noqa: S101 - for the type checker: one reading is never read again
        whole.settle()
        if whole.is_empty:
            complaint = complaint_of_nothing(part, whole, readings[0].nothing)
            if not part.is_found:
                raise complaint
            whole.silent_files.append(complaint.message)
        return whole

    def _put_together(self, part: Part, readings: Sequence[Reading]) -> Recording | Reading:
        whole = Recording()
        for reading in readings:
            if reading.refused:
                message, hint, by_aws = reading.refused
                if self._is_far:
                    hint += "; Dask's workers read it by themselves, so each has to find it under that name"
                raise (AwsError if by_aws else BadInputError)(message, hint=hint)
            whole.merge(reading.recording)
        if len(whole.named) > 1 and len(readings) > 1:
            return self._submit(replace(part, is_whole=True)).result()
        return whole

    def _submit(self, part: Part) -> "Future[Reading]":
        if self._is_here or part.name == STANDARD_INPUT:  # which nobody else can read
            return Here().submit(partial(read_part, part, skip_invalid=self._skip_invalid, step=self._steps.add))
        if self._is_far and not part.name.startswith("s3://"):  # where this process is says nothing to others
            part = replace(part, name=os.path.abspath(part.name))  # noqa: PTH100 - resolves no links, as elsewhere
        return self._executor.submit(partial(read_part, part, skip_invalid=self._skip_invalid))


class _Megabytes:
    """Tells progress of bytes by the megabyte."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count bytes."""
        before, self._bytes = self._bytes, self._bytes + count
        if steps := self._bytes // _MEGABYTE - before // _MEGABYTE:
            self._progress.step(steps)


def silent_files_in_words(recording: Recording) -> str | None:
    """Return what to say of files in folders that hold nothing; None where there are none."""
    files = recording.silent_files
    if not files:
        return None
    more = f", and {len(files) - 1:,} more" if len(files) > 1 else ""
    return f"{text.count(len(files), 'file')} in folders left out: {files[0]}{more}"
