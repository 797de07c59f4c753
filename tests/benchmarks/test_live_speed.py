"""How long live tuning takes: against the critical path, and against the order of work of AWS Lambda Power Tuning.

On the believable Lambda, in real time: updates take 1-4 s, publishing 0.5-2 s, each call 35 ms, and invocations what
the CPU law says. Every contender has a server, a function and a process of its own, and meets the same waits in the
same order. They run side by side, as they mostly wait.
"""

import faulthandler
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import pytest
from believable_lambda import Execution, Work
from contenders import SIZES_MB, Took, load, tune_in_the_order_of_alpt, tune_with_powertune
from lambda_process import ClientProcess, LambdaProcess, Scene, Seen

import powertune
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB

if TYPE_CHECKING:
    from concurrent.futures import Future

SEEDS = range(1, 6)
TIME_SCALE = 1.0
LATENCY_S = 0.035
OWN_MB = 512
SAMPLES = 10
UPDATES_S = (1.0, 4.0)
PUBLISHING_S = (0.5, 2.0)
BETWEEN_STARTS_S = 1.0
"""So that contenders do not meet each other where they compute: when they load what the AWS SDK knows of Lambda."""

Start = Callable[[ClientProcess, int, str], "Future[Took]"]
START: Mapping[str, Start] = {
    "powertune": lambda client, _, folder: client.submit(tune_with_powertune, TIME_SCALE, folder, "full"),
    "ALPT, num 10": lambda client, seed, _: client.submit(
        tune_in_the_order_of_alpt, TIME_SCALE, SAMPLES, parallel=False, seed=seed
    ),
    "ALPT, num 10, parallel": lambda client, seed, _: client.submit(
        tune_in_the_order_of_alpt, TIME_SCALE, SAMPLES, parallel=True, seed=seed
    ),
    "ALPT, num 50": lambda client, seed, _: client.submit(
        tune_in_the_order_of_alpt, TIME_SCALE, 50, parallel=False, seed=seed
    ),
}
SEARCHES: Mapping[str, Start] = {
    name: lambda client, _, folder, name=name: client.submit(  # type: ignore[misc] # the default is the name's own
        tune_with_powertune, TIME_SCALE, folder, name, DEFAULT_SIZES_MB
    )
    for name in ("full", "adaptive", "frugal")
}
WORKS = {
    "300 ms of CPU, 20 ms of waiting": Work(cpu_ms=300, wait_ms=20, init_ms=250),
    "20 ms of CPU, 60 ms of waiting": Work(cpu_ms=20, wait_ms=60, init_ms=250),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    scene: Scene
    took: Took
    seen: Seen


def scene_of(seed: int, work: Work) -> Scene:
    drawn = random.Random(seed)  # noqa: S311  # everybody is to draw the same
    return Scene(
        work,
        OWN_MB,
        TIME_SCALE,
        LATENCY_S,
        updates_s=[drawn.uniform(*UPDATES_S) for _ in range(40)],
        publishes_s=[drawn.uniform(*PUBLISHING_S) for _ in range(20)],
        seed=seed,
    )


def race(work: Work, folder: Path, start: Mapping[str, Start] = START) -> dict[str, list[Outcome]]:
    """Let all contenders run with each seed."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    with ExitStack() as stack:
        entries = [
            (seed, name, stack.enter_context(LambdaProcess(scene_of(seed, work)))) for name in start for seed in SEEDS
        ]
        clients = [stack.enter_context(ClientProcess(server.endpoint_url)) for _, _, server in entries]
        for ready in [client.submit(load) for client in clients]:
            ready.result()
        runs = []
        for (seed, name, _), client in zip(entries, clients, strict=True):
            runs.append(start[name](client, seed, str(folder / f"{name}-{seed}")))
            time.sleep(BETWEEN_STARTS_S)
        for (seed, name, server), run in zip(entries, runs, strict=True):
            took = run.result()
            outcomes[name].append(Outcome(scene_of(seed, work), took, server.seen()))
    return outcomes


def critical_path_s(outcome: Outcome, parallel: int) -> float:
    """Return how long powertune's run would have taken at least, by what its server drew for it.

    Updates and publishing come one after the other, as AWS has it, in the order in which powertune asked for them, each
    with the latency of its own call: no polls, no reads, no deletions. A size is measured from when its version was
    published: its cold runs side by side, then its warm ones, each where it ends first. All is over when the last size
    is measured and `$LATEST` is back.
    """
    runs: dict[int, list[Execution]] = defaultdict(list)
    for execution in outcome.seen.invocations:
        runs[execution.memory_mb].append(execution)
    order = sorted(runs, key=lambda size: int(runs[size][0].version))
    updates, publishes = iter(outcome.scene.updates_s), iter(outcome.scene.publishes_s)
    latency_s = outcome.scene.latency_s
    clock_s, ends_s, memory_mb = 0.0, [], OWN_MB
    for size in order:
        if size != memory_mb:
            clock_s += latency_s + next(updates)
            memory_mb = size
        clock_s += latency_s + next(publishes)
        ends_s.append(clock_s + measuring_s(runs[size], latency_s, parallel))
    if memory_mb != OWN_MB:
        clock_s += latency_s + next(updates)
    return max(clock_s, *ends_s) * outcome.scene.time_scale


def measuring_s(runs: Sequence[Execution], latency_s: float, parallel: int) -> float:
    """Return how long the samples of one size take at least in the environments that it got."""
    environments: dict[str, list[Execution]] = defaultdict(list)
    for run in runs:
        environments[run.environment].append(run)
    assert len(environments) <= parallel
    free_s, warm_s = [], []
    for in_it in environments.values():
        (cold,) = (run for run in in_it if run.cold)
        free_s.append(latency_s + (cold.duration_ms + (cold.init_ms or 0)) / 1000)
        warm_s.append(latency_s + fmean(run.duration_ms for run in in_it) / 1000)
    for _ in range(sum(not run.cold for run in runs)):
        first = min(range(len(free_s)), key=lambda place: free_s[place] + warm_s[place])
        free_s[first] += warm_s[first]
    return max(free_s)


def foreign_stretches_s(outcome: Outcome) -> list[float]:
    """Return how long each time `$LATEST` had another memory than its own, as invocations of it would have met it."""
    stretches, since = [], None
    for at, memory_mb in outcome.seen.memory_history:
        if memory_mb != OWN_MB and since is None:
            since = at
        elif memory_mb == OWN_MB and since is not None:
            stretches.append(at - since)
            since = None
    assert since is None
    return stretches


def last_published_at(outcome: Outcome) -> float:
    """Return when the last version was there."""
    calls = [call for call in outcome.seen.calls if call.operation == "PublishVersion"]
    waited_s = outcome.scene.latency_s + outcome.scene.publishes_s[len(calls) - 1]
    return calls[-1].time + waited_s * outcome.scene.time_scale


def publishing_s(outcome: Outcome) -> float:
    """Return how long it took from asking for the first change of memory until the last version was there."""
    began = next(call.time for call in outcome.seen.calls if call.operation == "UpdateFunctionConfiguration")
    return last_published_at(outcome) - began


def control_calls(outcome: Outcome) -> list[float]:
    """Return when each call came that counts into the 15 a second that an account has."""
    others = ("Invoke", "GetFunction", "FilterLogEvents")
    return [call.time for call in outcome.seen.calls if call.operation not in others]


def most_in_a_second(times: Sequence[float]) -> int:
    return max(sum(0 <= other - at < 1 for other in times) for at in times)


def print_table(work: str, outcomes: Mapping[str, Sequence[Outcome]], paths_s: Sequence[float]) -> None:
    print(
        f"\n{work}; {len(SIZES_MB)} sizes, {len(paths_s)} seeds, times as they are"
        f" (factor {TIME_SCALE:g}); medians\n"
        f"{'':24} {'wall':>8} {'x critical':>11} {'at most':>8} {'x powertune':>12} {'runs':>5} {'control calls':>14}"
        f" {'a second':>9} {'at most':>8}"
    )
    ours = [outcome.took.seconds for outcome in outcomes["powertune"]]
    print(f"{'critical path':24} {median(paths_s):6.1f} s")
    for name, found in outcomes.items():
        walls = [outcome.took.seconds for outcome in found]
        calls = [control_calls(outcome) for outcome in found]
        by_path = [wall / path for wall, path in zip(walls, paths_s, strict=True)]
        print(
            f"{name:24} {median(walls):6.1f} s"
            f" {median(by_path):11.2f} {max(by_path):8.2f}"
            f" {median(wall / own for wall, own in zip(walls, ours, strict=True)):12.2f}"
            f" {median(len(outcome.seen.invocations) for outcome in found):5.0f}"
            f" {median(map(len, calls)):14.0f}"
            f" {median(len(times) / wall for times, wall in zip(calls, walls, strict=True)):9.1f}"
            f" {max(map(most_in_a_second, calls)):8}"
        )


def print_stretches(outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    print("$LATEST at a foreign memory")
    print(f"{'':24} {'stretches':>9} {'longest':>9} {'in all':>9} {'of the run':>11} {'publishing took':>16}")
    for name, found in outcomes.items():
        stretches = [foreign_stretches_s(outcome) for outcome in found]
        print(
            f"{name:24} {median(map(len, stretches)):9.0f} {median(map(max, stretches)):7.1f} s"
            f" {median(map(sum, stretches)):7.1f} s"
            f" {median(sum(one) / run.took.seconds for one, run in zip(stretches, found, strict=True)):11.0%}"
            f" {median(map(publishing_s, found)):14.1f} s"
        )


@pytest.mark.benchmark
@pytest.mark.parametrize("work", WORKS)
def test_live_tuning_keeps_to_the_critical_path_and_outruns_the_order_of_alpt(work: str, tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()  # it takes minutes, and nothing hangs
    outcomes = race(WORKS[work], tmp_path)
    paths_s = [critical_path_s(outcome, powertune.Pace().parallel) for outcome in outcomes["powertune"]]
    print_table(work, outcomes, paths_s)
    print_stretches(outcomes)

    ours = [outcome.took.seconds for outcome in outcomes["powertune"]]

    def ratio(name: str) -> float:
        return median(outcome.took.seconds / own for outcome, own in zip(outcomes[name], ours, strict=True))

    assert median(own / path for own, path in zip(ours, paths_s, strict=True)) <= 1.15
    assert ratio("ALPT, num 10") >= 1.3
    if WORKS[work].cpu_ms >= 100:  # a function that takes no time is not slow to measure, in whatever order
        assert ratio("ALPT, num 50") >= 3
    for outcome in outcomes["powertune"]:
        check_run(outcome)


@pytest.mark.benchmark
@pytest.mark.parametrize("work", WORKS)
def test_a_search_takes_about_as_long_as_measuring_every_size(work: str, tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()  # as above
    outcomes = race(WORKS[work], tmp_path, SEARCHES)
    print(f"\n{work}; {len(DEFAULT_SIZES_MB)} sizes, {len(SEEDS)} seeds; medians")
    print(f"{'':10} {'wall':>8} {'x full':>7} {'runs':>5} {'updates':>8} {'publishes':>10} {'foreign memory':>15}")
    full_s = [outcome.took.seconds for outcome in outcomes["full"]]
    ratios = {}
    for name, found in outcomes.items():
        walls = [outcome.took.seconds for outcome in found]
        ratios[name] = median(wall / full for wall, full in zip(walls, full_s, strict=True))
        operations = [Counter(call.operation for call in outcome.seen.calls) for outcome in found]
        print(
            f"{name:10} {median(walls):6.1f} s {ratios[name]:7.2f}"
            f" {median(len(outcome.seen.invocations) for outcome in found):5.0f}"
            f" {median(counts['UpdateFunctionConfiguration'] for counts in operations):8.0f}"
            f" {median(counts['PublishVersion'] for counts in operations):10.0f}"
            f" {median(sum(foreign_stretches_s(outcome)) for outcome in found):13.1f} s"
        )
        assert all(outcome.seen.now == outcome.seen.before for outcome in found)
    assert ratios["adaptive"] <= 1.5
    assert ratios["frugal"] <= 1


def check_run(outcome: Outcome) -> None:
    """See that nothing was gained by leaving something out."""
    assert outcome.seen.now == outcome.seen.before
    assert all(call.status < 400 for call in outcome.seen.calls)
    warm = Counter(run.memory_mb for run in outcome.seen.invocations if not run.cold)
    assert warm == dict.fromkeys(SIZES_MB, SAMPLES)
    assert len(control_calls(outcome)) / outcome.took.seconds <= 5
    (stretch_s,) = foreign_stretches_s(outcome)
    updates = sum(call.operation == "UpdateFunctionConfiguration" for call in outcome.seen.calls)
    # What comes after the last version: two reads, to put nothing back over somebody else's change, and the update.
    back_s = (3 * outcome.scene.latency_s + outcome.scene.updates_s[updates - 1]) * outcome.scene.time_scale
    assert stretch_s <= publishing_s(outcome) + back_s + 0.1
    assert outcome.seen.memory_history[-1][0] <= last_published_at(outcome) + back_s + 0.1
