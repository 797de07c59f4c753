"""What is left to run at one size: when runs are dealt, made up for, not repeated, and enough."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from powertune.model.invocation import Invocation, Status
from powertune.sources.aws.invoker import Answer
from powertune.sources.aws.size_job import SizeJob, Task, most_runs
from powertune.sources.events import Event, EventLines, Hand, OneEvent, WeightedEvents

V = "1"


def job(
    samples: int = 4,
    *,
    parallel: int = 2,
    openers: int = 0,
    versions: int = 1,
    cold_wanted: int = 0,
    hand: Hand | None = None,
    repeat_lost: bool = False,
    begun: bool = True,
) -> SizeJob:
    new = SizeJob(
        512,
        samples,
        parallel=parallel,
        openers=openers,
        versions=versions,
        cold_wanted=cold_wanted,
        hand=hand or OneEvent("{}").hand(512, samples),
        repeat_lost=repeat_lost,
    )
    if begun:
        new.begin_version(V, is_new=True)
    return new


def answer(
    status: Status = "ok",
    *,
    cold: bool = False,
    error: str | None = None,
    billed_ms: float = 20.0,
    final: bool = True,
    lost: bool = False,
    function_error: str | None = None,
) -> Answer:
    return Answer(
        Invocation(512, 19.5, billed_ms, cold=cold, status=status, error=error),
        V,
        0.0,
        1.0,
        is_final=final,
        is_lost=lost,
        function_error=function_error,
    )


WARM, COLD = answer(), answer(cold=True)
OUT_OF_MEMORY = answer("out-of-memory", error="Runtime.OutOfMemory")
FAILED = answer("failed", error="ValueError: no")
REFUSED = answer("throttled", error="never run: TooManyRequestsException", billed_ms=0.0)
UNREAD = answer(final=False)
LOST = answer("unavailable", final=False, lost=True, error="no answer")


def taken(one: SizeJob, version: str = V) -> Task:
    task = one.take(version)
    assert task is not None
    return task


def run(one: SizeJob, answers: Iterable[Answer], version: str = V) -> list[Task]:
    """Make run after run until no more is dealt; the last of `answers` is that of all further runs."""
    outcomes, tasks = iter(answers), []
    last = next(outcomes)
    while (task := one.take(version)) is not None:
        tasks.append(task)
        one.took(task, last)
        last = next(outcomes, last)
        assert len(tasks) < 1000
    return tasks


def kinds(tasks: Sequence[Task]) -> str:
    return "".join("o" if task.is_opener else "w" for task in tasks)


# Enough.


def test_openers_are_dealt_first_and_warm_runs_after_them() -> None:
    assert kinds(run(job(4, openers=3), [COLD, COLD, COLD, WARM])) == "ooowwww"


def test_an_opener_that_turns_out_warm_counts_as_a_warm_run() -> None:
    assert kinds(run(job(4, openers=3), [COLD, WARM, WARM, WARM])) == "oooww"


def test_cold_results_in_place_of_warm_ones_are_made_up_for() -> None:
    assert kinds(run(job(4, openers=2), [COLD, COLD, COLD, COLD, WARM])) == "oo" + "ww" + "wwww"


def test_what_never_gets_warm_ends_at_the_most_runs_that_were_announced() -> None:
    one = job(10, openers=4, parallel=4)
    assert len(run(one, [COLD])) == most_runs(10, 4, 4) == 4 + 10 + 8
    assert one.come_back() == 0
    assert not one.stopped


@pytest.mark.parametrize(
    ("samples", "openers", "parallel", "most"),
    [(10, 4, 4, 22), (10, 0, 4, 18), (100, 4, 4, 154), (1, 1, 1, 4), (0, 30, 4, 30)],
)
def test_most_runs_leave_room_for_environments_that_open_unasked(
    samples: int, openers: int, parallel: int, most: int
) -> None:
    assert most_runs(samples, openers, parallel) == most


def test_no_more_warm_runs_are_under_way_than_run_side_by_side() -> None:
    one = job(10, parallel=3)
    under_way = [taken(one) for _ in range(3)]
    assert one.take(V) is None
    one.took(under_way[0], WARM)
    assert one.take(V) is not None


def test_no_more_warm_runs_are_under_way_than_are_missing() -> None:
    one = job(2, parallel=3)
    for _ in range(2):
        taken(one)
    assert one.take(V) is None


def test_cold_starts_that_did_not_come_about_are_told() -> None:
    one = job(2, openers=3, cold_wanted=3)
    run(one, [COLD, COLD, WARM])
    assert one.cold_missing == 1


def test_a_job_of_cold_starts_alone_makes_no_warm_run() -> None:
    one = job(0, openers=3, cold_wanted=3)
    assert kinds(run(one, [COLD, WARM, COLD])) == "ooo"
    assert one.cold_missing == 1
    assert one.come_back() == 0


# Stopping early.


def test_a_size_that_runs_out_of_memory_is_given_up_at_once() -> None:
    one = job(4, openers=2)
    assert len(run(one, [OUT_OF_MEMORY])) == 1
    assert one.stopped == "out of memory"
    assert one.has_runs
    assert one.come_back() == 0


@pytest.mark.parametrize(("parallel", "enough"), [(1, 3), (2, 3), (5, 5)])
def test_a_size_whose_first_runs_all_fail_is_given_up(parallel: int, enough: int) -> None:
    one = job(20, parallel=parallel)
    assert len(run(one, [FAILED])) == enough
    assert one.stopped == "ValueError: no"


def test_failures_after_a_success_are_runs_like_others_and_not_repeated() -> None:
    one = job(10, parallel=1)
    assert len(run(one, [COLD, *[FAILED] * 6, OUT_OF_MEMORY, WARM])) == 1 + 10
    assert one.stopped is None


def test_a_run_that_aws_refuses_ends_its_size() -> None:
    one = job(4, openers=2)
    assert len(run(one, [REFUSED])) == 1
    assert one.stopped == "never run: TooManyRequestsException"
    assert one.never_run == REFUSED.invocation
    assert not one.has_runs


def test_a_refused_run_is_no_row_where_others_ran() -> None:
    one = job(4)
    run(one, [WARM, REFUSED])
    assert one.never_run is None
    assert one.has_runs


def test_a_run_that_is_not_made_ends_its_size_and_counts_for_nothing() -> None:
    one = job(4)
    one.gave_up(taken(one), "the spending limit was reached")
    assert one.stopped == "the spending limit was reached"
    assert one.take(V) is None
    assert not one.has_runs


def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    one = job(4)
    first, second = taken(one), taken(one)
    one.took(first, OUT_OF_MEMORY)
    one.gave_up(second, "the spending limit was reached")
    assert one.stopped == "out of memory"


def test_payloads_that_are_used_up_end_a_size() -> None:
    one = job(4, hand=EventLines(["1", "2"]).hand(512, 4))
    assert len(run(one, [WARM])) == 2
    assert one.stopped == "the payloads are used up"


# Events.


def mix(samples: int) -> Hand:
    events = [Event('"a"', "a", 1), Event('"b"', "b", 1), Event('"c"', "c", 3)]
    return WeightedEvents(events, seed=0).hand(512, samples)


def warm_events(one: SizeJob, answers: Sequence[Answer]) -> Counter[str]:
    """Return what the warm runs got: openers are dealt side by side, and then the others one by one."""
    opened = [taken(one) for _ in range(one.openers)]
    for task, outcome in zip(opened, answers, strict=False):
        one.took(task, outcome)
    found = Counter(
        task.event.name for task, outcome in zip(opened, answers, strict=False) if outcome.invocation == WARM.invocation
    )
    rest = list(answers[len(opened) :]) or [WARM]
    for number, task in enumerate(run(one, rest)):
        found[task.event.name] += rest[min(number, len(rest) - 1)] == WARM
    return found


@pytest.mark.parametrize(
    "answers",
    [
        [COLD, COLD, COLD, COLD, WARM],
        [COLD, WARM, COLD, WARM, WARM],
        [COLD, COLD, COLD, COLD, COLD, WARM, COLD, COLD, WARM],
        [FAILED, COLD, FAILED, COLD, WARM],
    ],
)
def test_the_warm_runs_of_a_mix_get_each_payload_in_proportion_whatever_the_others_got(answers: list[Answer]) -> None:
    assert warm_events(job(10, openers=4, parallel=4, hand=mix(10)), answers) == {"a": 2, "b": 2, "c": 6}


def test_cold_starts_alone_get_each_payload_in_proportion() -> None:
    one = job(0, openers=10, versions=3, hand=mix(10))
    tasks = run(one, [COLD])
    for version in ("2", "3"):
        one.begin_version(version, is_new=True)
        tasks += run(one, [COLD], version)
    assert Counter(task.event.name for task in tasks) == {"a": 2, "b": 2, "c": 6}


def test_a_run_that_may_be_repeated_is_repeated_with_the_same_payload() -> None:
    one = job(10, hand=mix(10), repeat_lost=True)
    lost = [taken(one), taken(one)]
    for task in lost:
        one.took(task, LOST)
    for task, read in one.take_unread():
        one.read(task, read, read.invocation)
    found = Counter(task.event.name for task in run(one, [WARM]))
    assert found == {"a": 2, "b": 2, "c": 6}


# Answers that never came, or told nothing.


def test_a_run_whose_answer_never_came_is_not_sent_again() -> None:
    one = job(4)
    assert len(run(one, [LOST, LOST, WARM])) == 4
    unread = one.take_unread()
    assert len(unread) == 2
    for task, read in unread:
        one.read(task, read, read.invocation)  # no trace in the logs
    assert one.come_back() == 0
    assert one.stopped is None


def test_it_is_sent_again_where_the_function_may_be_repeated() -> None:
    one = job(4, repeat_lost=True)
    assert len(run(one, [LOST, LOST, WARM])) == 6
    for task, read in one.take_unread():
        one.read(task, read, read.invocation)
    assert one.come_back() == 0


def test_what_the_logs_tell_of_a_lost_run_counts() -> None:
    one = job(2, parallel=1, openers=1, cold_wanted=1)
    run(one, [LOST, LOST, WARM])
    for (task, read), found in zip(one.take_unread(), (COLD, WARM), strict=True):
        one.read(task, read, found.invocation)
    assert one.cold_missing == 0
    assert one.come_back() == 0


def test_a_run_without_a_report_passes_for_what_it_was_meant_to_be_until_the_logs_are_read() -> None:
    one = job(4)
    assert len(run(one, [UNREAD])) == 4
    assert one.has_unread
    assert len(one.take_unread()) == 4
    assert not one.has_unread


def test_runs_that_the_logs_call_cold_are_made_up_for_by_threads_that_come_back() -> None:
    one = job(4)
    run(one, [UNREAD])
    for (task, read), found in zip(one.take_unread(), (COLD, COLD, WARM, WARM), strict=True):
        one.read(task, read, found.invocation)
    assert one.leave() is False
    assert one.leave() is True
    assert one.come_back() == 2
    assert len(run(one, [WARM])) == 2


def test_a_function_error_without_a_report_is_not_repeated() -> None:
    one = job(4)
    failed = answer("failed", final=False, function_error="ValueError", error="ValueError: no")
    assert len(run(one, [failed, WARM])) == 4
    ((task, read),) = one.take_unread()
    one.read(task, read, read.invocation)
    assert one.come_back() == 0


def test_runs_of_unknown_outcome_are_used_up_too() -> None:
    one = job(4)
    run(one, [UNREAD, WARM])
    ((task, read),) = one.take_unread()
    one.read(task, read, answer("unavailable", error="its log has no REPORT record").invocation)
    assert one.come_back() == 0
    assert one.stopped is None


# Versions, and threads.


def test_each_version_has_as_many_threads_as_it_opens_environments_or_runs_side_by_side() -> None:
    one = job(10, openers=10, versions=3, parallel=2, begun=False)
    assert [one.begin_version(version, is_new=True) for version in ("1", "2", "3")] == [4, 4, 2]
    again = job(10, versions=0, parallel=3, begun=False)
    assert again.begin_version(V, is_new=False) == 3
    assert job(2, versions=0, parallel=3, begun=False).begin_version(V, is_new=False) == 2


def test_the_openers_of_a_version_are_left_to_its_own_threads() -> None:
    one = job(3, openers=4, versions=2, parallel=1)
    one.begin_version("2", is_new=True)
    assert kinds(run(one, [COLD, COLD, WARM], version="1")) == "oowww"
    assert kinds(run(one, [COLD], version="2")) == "oo"


def test_a_size_needs_versions_until_all_were_published_even_if_they_wait_for_their_turn() -> None:
    one = job(4, openers=4, versions=2, begun=False)
    assert one.needs_another_version()
    assert not one.needs_another_version()


def test_a_size_is_finished_once_when_its_last_thread_has_left_and_no_version_is_to_come() -> None:
    one = job(4, openers=2, versions=2)
    assert one.leave() is False
    assert one.leave() is True
    assert one.come_back() == 0
    assert one.finish() is False, "a version is still to come"
    one.begin_version("2", is_new=True)
    assert one.finish() is False, "it is being worked on"
    run(one, [COLD, WARM], "2")
    assert one.leave() is False
    assert one.leave() is True
    assert one.come_back() == 0
    assert one.finish() is True
    assert one.finish() is False


def test_a_thread_that_leaves_last_stays_for_what_another_version_left_unread() -> None:
    one = job(1, openers=2, versions=2, parallel=1)
    run(one, [COLD, WARM], "1")
    assert one.leave() is True, "it looks for unread runs, and finds none"
    one.begin_version("2", is_new=True)
    run(one, [UNREAD], "2")
    assert one.leave() is False, "the first one is still there"
    assert one.come_back() == 1
    assert one.finish() is False
    ((task, read),) = one.take_unread()
    one.read(task, read, COLD.invocation)
    assert one.leave() is True
    assert one.come_back() == 0
    assert one.finish() is True


def test_a_size_that_gets_no_version_at_all_is_finished_with_the_reason() -> None:
    one = job(4, openers=2, begun=False)
    assert one.cancel_versions("this account offers at most 3,008 MB") is True
    assert one.stopped == "this account offers at most 3,008 MB"
    assert one.finish() is False
    assert one.cancel_versions("again") is False


def test_a_size_that_gets_no_further_version_is_finished_by_its_last_thread() -> None:
    one = job(2, openers=4, versions=2, parallel=1)
    assert one.needs_another_version()
    assert one.cancel_versions("the spending limit was reached") is False
    run(one, [COLD, COLD, WARM])
    assert one.stopped is None
    assert one.leave() is False
    assert one.leave() is True
    assert one.come_back() == 0
    assert one.finish() is True


def test_a_version_that_waits_for_its_turn_is_not_cancelled() -> None:
    one = job(2, openers=4, versions=2, parallel=1, begun=False)
    assert one.needs_another_version()
    assert one.cancel_versions("the spending limit was reached") is False
    assert one.begin_version(V, is_new=True) == 2
    assert kinds(run(one, [COLD, COLD, WARM])) == "ooww"
    assert one.leave() is False
    assert one.leave() is True
    assert one.come_back() == 0
    assert one.finish() is True


@pytest.mark.parametrize("seed", range(6))
def test_a_payload_whose_cold_start_takes_long_is_not_left_without_a_warm_run(seed: int) -> None:
    events = WeightedEvents([Event('"a"', "a", 9), Event('"b"', "b")], seed=seed)
    one = job(2, openers=2, hand=events.hand(512, 2))
    slow, quick = taken(one), taken(one)
    one.took(quick, COLD)
    again = taken(one)
    one.took(again, WARM)
    assert one.take(V) is None, "the other one may have to be dealt again"
    one.took(slow, COLD)
    last = taken(one)
    one.took(last, WARM)
    assert {again.event.name, last.event.name} == {"a", "b"}
    assert one.take(V) is None


def test_an_opener_that_turns_out_warm_is_one_of_the_runs() -> None:
    one = job(2, openers=2)
    first, second = taken(one), taken(one)
    one.took(first, WARM)
    assert one.take(V) is None
    one.took(second, WARM)
    assert one.take(V) is None
