"""However and wherever a run ends, the function is as it was before: crashes at every single call to AWS.

Kills after every call are always tried. Of the other ways to end, each takes every eighth call unless `--every-call`
is given, and each starts at another: what AWS has seen before call n is what it had seen after call n-1.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import boto3
import pytest
from believable_lambda import BelievableLambda, Work
from zygote import Crash, Ended, How, Moment, Zygote

SIZES_MB = [128, 256, 512, 1024, 1769, 3008]
TUNE = ("--yes", "-q", "-m", ",".join(map(str, SIZES_MB)), "-f", "json")
FEW = ("--search", "full", "-n", "1", "--parallel", "1")
MANY = ("--search", "full", "-n", "8", "--parallel", "4")
SEARCHED = ("--search", "adaptive", "-n", "2", "--parallel", "1")
FIRST_BATCH = 4
"""Sizes that a search measures at first, the function's own among them."""
FEWEST_CALLS = 45
"""Of a run of six sizes: 4 to look, some 20 to prepare, 12 invocations, 2 to put back, 8 to clean up."""
MOSTLY_CHANGED = 35
"""Of these, the calls around which the function is not as before."""
NOTHING_LEFT = "There is nothing to put back.\n"
USUAL_STEP = 8
MOMENTS = pytest.mark.parametrize("moment", ["before", "after"])


@dataclass(slots=True)
class Point:
    """A run that was to crash at one call."""

    name: str
    """Of the function, which only this run tunes."""
    crash: Crash
    ended: Ended
    before: dict[str, Any]
    """The function before the run."""
    crashed: dict[str, Any]
    """The function right after it."""
    folder: Path
    """Where its journal is."""
    powertune: Callable[..., Ended]
    """Runs a further command, in the same state folder if nothing else is said."""

    @property
    def has_journal(self) -> bool:
        return any(self.folder.glob("*.json"))

    def __str__(self) -> str:
        calls = self.ended.calls
        where = f"{self.crash.moment} call {self.crash.at}: {calls[self.crash.at - 1] if self.ended.crashed else '-'}"
        return f"{self.crash.how} {where} (of {len(calls)}): exit {self.ended.code}: {self.ended.err.strip()}"


Check = Callable[[Point], str | None]
"""Says what is wrong at a point."""


@dataclass(slots=True)
class Matrix:
    """Crashes runs at the first call, at the second, and so on, until one ends before it crashes."""

    server: BelievableLambda
    zygotes: list[Zygote]
    folder: Path
    create: Callable[[str], None]
    """Makes a function."""
    target: str = "{name}"
    """What is tuned."""
    runs: tuple[str, ...] = FEW
    least_step: int = 1
    """Every how many calls runs crash at most."""
    first: int = 1
    """The call to begin with, where not all are tried."""
    tried: int = 0
    changed: int = 0
    """At how many points the function was not as before, right after the crash."""
    problems: list[str] = field(default_factory=list)
    step: int = 1
    """That of the last crashes."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at_every_call(self, moment: Moment, how: How, check: Check, *, step: int = 1) -> None:
        """Crash runs, and see that there were enough of them and that `check` has no objection to any."""
        step = max(step, self.least_step)
        numbers, is_over = count(1 + self.first % step, step), threading.Event()

        def work(zygote: Zygote) -> None:
            while not is_over.is_set():
                with self._lock:
                    number = next(numbers)
                if not self.at(Crash(number, moment, how), check, zygote).ended.crashed:
                    is_over.set()

        with ThreadPoolExecutor(len(self.zygotes)) as pool:
            for done in [pool.submit(work, zygote) for zygote in self.zygotes]:
                done.result()
        assert not self.problems, "\n".join(self.problems)
        assert self.tried >= FEWEST_CALLS // step
        self.step = step

    def changed_mostly(self) -> bool:
        """Tell whether the function was not as before at most points: else putting it back was not tried."""
        return self.changed >= MOSTLY_CHANGED // self.step

    def at(self, crash: Crash, check: Check, zygote: Zygote | None = None) -> Point:
        """Crash one run."""
        point = self._crashed(crash, zygote or self.zygotes[0])
        problem = check(point)
        with self._lock:
            self.tried += point.ended.crashed
            self.changed += point.crashed != point.before
            if problem:
                self.problems.append(f"{problem}: {point}")
        return point

    def _crashed(self, crash: Crash, zygote: Zygote) -> Point:
        name = f"{crash.how}-{crash.moment}-{crash.at}".replace(" ", "-")
        with self._lock:
            self.create(name)
        folder = self.folder / name
        before = self.server.snapshot(name)
        env = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}

        def powertune(*argv: str, state: Path = folder, crash: Crash | None = None) -> Ended:
            return zygote.run(*argv, env={**env, "POWERTUNE_STATE_DIR": str(state)}, crash=crash)

        ended = powertune("tune", self.target.format(name=name), *TUNE, *self.runs, crash=crash)
        return Point(name, crash, ended, before, self.server.snapshot(name), folder, powertune)


@pytest.fixture(scope="module")
def zygotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Zygote]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Zygote(tmp_path_factory.mktemp("zygote"))) for _ in range(2)]


@pytest.fixture
def matrix(
    request: pytest.FixtureRequest,
    believable: BelievableLambda,
    zygotes: list[Zygote],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Matrix]:
    """Crashes of runs on functions of 512 MB that have an older version, with an alias on it."""
    believable.time_scale = 0
    made = Matrix(believable, zygotes, tmp_path, lambda name: create_with_older_version(believable, name))
    if not request.config.getoption("--every-call"):
        made.least_step, made.first = USUAL_STEP, crc32(request.node.name.encode())
    yield made
    told = f"\n  {made.tried} points tried; right after the crash the function was not as before at {made.changed} "
    with capsys.disabled():
        print(told, end="")  # noqa: T201 - the number of points is part of what these tests show


@pytest.fixture
def published_matrix(matrix: Matrix) -> Matrix:
    """Crashes of runs on functions whose `$LATEST` is what their last version is; the alias on that one is tuned."""
    matrix.create = lambda name: create_just_published(matrix.server, name)
    matrix.target = "{name}:live"
    return matrix


def create_just_published(server: BelievableLambda, name: str) -> None:
    server.create_function(name, memory_mb=512, description="people wait for it")
    aws = boto3.client("lambda")
    version = aws.publish_version(FunctionName=name, Description="release 1")["Version"]
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion=version)


def create_with_older_version(server: BelievableLambda, name: str) -> None:
    create_just_published(server, name)
    server.deploy(name, code=b"release 2")


# What has to hold at a point.


def untouched(point: Point) -> str | None:
    if point.crashed != point.before:
        return "the function was left changed"
    return "the journal was left" if point.has_journal else None


def whole(point: Point) -> str | None:
    if point.ended.code or "Error" in point.ended.err or "Warning" in point.ended.err:
        return "it did not end well"
    if [size["memory_mb"] for size in json.loads(point.ended.out)["sizes"]] != SIZES_MB:
        return "the result has other sizes"
    return untouched(point)


def interrupted(point: Point) -> str | None:
    """Accept an end with the result only where nothing was left to measure when the signal came."""
    is_measured = not any(call.endswith("/invocations") for call in point.ended.calls[point.crash.at :])
    if not point.ended.crashed or (is_measured and point.ended.code == 0):
        return whole(point)
    if point.ended.code != 130:
        return "the exit code is not that of an interrupted run"
    return untouched(point)


def refused(point: Point) -> str | None:
    """Accept an end with the result where powertune can do without the answer."""
    if point.ended.code == 0:
        return whole(point)
    if point.ended.code != 4 or "is not allowed" not in point.ended.err:
        return "it did not tell of the missing permission"
    return untouched(point)


def ended_by_a_bug(point: Point) -> str | None:
    """Accept an end with the result where putting back was tried again."""
    if point.ended.code == 0:
        return whole(point)
    if point.ended.code != 70 or "a bug, made up" not in point.ended.err:
        return "it did not tell of the bug"
    return untouched(point)


class Restored:
    """After `powertune restore` everything has to be as before."""

    def __init__(self, server: BelievableLambda, code: int = -9) -> None:
        self._server = server
        self._code = code

    def from_the_journal(self, point: Point) -> str | None:
        if not point.ended.crashed:
            return whole(point)
        if point.ended.code != self._code:
            return "it did not end as it was to"
        if problem := self._wrong_with(point, point.powertune("restore")):
            return problem
        if point.has_journal:
            return "the journal is still there"
        again = point.powertune("restore")
        return None if (again.code, again.out) == (0, NOTHING_LEFT) else "a second restore had something to do"

    def by_the_mark(self, point: Point) -> str | None:
        """Without the journal, and wherever the function carries a mark."""
        if not point.ended.crashed:
            return whole(point)
        if not is_marked(point) and latest_mb(point) != 512:
            return "the memory was changed before there was a mark"
        return self._wrong_with(point, self._elsewhere(point))

    def by_the_mark_if_there_is_one(self, point: Point) -> str | None:
        if is_marked(point):
            return self.by_the_mark(point)
        done = self._elsewhere(point)
        if (done.code, done.out) != (0, NOTHING_LEFT):
            return "there was something to put back, though nothing tells of it"
        return None if self._server.snapshot(point.name) == point.crashed else "it changed something"

    def _elsewhere(self, point: Point) -> Ended:
        return point.powertune("restore", point.name, state=point.folder.with_name("another machine"))

    def _wrong_with(self, point: Point, done: Ended) -> str | None:
        if done.code or done.err:
            return f"restore ended with {done.code}: {done.err}"
        return None if self._server.snapshot(point.name) == point.before else "restore did not put it back"


def is_marked(point: Point) -> bool:
    return any(description.startswith("powertune run ") for _, description, _, _ in point.crashed["versions"])


def latest_mb(point: Point) -> int:
    return int(point.crashed["latest"]["MemorySize"])


# Kills.


@MOMENTS
def test_restore_puts_back_what_a_kill_left(matrix: Matrix, moment: Moment) -> None:
    if moment == "after":
        matrix.least_step = 1
    matrix.at_every_call(moment, "SIGKILL", Restored(matrix.server).from_the_journal)
    assert matrix.changed_mostly()


def test_restore_puts_back_what_a_kill_left_without_the_journal(matrix: Matrix) -> None:
    matrix.at_every_call("after", "SIGKILL", Restored(matrix.server).by_the_mark)
    assert matrix.changed_mostly()


def test_a_kill_costs_no_version_that_the_function_had(published_matrix: Matrix) -> None:
    matrix = published_matrix
    matrix.at_every_call("after", "SIGKILL", Restored(matrix.server).from_the_journal)
    assert matrix.changed_mostly()


def test_without_a_journal_and_a_mark_nothing_is_touched(published_matrix: Matrix) -> None:
    matrix = published_matrix
    matrix.at_every_call("after", "SIGKILL", Restored(matrix.server).by_the_mark_if_there_is_one, step=3)


@MOMENTS
def test_restore_puts_back_what_a_kill_left_during_slow_updates(matrix: Matrix, moment: Moment) -> None:
    slow(matrix.server)
    matrix.at_every_call(moment, "SIGKILL", Restored(matrix.server).from_the_journal, step=4)


def test_restore_puts_back_what_a_kill_left_amid_many_runs(matrix: Matrix) -> None:
    matrix.runs = MANY
    matrix.at_every_call("before", "SIGKILL", Restored(matrix.server).from_the_journal, step=7)


def slow(server: BelievableLambda) -> None:
    server.time_scale = 1
    server.work = Work(cpu_ms=1, init_ms=2)
    server.update_s = (0.01, 0.03)
    server.publish_s = 0.01


@pytest.fixture
def searching_matrix(matrix: Matrix) -> Iterator[Matrix]:
    """Crashes of runs that measure in several batches, between which `$LATEST` is put back."""
    matrix.runs = SEARCHED
    matrix.server.work = Work(cpu_ms=300)
    yield matrix
    whole_run = matrix.at(Crash(10_000, "after", "SIGKILL"), whole)
    assert not matrix.problems
    sizes = json.loads(whole_run.ended.out)["sizes"]
    assert sum(size["basis"] == "measured" for size in sizes) > FIRST_BATCH, "a later batch has a version to publish"


@pytest.mark.parametrize(("moment", "step"), [("before", 2), ("after", 1)])
def test_restore_puts_back_what_a_kill_left_between_batches(
    searching_matrix: Matrix, moment: Moment, step: int
) -> None:
    matrix = searching_matrix
    matrix.at_every_call(moment, "SIGKILL", Restored(matrix.server).from_the_journal, step=step)
    assert matrix.changed_mostly()


def test_restore_puts_back_what_a_kill_left_between_batches_without_the_journal(searching_matrix: Matrix) -> None:
    matrix = searching_matrix
    matrix.at_every_call("after", "SIGKILL", Restored(matrix.server).by_the_mark)
    assert matrix.changed_mostly()


@pytest.mark.parametrize(("moment", "how", "step"), [("before", "SIGINT", 2), ("after", "SIGINT", 1)])
def test_ctrl_c_between_batches_puts_everything_back(
    searching_matrix: Matrix, moment: Moment, how: How, step: int
) -> None:
    searching_matrix.at_every_call(moment, how, interrupted, step=step)


@pytest.mark.parametrize(
    ("moment", "how", "step", "check"),
    [
        ("after", "closed", 2, whole),
        ("before", "500", 4, whole),
        ("before", "denied", 2, refused),
        ("before", "bug", 3, ended_by_a_bug),
    ],
)
def test_a_call_that_goes_wrong_between_batches_leaves_nothing(
    searching_matrix: Matrix, moment: Moment, how: How, step: int, check: Check
) -> None:
    searching_matrix.at_every_call(moment, how, check, step=step)


@MOMENTS
def test_a_restore_that_is_killed_can_be_done_again(matrix: Matrix, moment: Moment) -> None:
    killed = 0

    def restored_in_the_end(point: Point) -> str | None:
        nonlocal killed
        for at in count(1):
            half_done = point.powertune("restore", crash=Crash(at, moment, "SIGKILL"))
            killed += half_done.crashed
            if not half_done.crashed:
                break
        return Restored(matrix.server).from_the_journal(point)

    matrix.at(Crash(30, "after", "SIGKILL"), restored_in_the_end)
    assert not matrix.problems, "\n".join(matrix.problems)
    assert killed >= 3
    matrix.tried += killed


# Signals.


@MOMENTS
def test_ctrl_c_puts_everything_back(matrix: Matrix, moment: Moment) -> None:
    matrix.at_every_call(moment, "SIGINT", interrupted)


def test_ctrl_c_costs_no_version_that_the_function_had(published_matrix: Matrix) -> None:
    published_matrix.at_every_call("after", "SIGINT", interrupted, step=2)


def test_ctrl_c_amid_many_runs_puts_everything_back(matrix: Matrix) -> None:
    matrix.runs = MANY
    matrix.at_every_call("before", "SIGINT", interrupted, step=7)


@MOMENTS
@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP"])
def test_other_signals_put_everything_back_too(matrix: Matrix, moment: Moment, how: How) -> None:
    for at in (6, 14, 25, 36, 43, 49):
        matrix.at(Crash(at, moment, how), interrupted)
    assert not matrix.problems, "\n".join(matrix.problems)
    assert matrix.tried == 6


def test_a_second_signal_quits_at_once_and_says_how_to_put_it_back(matrix: Matrix) -> None:
    def quit_at_once(point: Point) -> str | None:
        for part in ("powertune restore", "--memory-size 512", "aws lambda list-versions-by-function"):
            if part not in point.ended.err:
                return f"it does not say {part}"
        return Restored(matrix.server, code=130).from_the_journal(point)

    for at in (6, 14, 25, 36):
        matrix.at(Crash(at, "after", "two signals"), quit_at_once)
    assert not matrix.problems, "\n".join(matrix.problems)
    assert matrix.tried == 4
    assert matrix.changed == 4


# Errors.


@pytest.mark.parametrize(
    ("moment", "how", "step"),
    [("after", "closed", 1), ("before", "closed", 1), ("before", "refused", 2), ("before", "500", 2)],
)
def test_a_call_that_goes_wrong_does_not_end_a_run(matrix: Matrix, moment: Moment, how: How, step: int) -> None:
    matrix.at_every_call(moment, how, whole, step=step)


def test_a_lost_answer_costs_no_version_that_the_function_had(published_matrix: Matrix) -> None:
    published_matrix.at_every_call("after", "closed", whole, step=3)


def test_a_call_that_is_denied_leaves_nothing(matrix: Matrix) -> None:
    matrix.at_every_call("before", "denied", refused)


@pytest.mark.parametrize(("moment", "step"), [("before", 1), ("after", 3)])
def test_a_bug_leaves_nothing(matrix: Matrix, moment: Moment, step: int) -> None:
    matrix.at_every_call(moment, "bug", ended_by_a_bug, step=step)
