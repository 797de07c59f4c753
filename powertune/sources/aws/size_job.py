"""What is left to run at one memory size: deals out runs, takes in what came of them, knows when it is enough."""

import threading
from collections import Counter
from dataclasses import dataclass, replace

from powertune.model.invocation import Invocation
from powertune.sources.aws.invoker import Answer
from powertune.sources.events import Event, Hand

_ENOUGH_FAILURES = 3
"""Runs that fail before any has succeeded, after which a size is given up."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run that is to be made."""

    event: Event
    is_opener: bool
    """Sent side by side with others, to open an environment: expected to be cold."""


def most_runs(samples: int, openers: int, parallel: int) -> int:
    """Return how many runs a size takes at most: environments that open unasked give cold runs for warm ones."""
    return openers + samples + max(samples // 2, 2 * parallel) if samples else openers


class SizeJob:
    """The runs of one batch at one memory size. Safe to use from many threads."""

    def __init__(
        self,
        memory_mb: int,
        samples: int,
        *,
        parallel: int,
        openers: int,
        versions: int,
        cold_wanted: int = 0,
        hand: Hand,
        repeat_lost: bool = False,
    ) -> None:
        self.memory_mb = memory_mb
        self.samples = samples
        self.openers = openers
        """Runs that open environments, over all `versions` of the size that are still to come."""
        self._unpublished = self._versions_left = versions
        self._cold_wanted = cold_wanted
        self.stopped: str | None = None
        """Why no further run is made, where that is not because there are enough."""
        self._parallel = parallel
        self._hand = hand
        self._repeat_lost = repeat_lost
        self._most = most_runs(samples, openers, parallel)
        self._lock = threading.Lock()
        self._versions = max(1, versions)
        self._openers_to_come = openers
        self._openers_left: Counter[str] = Counter()
        self._issued = self._opening = self._warming = 0
        self._warm = self._cold = self._bad = self._used_up = 0
        self._workers = 0
        self._is_finished = False
        self._unread: list[tuple[Task, Answer]] = []
        self._never_run: list[Invocation] = []

    @property
    def cold_missing(self) -> int:
        """How many of the cold starts asked for did not come about."""
        return max(0, self._cold_wanted - self._cold)

    @property
    def has_runs(self) -> bool:
        """Whether the function ran at all."""
        return bool(self._warm + self._cold + self._bad)

    @property
    def has_successes(self) -> bool:
        """Whether the function ran at all as it should."""
        return bool(self._warm + self._cold)

    @property
    def never_run(self) -> Invocation | None:
        """A run that AWS refused, where it refused all."""
        return self._never_run[0] if self._never_run and not self.has_runs else None

    def finish(self) -> bool:
        """Return whether nobody works on this size any more, and nobody will. True once."""
        with self._lock:
            if self._workers or self._versions_left or self._is_finished:
                return False
            self._is_finished = True
            return True

    def begin_version(self, version: str, *, is_new: bool) -> int:
        """Let threads work on a version, and return how many: enough to open its share of environments side by side."""
        with self._lock:
            openers = 0
            if is_new:
                openers = min(self._openers_to_come, -(-self.openers // self._versions))
                self._openers_to_come -= openers
                self._openers_left[version] += openers
                self._versions_left -= 1
            # One comes even where there is nothing to do, as the last to leave ends the size.
            workers = max(1, openers, min(self._parallel, self.samples))
            self._workers += workers
            return workers

    def needs_another_version(self) -> bool:
        """Take note that a version was published; return whether that was not the last."""
        with self._lock:
            self._unpublished -= 1
            return self._unpublished > 0

    def cancel_versions(self, why: str) -> bool:
        """Take note that no further version is published; return whether that finishes it."""
        with self._lock:
            self._versions_left -= self._unpublished  # what is left was published, and waits for its turn
            self._unpublished = 0
            if self._workers or self._versions_left or self._is_finished:
                return False
            if not self._issued:
                self.stopped = self.stopped or why
            self._is_finished = True
            return True

    def come_back(self) -> int:
        """Return how many threads are still needed in place of the last one, and count them in: 0 lets it go."""
        with self._lock:
            missing = self.samples - self._warm - self._used_up
            if self._unread:  # from another version, whose threads have left it to this one
                needed = 1
            elif self.stopped or missing <= 0 or self._issued >= self._most or self._versions_left:
                needed = 0
            else:
                needed = min(self._parallel, missing)
            self._workers += needed - 1
            return needed

    def take(self, version: str) -> Task | None:
        """Return the next run to make on a version, or None where this thread is not needed any more."""
        with self._lock:
            if self.stopped or self._issued >= self._most:
                return None
            is_opener = self._openers_left[version] > 0
            # What an environment is being opened with is dealt again where that was a cold start: if others went on
            # meanwhile until there are enough runs, a payload of a mix could be left without one.
            coming = self._warm + self._used_up + self._warming + self._opening
            if not is_opener and (coming >= self.samples or self._warming >= self._parallel):
                return None
            event = self._hand.deal()
            if event is None:
                self.stopped = "the payloads are used up"
                return None
            if is_opener:
                self._openers_left[version] -= 1
                self._opening += 1
            else:
                self._warming += 1
            self._issued += 1
            return Task(event, is_opener)

    def took(self, task: Task, answer: Answer) -> None:
        """Take in what came of a run."""
        with self._lock:
            self._no_longer_out(task)
            if not answer.is_final:
                # Without what the function returned, which can be megabytes: nobody reads it any more.
                self._unread.append((task, replace(answer, response=b"")))
                # Until the logs have been read it passes for what it was meant to be.
                if not answer.is_lost and answer.function_error is None:
                    self._warm += not task.is_opener
                elif not (answer.is_lost and self._repeat_lost):
                    self._used_up += not task.is_opener
                return
            self._count(task, answer.invocation)

    def gave_up(self, task: Task, why: str) -> None:
        """Take note that a run was not made, and that no further one shall be."""
        with self._lock:
            self._no_longer_out(task)
            self._issued -= 1
            self.stopped = self.stopped or why

    def take_unread(self) -> list[tuple[Task, Answer]]:
        """Return the runs whose durations the logs have to tell, and count them as not made until `read` is called."""
        with self._lock:
            unread, self._unread = self._unread, []
            for task, answer in unread:
                if task.is_opener:
                    continue
                if not answer.is_lost and answer.function_error is None:
                    self._warm -= 1
                elif not (answer.is_lost and self._repeat_lost):
                    self._used_up -= 1
            return unread

    def read(self, task: Task, answer: Answer, invocation: Invocation) -> None:
        """Take in what the logs say of a run, or that they say nothing."""
        with self._lock:
            if answer.is_lost and self._repeat_lost and invocation.status != "ok":
                self._bad += 1
                self._deal_again(task)
                return
            self._count(task, invocation)

    def leave(self) -> bool:
        """Let a thread go, but for the last one: it is kept, and told so by True, to wrap up."""
        with self._lock:
            if self._workers == 1:
                return True
            self._workers -= 1
            return False

    @property
    def has_unread(self) -> bool:
        """Whether there are runs whose durations the logs have to tell."""
        return bool(self._unread)

    def _no_longer_out(self, task: Task) -> None:
        if task.is_opener:
            self._opening -= 1
        else:
            self._warming -= 1

    def _count(self, task: Task, invocation: Invocation) -> None:
        if invocation.billed_ms == 0:
            self._never_run.append(invocation)
            self.stopped = self.stopped or invocation.error or invocation.status
        elif invocation.status == "ok" and invocation.cold:
            self._cold += 1
            self._deal_again(task)
        elif invocation.status == "ok":
            self._warm += 1
        else:
            self._bad += 1
            if task.is_opener:
                self._deal_again(task)
            else:
                self._used_up += 1
            # A size that the function cannot run at is not paid for any longer than it takes to see that.
            if not (self._warm + self._cold) and (
                invocation.status == "out-of-memory" or self._bad >= max(_ENOUGH_FAILURES, self._parallel)
            ):
                words = {"out-of-memory": "out of memory", "timed-out": "timed out"}.get(invocation.status)
                self.stopped = self.stopped or words or invocation.error or invocation.status

    def _deal_again(self, task: Task) -> None:
        """Return the event of a run that told nothing about warm ones, so that these have the whole mix."""
        if self.samples:
            self._hand.take_back(task.event)
