"""What was recorded, in a form that merges: single runs while they are few, digests of them beyond that.

Whether runs are kept or digested depends on how many there are in all and on nothing else, and digests merge exactly:
so the same files give the same figures however they were parted, and whoever read the parts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.sources.digest import Digest
from powertune.sources.repeats import Repeats, number_of

if TYPE_CHECKING:  # a table of a few rows needs no numpy
    from powertune.sources.bulk.bundle import Bundle
    from powertune.sources.cpu_times import CpuTimes

MOST_KEPT = 20_000
"""Runs in all up to which each is kept."""

MOST_COMPLAINTS = 20
"""Invalid rows whose complaints are kept; all are counted."""

_MOST_WAITING = 32_768
"""Records in bundles that are digested at once."""
_MOST_ERRORS = 50
"""Names of errors counted apart, for each memory size: the first in the alphabet, as all parts must agree on some."""
_OTHER_ERRORS = "other errors"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a record says about the function it belongs to."""

    function: str | None = None
    architecture: str | None = None
    region: str | None = None
    runtime: str | None = None


NO_ORIGIN = Origin()


class Run(NamedTuple):
    """A single run, and what is known beside it."""

    origin: Origin
    invocation: Invocation
    at_ms: int | None = None
    """When it ended, in ms of Unix time."""


class Key(NamedTuple):
    """What runs of one digest have in common."""

    origin: Origin
    memory_mb: int
    cold: bool = False
    status: Status = "ok"
    error: str | None = None


@dataclass(slots=True)
class Hints:
    """What files say about a function beside its runs."""

    current_mb: set[int] = field(default_factory=set)
    """Its memory size, as saved runs have it."""
    scaled: bool = False
    """Whether durations were scaled by the CPU law and not measured."""
    calibrated: bool = True
    """False for a saved dry run without an anchor."""

    def merge(self, other: "Hints") -> None:
        """Add what others say."""
        self.current_mb |= other.current_mb
        self.scaled |= other.scaled
        self.calibrated &= other.calibrated


@dataclass(slots=True)
class Recording:
    """What files hold, or a part of a file. Reading fills it; `settle` ends a file; `merge` adds another's."""

    runs: "list[Run | tuple[Origin, Bundle]] | None" = field(default_factory=list)
    """None once there are too many to be kept."""
    count: int = 0
    """How many runs there are, kept or digested."""
    digests: dict[Key, Digest] = field(default_factory=dict)
    aggregates: list[tuple[Origin, Aggregate]] = field(default_factory=list)
    cpu_times: "dict[tuple[Origin, int], CpuTimes]" = field(default_factory=dict)
    """CPU time of runs by function and memory size in MB, from Lambda Insights."""
    hints: dict[str | None, Hints] = field(default_factory=dict)
    """By function."""
    repeats: Repeats = field(default_factory=Repeats)
    damaged: int = 0
    """Log records that start well but do not hold their figures."""
    invalid: int = 0
    complaints: list[str] = field(default_factory=list)
    """About rows that were left out on request."""
    has_fractions: bool = False
    """Whether some run was recorded to less than a millisecond, or with what was billed."""
    whole_ms: bool = False
    """Whether a file had its runs in whole milliseconds."""
    named: dict[str, Origin] = field(default_factory=dict)
    """Functions that the log says were started; their records do not name them."""
    silent_files: list[str] = field(default_factory=list)
    """Files in folders that hold nothing, or nothing that can be read, and why."""
    notes: list[str] = field(default_factory=list)
    """What else the reader should know of files."""
    _waiting: "list[tuple[Origin, Bundle]]" = field(default_factory=list)
    _waiting_count: int = 0
    _errors: Counter[tuple[object, ...]] = field(default_factory=Counter)
    """How many names of errors are told apart, by all of the key but the error."""

    # --- filling ---

    def add_run(self, origin: Origin, invocation: Invocation, at_ms: int | None = None) -> None:
        """Add a single run."""
        self.count += 1
        if not self.has_fractions:
            self.has_fractions = invocation.billed_ms is not None or not invocation.duration_ms.is_integer()
        run = Run(origin, invocation, at_ms)
        if self.runs is None:
            self._digest(run)
        else:
            self.runs.append(run)
            self._keep_few()

    def add_kept(self, run: Run) -> None:
        """Add a run that another recording has kept."""
        self.count += 1
        self.runs = self.runs or []
        self.runs.append(run)

    def add_digest(self, key: Key, digest: Digest) -> None:
        """Add runs that another recording has digested."""
        self.count += digest.durations.count
        self.runs = None
        self._into(key).merge(digest)

    def add_bundle(self, origin: Origin, bundle: "Bundle", id_numbers: "list[int]") -> None:
        """Add runs read in bulk. `origin` is what is known of all of them, `id_numbers` are those that count."""
        self.count += len(bundle)
        self.has_fractions = True
        self.repeats.add(id_numbers)
        if self.runs is None:
            self._wait(origin, bundle)
        else:
            self.runs.append((origin, bundle))
            self._keep_few()

    def add_aggregate(self, origin: Origin, aggregate: Aggregate) -> None:
        """Add a summary of runs."""
        self.aggregates.append((origin, aggregate))

    def add_complaint(self, complaint: str) -> None:
        """Count an invalid row that is left out."""
        self.invalid += 1
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(complaint)

    def hint(self, function: str | None) -> Hints:
        """Return what is known beside the runs of a function, to add to."""
        return self.hints.setdefault(function, Hints())

    # --- ending a file, merging ---

    def settle(self) -> None:
        """End a file: what holds for all of it is known now."""
        self.name_all()
        self._bill_whole_ms()
        self.has_fractions = False
        self.named = {}

    def merge(self, other: "Recording") -> None:
        """Add all that another recording holds."""
        self._merge_runs(other)
        self.aggregates += other.aggregates
        for place, times in other.cpu_times.items():
            if place in self.cpu_times:
                self.cpu_times[place].merge(times)
            else:
                self.cpu_times[place] = times
        for function, hints in other.hints.items():
            self.hint(function).merge(hints)
        self.repeats.merge(other.repeats)
        self.damaged += other.damaged
        self.invalid += other.invalid
        self.complaints = (self.complaints + other.complaints)[:MOST_COMPLAINTS]
        self.has_fractions |= other.has_fractions
        self.whole_ms |= other.whole_ms
        self.named |= other.named
        self.silent_files += other.silent_files
        self.notes += other.notes

    def _merge_runs(self, other: "Recording") -> None:
        self.count += other.count
        if self.runs is not None and other.runs is not None:
            self.runs += other.runs
            self._keep_few()
            return
        for one in (self, other):
            if one.runs is not None:
                one._digest_all()  # noqa: SLF001 - the class's own
        other.pack()
        for key, digest in other.digests.items():
            self._into(key).merge(digest)
            self._limit_errors(key)

    def pack(self) -> None:
        """Digest what is waiting for it: a recording that was parted from its file travels light."""
        if self.runs is None:
            self._digest_waiting()
        elif self.count > MOST_KEPT:
            self._digest_all()
        self.repeats.shorten()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to estimate from."""
        return not self.count and not self.aggregates

    # --- looking ---

    def kept_runs(self) -> Iterator[Run]:
        """Yield the runs one by one, in the order of the files; none where there are too many."""
        for item in self.runs or ():
            if isinstance(item, Run):
                yield item
                continue
            origin, bundle = item
            for prefix, invocation in bundle.runs():
                named = origin if prefix.function is None else replace(origin, function=prefix.function)
                yield Run(named, invocation, prefix.at_ms)

    def origins(self, runs: Iterable[Run]) -> set[Origin]:
        """Return where all that is recorded comes from; `runs` are those that are kept."""
        self.pack()
        return {
            *(run.origin for run in runs),
            *(key.origin for key in self.digests),
            *(origin for origin, _ in self.aggregates),
        }

    # --- digesting ---

    def _into(self, key: Key) -> Digest:
        digest = self.digests.get(key)
        if digest is None:
            digest = self.digests[key] = Digest()
            if key.error not in (None, _OTHER_ERRORS):
                self._errors[key[:4]] += 1
        return digest

    def _digest(self, run: Run) -> None:
        invocation = run.invocation
        key = Key(run.origin, invocation.memory_mb, invocation.cold, invocation.status, invocation.error)
        self._into(key).add(invocation, run.at_ms)
        self._limit_errors(key)
        if invocation.request_id:
            self.repeats.add([number_of(invocation.request_id)])

    def _limit_errors(self, key: Key) -> None:
        """Count the errors of a size together that come last in the alphabet, where there are many."""
        if self._errors[key[:4]] <= _MOST_ERRORS:
            return
        # The first in the alphabet among all are the first among any part, so that parts agree on them.
        alike = [other for other in self.digests if other[:4] == key[:4] and other.error not in (None, _OTHER_ERRORS)]
        last = max(alike, key=lambda other: str(other.error))
        self._errors[key[:4]] -= 1
        self._into(last._replace(error=_OTHER_ERRORS)).merge(self.digests.pop(last))

    def _keep_few(self) -> None:
        if self.count > MOST_KEPT:
            self._digest_all()

    def _digest_all(self) -> None:
        items, self.runs = self.runs or [], None
        for item in items:
            if isinstance(item, Run):
                self._digest(item)
            else:
                self._wait(*item)
        self._digest_waiting()

    def _wait(self, origin: Origin, bundle: "Bundle") -> None:
        self._waiting.append((origin, bundle))
        self._waiting_count += len(bundle)
        if self._waiting_count >= _MOST_WAITING:
            self._digest_waiting()

    def _digest_waiting(self) -> None:
        if not self._waiting:
            return
        from powertune.sources.bulk.bundle import digests  # noqa: PLC0415 - a table of a few rows needs no numpy

        by_origin: dict[Origin, list[Bundle]] = defaultdict(list)
        for origin, bundle in self._waiting:
            by_origin[origin].append(bundle)
        self._waiting, self._waiting_count = [], 0
        for origin, bundles in by_origin.items():
            for function, memory_mb, cold, digest in digests(bundles):
                named = origin if function is None else replace(origin, function=function)
                self._into(Key(named, memory_mb, cold)).merge(digest)

    # --- what holds for all of a file ---

    def name_all(self) -> None:
        """Give the records that name no function the one function that was started in their file, if there is one."""
        if len(self.named) != 1:
            return
        self.pack()
        [known] = self.named.values()

        def named(origin: Origin) -> Origin:
            if origin.function is not None:
                return origin
            return replace(origin, function=known.function, region=origin.region or known.region)

        if self.runs is not None:
            self.runs = [
                item._replace(origin=named(item.origin)) if isinstance(item, Run) else (named(item[0]), item[1])
                for item in self.runs
            ]
        digests, self.digests = self.digests, {}
        self._errors.clear()
        for key, digest in digests.items():
            self._into(key._replace(origin=named(key.origin))).merge(digest)
        self.cpu_times = {(named(origin), size): times for (origin, size), times in self.cpu_times.items()}

    def _bill_whole_ms(self) -> None:
        """Add what was billed to runs that were recorded in whole milliseconds.

        Lambda's clock is finer, so whole milliseconds throughout have lost their fractions, and billing rounds those
        up.
        """
        if self.has_fractions or not self.count:
            return
        self.whole_ms = True
        if self.runs is not None:
            self.runs = [_billed_up(item) if isinstance(item, Run) else item for item in self.runs]
        for key, digest in self.digests.items():
            if not key.cold:
                digest.bill_one_ms_more()


def _billed_up(run: Run) -> Run:
    invocation = run.invocation
    if invocation.cold:
        return run
    return run._replace(invocation=replace(invocation, billed_ms=invocation.duration_ms + 1))
