"""Publishes a version of each memory size, one after the other, and hands each over as soon as it can be measured."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from powertune.progress import Progress
from powertune.sources.aws.changes import Changes, SizeRefusedError, Version
from powertune.sources.aws.journal import Journal
from powertune.sources.aws.measuring import Finished, Measuring
from powertune.sources.aws.size_job import SizeJob
from powertune.sources.aws.spending import Spending


class Prepared:
    """All versions are published, and `$LATEST` is back."""


class Preparing:
    """All that is done to `$LATEST`, in a thread of its own; what comes of it goes into `sink`."""

    def __init__(
        self,
        changes: Changes,
        journal: Journal,
        measuring: Measuring,
        spending: Spending,
        *,
        stopping: threading.Event,
        sink: Callable[[Finished | Prepared | BaseException], None],
        progress: Progress,
    ) -> None:
        self._changes = changes
        self._journal = journal
        self._measuring = measuring
        self._spending = spending
        self._stopping = stopping
        self._sink = sink
        self._progress = progress
        self._thread: threading.Thread | None = None
        self.versions: dict[int, Version] = {}
        """The last version of each size, by memory in MB."""

    def start(self, jobs: Sequence[SizeJob]) -> None:
        """Begin with the sizes of `jobs`. Raises BadInputError where the journal cannot be written."""
        self._journal.mark(is_back=False)
        self._thread = threading.Thread(target=self._prepare, args=(jobs,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until nothing more is done to the function here."""
        if self._thread is not None:
            self._thread.join()

    def _prepare(self, jobs: Sequence[SizeJob]) -> None:
        """Publish all sizes, and put `$LATEST` back after the last.

        The function's own size comes first: it is published without changing anything, and from then on there is a
        mark on the function that tells the memory to put back. The others follow from the smallest, which is likely
        to take longest to measure.
        """
        own_mb = self._changes.memory_mb
        ahead = deque(sorted(jobs, key=lambda job: (job.memory_mb != own_mb, job.memory_mb)))
        postponed: set[int] = set()
        try:
            if ahead and not (self._stopping.is_set() or self._spending.is_exhausted):
                self._changes.announce([job.memory_mb for job in ahead])
            while ahead and not self._stopping.is_set():
                job = ahead.popleft()
                version = self._publish(job, [other.memory_mb for other in ahead])
                if version is None:
                    continue
                if not version.is_ours and ahead and job.memory_mb not in postponed:
                    # An older version of the same content, whose environments may be production's: better to publish
                    # one after the others, when the last version has another size.
                    postponed.add(job.memory_mb)
                    ahead.append(job)
                    continue
                self.versions[job.memory_mb] = version
                self._measuring.start(job, version, is_new=True)
                if job.needs_another_version():
                    ahead.append(job)
            self._changes.put_back()
            self._journal.mark(is_back=True)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._sink(error)
        else:
            self._sink(Prepared())

    def _publish(self, job: SizeJob, then_mb: Sequence[int]) -> Version | None:
        """Return a version of a size; None where there is none to be had, or none needed any more."""
        size = job.memory_mb
        if self._spending.is_exhausted or job.stopped:
            self._cancel(job, job.stopped or "the spending limit was reached before")
            return None
        self._progress.state(size, "updating")
        try:
            self._changes.set_memory(size)
            self._progress.state(size, "publishing")
            return self._changes.publish(then_mb)
        except SizeRefusedError as error:
            self._cancel(job, error.message)
            return None

    def _cancel(self, job: SizeJob, why: str) -> None:
        """Let a size go without a (further) version."""
        if job.cancel_versions(why):
            self._sink(Finished(job))
